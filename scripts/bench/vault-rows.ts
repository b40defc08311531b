import { randomInt } from 'node:crypto'
import { open, readdir, readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Daemon, Lab } from '../../test/support/daemon.ts'
import { type PutLine, VaultNetwork } from '../../test/support/vault-network.ts'
import { hashFile, writeRandomFile } from './files.ts'
import { LoopProbes, LoopWatch } from './loop-watch.ts'
import { memoryOf, resetPeak } from './processes.ts'
import { MIB, rate, type Row, round } from './report.ts'
import { measureRaw } from './transfer-rows.ts'

const LONG = { timeoutMs: 3_600_000 }
const TEXT_FOLDER = '/usr/share/perl'

interface Put {
  line: PutLine
  durationMs: number
  /** Added up over everything that ran at once, by the owner's own clock. */
  stagesMs: Record<string, number>
}

/**
 * Text of at least so many bytes as people write it: random pages of the machine's own Perl sources, so that zstd finds in a
 * segment what it finds in a file.
 */
async function writeText(path: string, bytes: number): Promise<void> {
  const names = await readdir(TEXT_FOLDER, { recursive: true, withFileTypes: true })
  const sources = names.filter((entry) => entry.isFile() && /\.(pm|pl|pod)$/.test(entry.name)).slice(0, 2_000)
  const pool = Buffer.concat(
    await Promise.all(sources.map((entry) => readFile(join(entry.parentPath, entry.name)))),
  )
  const pageBytes = 64 * 1024
  const file = await open(path, 'w')
  try {
    for (let at = 0; at < bytes; at += pageBytes) {
      const from = randomInt(Math.max(1, pool.length - pageBytes))
      await file.write(pool.subarray(from, from + Math.min(pageBytes, bytes - at)))
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

async function put(owner: Daemon, path: string, redundancy: string, name: string): Promise<Put> {
  const startedAtMs = performance.now()
  const args = ['put', path, '--redundancy', redundancy, '--name', name]
  const line = await owner.json<PutLine>(args, LONG)
  const durationMs = performance.now() - startedAtMs
  const { jobs } = await owner.json<{ jobs: { progress: { counters?: Record<string, number> } | null }[] }>([
    'jobs',
    'ls',
    '--kind',
    'put',
    '--limit',
    '1',
  ])
  return { line, durationMs, stagesMs: jobs[0]?.progress?.counters ?? {} }
}

async function get(node: Daemon, line: PutLine, out: string): Promise<number> {
  const startedAtMs = performance.now()
  const got = await node.json<{ sha256: string }>(['get', line.link, '-o', out], LONG)
  const durationMs = performance.now() - startedAtMs
  if (got.sha256 !== line.sha256) throw new Error('the file that arrived is another one')
  return durationMs
}

function stagesNote({ stagesMs, durationMs }: Put): string {
  const stages = Object.entries(stagesMs)
    .filter(([name]) => name.endsWith('Ms'))
    .map(([name, ms]) => `${name.slice(0, -2)} ${round(ms / 1_000)} s`)
  return `stages, added up over what ran at once: ${stages.join(', ')}; ${round(durationMs / 1_000)} s in all`
}

/** How long a player waits for the first byte, the manifest known and not known. */
async function firstByteMs(node: Daemon, link: string, at: number): Promise<number> {
  const startedAtMs = performance.now()
  const response = await fetch(`${node.ready.api}/api/v1/files/${link}`, {
    headers: { authorization: `Bearer ${await node.token()}`, range: `bytes=${at}-${at + 65_535}` },
  })
  const reader = response.body?.getReader()
  await reader?.read()
  const durationMs = performance.now() - startedAtMs
  await reader?.cancel()
  if (response.status !== 206) throw new Error(`the stream began with status ${response.status}`)
  return durationMs
}

/** Private files over eight node processes and their owner, on this one machine. */
export async function vaultRows(lab: Lab, options: { bytes: number; runs: number }): Promise<Row[]> {
  const { bytes } = options
  const label = `${round(bytes / MIB)} MiB`
  const folder = await lab.folder()
  const [random, text] = [join(folder, 'random'), join(folder, 'text')]
  await writeRandomFile(random, bytes)
  await writeText(text, bytes)
  const hashed = await hashFile(random)
  const rawBefore = await measureRaw(bytes, options.runs)

  const probes = new LoopProbes(await lab.folder())
  const network = await VaultNetwork.start(lab, { workers: 8, set: { 'storage.quota': '40GiB' } })
  const { owner, workers } = network
  const reader = await network.node('leecher')
  const everybody = [owner, reader, ...workers]
  const loops = new LoopWatch(everybody)
  for (const node of everybody) await resetPeak(node.ready.pid)

  const coded = await put(owner, random, 'rs:4/8', 'random')
  if (coded.line.sha256 !== hashed.sha256) throw new Error('what was put is another file')
  const gotMs = await get(reader, coded.line, join(folder, 'random.out'))
  const peaks = await Promise.all(everybody.map(async (node) => (await memoryOf(node.ready.pid)).peakBytes))
  const delay = await loops.end()
  const busyMs = await probes.end(everybody.map(({ ready }) => ready.pid))
  const codedText = await put(owner, text, 'rs:4/8', 'text')
  const gotTextMs = await get(reader, codedText.line, join(folder, 'text.out'))
  const copied = await put(owner, random, 'copies:5', 'copied')
  const fresh = await network.node('leecher')
  const coldMs = await firstByteMs(fresh, coded.line.link, 0)
  const warmMs: number[] = []
  for (let seek = 0; seek < 9; seek += 1)
    warmMs.push(await firstByteMs(reader, coded.line.link, randomInt(Math.max(1, bytes - 65_536))))
  const seekMs = warmMs.toSorted((left, right) => left - right)[4] ?? Number.NaN
  const raw = Math.max(rawBefore, await measureRaw(bytes, options.runs))

  const against = `raw stream ${round(raw)} MiB/s`
  const speed = (name: string, durationMs: number, atLeast?: number, note?: string): Row => ({
    name,
    measured: `${round(rate(bytes, durationMs))} MiB/s`,
    against,
    value: rate(bytes, durationMs) / raw,
    unit: '× raw',
    ...(atLeast === undefined ? {} : { hold: { atLeast } }),
    ...(note === undefined ? {} : { note }),
  })
  const stored = (name: string, { line }: Put): Row => ({
    name,
    measured: `${round(line.stored / MIB)} MiB stored`,
    against: `file ${label}`,
    value: line.stored / bytes,
    unit: '×',
  })
  return [
    speed(
      `put of ${label} incompressible, rs:4/8 over 8 processes`,
      coded.durationMs,
      0.12,
      stagesNote(coded),
    ),
    speed(`get of it on another node`, gotMs, 0.25),
    speed(`put of ${label} text, rs:4/8`, codedText.durationMs, undefined, stagesNote(codedText)),
    speed('get of it on another node (text)', gotTextMs),
    speed(`put of ${label} incompressible, copies:5`, copied.durationMs, undefined, stagesNote(copied)),
    stored('stored, incompressible, rs:4/8', coded),
    stored('stored, text, rs:4/8', codedText),
    stored('stored, incompressible, copies:5', copied),
    {
      name: 'event-loop delay p99 meanwhile, worst node',
      measured: `${round(delay.nodeMs)} ms`,
      against: `idle process ${round(delay.idleMs)} ms`,
      value: delay.nodeMs - delay.idleMs,
      unit: 'ms more',
      hold: { atMost: 40 },
      note: `of which the node's own main thread worked ${round(busyMs)} ms (p99 between two turns, worst node and window): the rest is waiting for a processor, with ${everybody.length} nodes on ${availableParallelism()} of them`,
    },
    {
      name: 'peak memory meanwhile, worst node',
      measured: `${round(Math.max(...peaks) / MIB)} MiB`,
      value: Math.max(...peaks) / MIB,
      unit: 'MiB',
      hold: { atMost: 400 },
      note: `owner ${round((peaks[0] ?? 0) / MIB)}, reader ${round((peaks[1] ?? 0) / MIB)}, holders up to ${round(Math.max(...peaks.slice(2)) / MIB)} MiB`,
    },
    {
      name: 'first byte after a seek, manifest known',
      measured: `${round(seekMs)} ms`,
      value: seekMs,
      unit: 'ms',
      hold: { atMost: 100 },
      note: `median of ${warmMs.length} seeks to random places; with nothing known but the link ${round(coldMs)} ms`,
    },
  ]
}
