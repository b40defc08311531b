import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Daemon, Lab } from '../../test/support/daemon.ts'
import { hashFile, writeRandomFile } from './files.ts'
import { memoryOf, Peer, resetPeak } from './processes.ts'
import { MIB, rate, type Row, round } from './report.ts'

interface Timed {
  bytes: number
  durationMs: number
}

const script = (name: string): URL => new URL(`./${name}`, import.meta.url)

/** Best of `runs`: what the machine can do when nothing else disturbs it. */
export async function best(runs: number, measure: () => Promise<Timed>): Promise<number> {
  let mibPerSecond = 0
  for (let run = 0; run < runs; run += 1) {
    const { bytes, durationMs } = await measure()
    mibPerSecond = Math.max(mibPerSecond, rate(bytes, durationMs))
  }
  return mibPerSecond
}

export async function measureRaw(bytes: number, runs: number, listen?: string): Promise<number> {
  const where = listen === undefined ? [] : [listen]
  const server = new Peer(script('raw-peer.ts'), ['server', String(bytes), ...where])
  try {
    const { address } = await server.next<{ address: string }>()
    return await best(runs, async () => {
      const client = new Peer(script('raw-peer.ts'), ['client', address])
      const timed = await client.next<Timed>()
      await client.stop()
      return timed
    })
  } finally {
    await server.stop()
  }
}

export async function measureBitswap(bytes: number, runs: number): Promise<number> {
  const server = new Peer(script('bitswap-peer.ts'), ['server', String(bytes)])
  try {
    const { address, root } = await server.next<{ address: string; root: string }>()
    return await best(runs, async () => {
      const client = new Peer(script('bitswap-peer.ts'), ['client', address, root])
      const timed = await client.next<Timed>()
      await client.stop()
      return timed
    })
  } finally {
    await server.stop()
  }
}

interface Stats {
  process: { rssBytes: number; eventLoopDelayP99Ms: number }
  content: { servedBytes: number; fetchedBytes: number }
}

interface JobLine {
  state: string
  createdAtMs: number
  endedAtMs: number
}

/** Fetches into the store of a node of its own and tells how long the job took by the node's own clock. */
export async function fetchIntoStore(
  lab: Lab,
  sources: string[],
  cid: string,
  bytes: number,
): Promise<Timed & { node: Daemon }> {
  const node = await lab.daemon({ set: { 'storage.quota': '40GiB' } })
  for (const address of sources) await node.json(['connect', address])
  const detached = await node.json<{ job: string }>(['get', cid, '--detach'])
  const job = await node.json<JobLine>(['jobs', 'wait', detached.job], { timeoutMs: 1_800_000 })
  if (job.state !== 'done') throw new Error(`the fetch ended as ${job.state}`)
  return { bytes, durationMs: job.endedAtMs - job.createdAtMs, node }
}

export async function transferRows(lab: Lab, options: { bytes: number; runs: number }): Promise<Row[]> {
  const { bytes, runs } = options
  const rows: Row[] = []
  const label = `${round(bytes / MIB)} MiB`
  const folder = await lab.folder()
  const path = join(folder, 'file')
  await writeRandomFile(path, bytes)

  const seed = await lab.daemon({ set: { 'storage.quota': '40GiB' } })
  const hashed = await hashFile(path)
  const addStartedAtMs = performance.now()
  const { cid } = await seed.json<{ cid: string }>(['add', path], { timeoutMs: 1_800_000 })
  const addMs = performance.now() - addStartedAtMs
  rows.push({
    name: `add of ${label}`,
    measured: `${round(rate(bytes, addMs))} MiB/s`,
    against: `reading and hashing ${round(rate(bytes, hashed.durationMs))} MiB/s`,
    value: hashed.durationMs / addMs,
    unit: '×',
    note: 'add also writes the file a second time, durably, and crosses from the client to the node',
  })

  const rawBefore = await measureRaw(bytes, runs)
  const bitswap = await measureBitswap(Math.min(bytes, 256 * MIB), runs)
  const idle = new Peer(script('loop-delay.ts'), ['2000'])
  let loopDelayMs = 0
  const single = await best(runs, async () => {
    const timed = await fetchIntoStore(lab, [seed.address], cid, bytes)
    const stats = await timed.node.json<Stats>(['stats'])
    loopDelayMs = Math.max(
      loopDelayMs,
      stats.process.eventLoopDelayP99Ms,
      (await seed.json<Stats>(['stats'])).process.eventLoopDelayP99Ms,
    )
    await timed.node.stop()
    return timed
  })
  const idleDelay = await idle.next<{ p99Ms: number }>()
  await idle.stop()

  const endToEnd = await best(runs, async () => {
    const node = await lab.daemon({ set: { 'storage.quota': '40GiB' } })
    await node.json(['connect', seed.address])
    const out = join(await lab.folder(), 'out')
    const startedAtMs = performance.now()
    const got = await node.json<{ sha256: string }>(['get', cid, '-o', out], { timeoutMs: 1_800_000 })
    const durationMs = performance.now() - startedAtMs
    if (got.sha256 !== hashed.sha256) throw new Error('the file that arrived is another one')
    await node.stop()
    return { bytes, durationMs }
  })
  const raw = Math.max(rawBefore, await measureRaw(bytes, runs))
  const against = `raw stream ${round(raw)} MiB/s`
  rows.push(
    {
      name: `fetch of ${label} into the store, 1 source`,
      measured: `${round(single)} MiB/s`,
      against,
      value: single / raw,
      unit: '× raw',
      hold: { atLeast: 0.5 },
    },
    {
      name: 'the same against Bitswap',
      measured: `${round(single)} MiB/s`,
      against: `Bitswap ${round(bitswap)} MiB/s`,
      value: single / bitswap,
      unit: '× Bitswap',
      hold: { atLeast: 3 },
    },
    {
      name: `get -o of ${label}, end to end`,
      measured: `${round(endToEnd)} MiB/s`,
      against,
      value: endToEnd / raw,
      unit: '× raw',
      hold: { atLeast: 0.3 },
    },
    {
      name: 'event-loop delay p99 meanwhile',
      measured: `${round(loopDelayMs)} ms`,
      against: `idle process ${round(idleDelay.p99Ms)} ms`,
      value: loopDelayMs - idleDelay.p99Ms,
      unit: 'ms more',
      hold: { atMost: 40 },
    },
  )
  rows.push(
    ...(await severalSourceRows(
      lab,
      await lab.daemon({ set: { 'storage.quota': '40GiB' } }),
      Math.min(bytes, 256 * MIB),
    )),
  )
  return rows
}

/** Three sources of the same file: no block twice, and with equal links nearly three times one. */
async function severalSourceRows(lab: Lab, seed: Daemon, bytes: number): Promise<Row[]> {
  const path = join(await lab.folder(), 'shared')
  await writeRandomFile(path, bytes)
  const { cid } = await seed.json<{ cid: string }>(['add', path])
  const seeds = [seed]
  for (let copy = 0; copy < 2; copy += 1) {
    const node = await lab.daemon({ set: { 'storage.quota': '40GiB' } })
    const added = await node.json<{ cid: string }>(['add', path])
    if (added.cid !== cid) throw new Error('the same file got another CID')
    seeds.push(node)
  }
  // The capped links come first: once sources know each other, the DHT would lead around the proxy.
  const linkBytesPerSecond = 16 * MIB
  const ports = seeds.map((node) => /\/tcp\/(\d+)/.exec(node.address)?.[1] ?? '0')
  const proxy = new Peer(script('throttle-proxy.ts'), [String(linkBytesPerSecond), ...ports])
  try {
    const { ports: proxied } = await proxy.next<{ ports: number[] }>()
    const through = seeds.map((node, index) => node.address.replace(/\/tcp\/\d+/, `/tcp/${proxied[index]}`))
    const one = await fetchIntoStore(lab, through.slice(0, 1), cid, bytes)
    await one.node.stop()
    const three = await fetchIntoStore(lab, through, cid, bytes)
    await three.node.stop()

    const served = async (): Promise<number> => {
      const stats = await Promise.all(seeds.map((node) => node.json<Stats>(['stats'])))
      return stats.reduce((sum, each) => sum + each.content.servedBytes, 0)
    }
    const before = await served()
    const free = await fetchIntoStore(
      lab,
      seeds.map((node) => node.address),
      cid,
      bytes,
    )
    const sent = (await served()) - before
    await free.node.stop()
    return [
      {
        name: 'blocks sent once, 3 sources',
        measured: `${round(sent / MIB)} MiB sent`,
        against: `file ${round(bytes / MIB)} MiB`,
        value: sent / bytes,
        unit: '×',
        hold: { atMost: 1.03 },
      },
      {
        name: '3 sources, links of 16 MiB/s each',
        measured: `${round(rate(bytes, three.durationMs))} MiB/s`,
        against: `1 source ${round(rate(bytes, one.durationMs))} MiB/s`,
        value: one.durationMs / three.durationMs,
        unit: '×',
        hold: { atLeast: 2.7 },
      },
    ]
  } finally {
    await proxy.stop()
    for (const node of seeds.slice(1)) await node.stop()
  }
}

/** Memory of both sides while a file many times as large as it passes through. */
export async function memoryRows(lab: Lab, bytes: number): Promise<Row[]> {
  const path = join(await lab.folder(), 'large')
  await writeRandomFile(path, bytes)
  const seed = await lab.daemon({ set: { 'storage.quota': '60GiB' } })
  const label = `${round(bytes / MIB)} MiB`
  const { cid } = await seed.json<{ cid: string }>(['add', path], { timeoutMs: 3_600_000 })
  const adding = await memoryOf(seed.ready.pid)
  await resetPeak(seed.ready.pid)
  const fetched = await fetchIntoStore(lab, [seed.address], cid, bytes)
  const fetching = await memoryOf(fetched.node.ready.pid)
  const serving = await memoryOf(seed.ready.pid)
  await Promise.all([fetched.node.stop(), seed.stop()])
  const row = (name: string, peakBytes: number): Row => ({
    name: `peak memory while ${name} ${label}`,
    measured: `${round(peakBytes / MIB)} MiB`,
    value: peakBytes / MIB,
    unit: 'MiB',
    hold: { atMost: 400 },
  })
  return [
    row('adding', adding.peakBytes),
    row('fetching', fetching.peakBytes),
    row('serving', serving.peakBytes),
  ]
}

/** Sources whose links our own limiter caps alike, what each holds at it. */
const CAP = '8MiB/s'
/** The largest number of sources is a prime: nothing divides evenly. */
const SOURCE_COUNTS = [1, 2, 3, 5]

/** One file from one to five sources, each capped alike by the limiter of the node: how the speed grows with them. */
export async function sourceRows(lab: Lab, bytes: number): Promise<Row[]> {
  const path = join(await lab.folder(), 'capped')
  await writeRandomFile(path, bytes)
  const seeds: Daemon[] = []
  let cid = ''
  for (let copy = 0; copy < Math.max(...SOURCE_COUNTS); copy += 1) {
    const node = await lab.daemon({
      set: { 'storage.quota': '40GiB', 'limits.bandwidth.protocols.content.out': CAP },
    })
    cid = (await node.json<{ cid: string }>(['add', path])).cid
    seeds.push(node)
  }
  const servedBytes = async (): Promise<number> => {
    const stats = await Promise.all(seeds.map((node) => node.json<Stats>(['stats'])))
    return stats.reduce((sum, each) => sum + each.content.servedBytes, 0)
  }
  const rows: Row[] = []
  let oneMs = 0
  for (const count of SOURCE_COUNTS) {
    const before = await servedBytes()
    const addresses = seeds.slice(0, count).map(({ address }) => address)
    const { durationMs, node } = await fetchIntoStore(lab, addresses, cid, bytes)
    const sent = (await servedBytes()) - before
    await node.stop()
    if (count === 1) oneMs = durationMs
    rows.push({
      name: `${count} source${count === 1 ? '' : 's'} that give ${CAP} each`,
      measured: `${round(rate(bytes, durationMs))} MiB/s, ${round(sent / bytes)} × the file sent`,
      against: `1 source ${round(rate(bytes, oneMs))} MiB/s`,
      value: oneMs / durationMs,
      unit: '×',
      ...(count === 3 ? { hold: { atLeast: 2.7 } } : {}),
    })
  }
  for (const node of seeds) await node.stop()
  return rows
}

/** Small files in one directory, and how soon a reader of a large file gets its first byte. */
export async function smallFileRows(lab: Lab, options: { files: number; bytes: number }): Promise<Row[]> {
  const { files, bytes } = options
  const folder = join(await lab.folder(), 'many')
  await mkdir(folder)
  for (let file = 0; file < files; file += 1)
    await writeFile(join(folder, `file-${file}.txt`), `${file} `.repeat(1 + (file % 200)))
  const path = join(await lab.folder(), 'large')
  await writeRandomFile(path, bytes)
  const seed = await lab.daemon({ set: { 'storage.quota': '40GiB' } })
  const tree = await seed.json<{ cid: string; size: number }>(['add', folder], { timeoutMs: 600_000 })
  const large = await seed.json<{ cid: string }>(['add', path], { timeoutMs: 600_000 })
  const fetched = await fetchIntoStore(lab, [seed.address], tree.cid, tree.size)
  await fetched.node.stop()

  const reader = await lab.daemon({ set: { 'storage.quota': '40GiB' } })
  await reader.json(['connect', seed.address])
  const token = (await readFile(join(reader.home, 'api.token'), 'utf8')).trim()
  const startedAtMs = performance.now()
  const response = await fetch(`${reader.ready.api}/api/v1/content/cat?address=${large.cid}`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const body = response.body?.getReader()
  await body?.read()
  const firstByteMs = performance.now() - startedAtMs
  await body?.cancel()
  await Promise.all([reader.stop(), seed.stop()])
  return [
    {
      name: `fetch of ${files} small files in a directory`,
      measured: `${round((files * 1_000) / fetched.durationMs)} files/s`,
      value: (files * 1_000) / fetched.durationMs,
      unit: 'files/s',
    },
    {
      name: `first byte of ${round(bytes / MIB)} MiB from a peer`,
      measured: `${round(firstByteMs)} ms`,
      value: firstByteMs,
      unit: 'ms',
      hold: { atMost: 100 },
    },
  ]
}
