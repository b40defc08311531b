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
/** How often each comes where copies come too: once from each neighbour of a mesh. */
const COPIES = 6
const ENTRIES = 100_000
const DIFFERENCES = 100
const LONG_MS = 120_000

/** What a node hears in a second, and what it costs to compare a large set with a peer. */
export async function gossipRows({ runs }: { runs: number }): Promise<Row[]> {
  const once = await best(runs, 1)
  const often = await best(runs, COPIES)
  return [
    {
      name: 'signed messages verified, scored and handled',
      measured: `${round(once.perSecond)} /s`,
      value: once.perSecond,
      unit: '/s',
      hold: { atLeast: 2_000 },
      note: `${SPEAKERS} neighbours in ${SPEAKING_PROCESSES} processes, ${SPEAKERS * MESSAGES_EACH} messages signed before; event-loop delay p99 ${round(once.delayMs)} ms`,
    },
    {
      name: 'the same, for each second of processor time that the listener took',
      measured: `${round(once.perProcessorSecond)} /s`,
      value: once.perProcessorSecond,
      unit: '/s',
      note: 'what it could hear on a core of its own',
    },
    {
      name: `the same, each ${COPIES} times as in a mesh`,
      measured: `${round(often.perProcessorSecond)} /s`,
      against: `${round(once.perProcessorSecond)} /s where each comes once: ${(often.perProcessorSecond / once.perProcessorSecond).toFixed(2)}`,
      value: often.perProcessorSecond,
      unit: '/s',
      note: `messages, not copies, for each second of its processor; ${round(often.perSecond)} /s by the clock`,
    },
    ...(await comparing()),
  ]
}

interface Heard {
  perSecond: number
  perProcessorSecond: number
  delayMs: number
}

async function best(runs: number, copies: number): Promise<Heard> {
  const heard: Heard[] = []
  for (let run = 0; run < runs; run++) heard.push(await listening(copies))
  return heard.reduce((a, b) => (a.perSecond >= b.perSecond ? a : b))
}

async function listening(copies: number): Promise<Heard> {
  // As many copies in all as a neighbour may bring without being a flood.
  const messagesEach = Math.floor(MESSAGES_EACH / copies)
  const all = SPEAKERS * messagesEach
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
  const [fullTopic = ''] = node.libp2p.services.pubsub.getTopics()
  const script = new URL('./gossip-peer.ts', import.meta.url)
  const each = String(SPEAKERS / SPEAKING_PROCESSES)
  const peers = Array.from(
    { length: SPEAKING_PROCESSES },
    (_, at) =>
      new Peer(script, [
        node.address,
        fullTopic,
        each,
        String(messagesEach),
        String(copies),
        String((at * all) / SPEAKING_PROCESSES),
      ]),
  )
  try {
    await Promise.all(peers.map((peer) => peer.next()))
    delay.enable()
    for (const peer of peers) peer.tell('go')
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
