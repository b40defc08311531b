import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Reconcile, reconcile } from '../../protocols/reconcile/index.ts'
import type { TopicRules } from '../../src/gossip/index.ts'
import { eventually, quietLogger, startTestNode, type TestNode } from '../../test/support/network.ts'
import { MemorySet } from '../../test/support/reconcile.ts'
import { Peer } from './processes.ts'
import { type Row, round } from './report.ts'

/** Each may bring 4 000 at once before it is taken for a flood. */
const SPEAKERS = 6
const MESSAGES_EACH = 4_000
const SPEAKING_PROCESSES = 2
const ENTRIES = 100_000
const DIFFERENCES = 100
const LONG_MS = 120_000

/** What a node hears in a second, and what it costs to compare a large set with a peer. */
export async function gossipRows({ runs }: { runs: number }): Promise<Row[]> {
  const heard: Heard[] = []
  for (let run = 0; run < runs; run++) heard.push(await listening())
  const best = heard.reduce((a, b) => (a.perSecond >= b.perSecond ? a : b))
  return [
    {
      name: 'signed messages verified, scored and handled',
      measured: `${round(best.perSecond)} /s`,
      value: best.perSecond,
      unit: '/s',
      hold: { atLeast: 2_000 },
      note: `${SPEAKERS} neighbours in ${SPEAKING_PROCESSES} processes, ${SPEAKERS * MESSAGES_EACH} messages; event-loop delay p99 ${round(best.delayMs)} ms`,
    },
    {
      name: 'the same, for each second of processor time that the listener took',
      measured: `${round(best.perProcessorSecond)} /s`,
      value: best.perProcessorSecond,
      unit: '/s',
      note: 'what it could hear on a core of its own',
    },
    ...(await comparing()),
  ]
}

interface Heard {
  perSecond: number
  perProcessorSecond: number
  delayMs: number
}

async function listening(): Promise<Heard> {
  const all = SPEAKERS * MESSAGES_EACH
  const taken = new Set<number>()
  const topic: TopicRules = {
    name: 'bench',
    maxBytes: 1_000,
    authorRate: { perSecond: 1e6, burst: 1e6 },
    hasEnvelope: true,
    check: ({ data }) => (data.byteLength > 4 ? 'accept' : 'reject'),
  }
  const node = await startTestNode({ topics: [topic] })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  let [firstMs, lastMs] = [0, 0]
  let before = process.cpuUsage()
  node.gossip.subscribe('bench', ({ data }) => {
    lastMs = performance.now()
    if (firstMs === 0) {
      firstMs = lastMs
      before = process.cpuUsage()
    }
    taken.add(new DataView(data.buffer, data.byteOffset).getUint32(0))
  })
  const script = new URL('./gossip-peer.ts', import.meta.url)
  const each = String(SPEAKERS / SPEAKING_PROCESSES)
  const peers = Array.from(
    { length: SPEAKING_PROCESSES },
    (_, at) =>
      new Peer(script, [node.address, each, String(MESSAGES_EACH), String((at * all) / SPEAKING_PROCESSES)]),
  )
  try {
    await Promise.all(peers.map((peer) => peer.next()))
    delay.enable()
    await eventually('everything was heard', () => taken.size === all, LONG_MS)
    const { user, system } = process.cpuUsage(before)
    return {
      perSecond: (all - 1) / ((lastMs - firstMs) / 1_000),
      perProcessorSecond: (all - 1) / ((user + system) / 1e6),
      delayMs: delay.percentile(99) / 1e6,
    }
  } finally {
    delay.disable()
    await Promise.all(peers.map((peer) => peer.stop()))
    await node.stop()
  }
}

async function comparing(): Promise<Row[]> {
  const [a, b] = [await member(), await member()]
  try {
    await a.network.connect(b.address, AbortSignal.timeout(20_000))
    const text = (index: number): string => `entry ${index} ${'.'.repeat(200)}`
    const all = Array.from({ length: ENTRIES }, (_, index) => index)
    const step = (2 * ENTRIES) / DIFFERENCES
    const ofA = new MemorySet(all.filter((index) => index % step !== 1).map(text))
    const ofB = new MemorySet(all.filter((index) => index % step !== 2).map(text))
    a.reconcile.register(ofA)
    b.reconcile.register(ofB)
    await eventually('it is known what the other speaks', () => a.reconcile.peers().length > 0)
    const [peer] = a.reconcile.peers()
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const startedMs = performance.now()
    const done = await a.reconcile.run(peer!, ofA, { signal: AbortSignal.timeout(LONG_MS) })
    const durationMs = performance.now() - startedMs
    delay.disable()
    const kib = (done.sentBytes + done.receivedBytes) / 1024
    return [
      {
        name: `comparing ${ENTRIES} entries, ${DIFFERENCES} differences`,
        measured: `${round(kib)} KiB`,
        value: kib,
        unit: 'KiB',
        hold: { atMost: 200 },
        note: `${done.exchanges} exchanges in ${round(durationMs)} ms, entries of 200 bytes included; event-loop delay p99 ${round(delay.percentile(99) / 1e6)} ms`,
      },
    ]
  } finally {
    await Promise.all([a.stop(), b.stop()])
  }
}

async function member(): Promise<TestNode & { reconcile: Reconcile }> {
  const trust = { decide: () => ({ allowed: true }) as const, report: () => {} }
  const protocol = reconcile({ networkName: 'test', admits: () => true, trust, log: quietLogger() })
  const node = await startTestNode({ init: { services: { reconcile: protocol } } })
  return { ...node, reconcile: (node.libp2p.services as unknown as { reconcile: Reconcile }).reconcile }
}
