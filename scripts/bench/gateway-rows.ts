import { Agent, get } from 'node:http'
import { join } from 'node:path'
import type { Lab } from '../../test/support/daemon.ts'
import { writeRandomFile } from './files.ts'
import { Peer } from './processes.ts'
import { MIB, type Row, round } from './report.ts'
import { best } from './transfer-rows.ts'

const CONCURRENT_RANGES = 100
const RANGES = 2_000
const RANGE_BYTES = 64 * 1024

/** The gateway beside a plain file server: the same file, the same client, the same run. */
export async function gatewayRows(
  lab: Lab,
  { bytes, runs }: { bytes: number; runs: number },
): Promise<Row[]> {
  const folder = await lab.folder()
  const path = join(folder, 'file')
  await writeRandomFile(path, bytes)
  const node = await lab.daemon({ set: { 'storage.quota': '40GiB' } })
  const { cid } = await node.json<{ cid: string }>(['add', path], { timeoutMs: 600_000 })
  const gateway = `${node.ready.gateway}/ipfs/${cid}`
  const server = new Peer(new URL('./http-file-peer.ts', import.meta.url), [path])
  try {
    const { url: plain } = await server.next<{ url: string }>()
    const whole = await best(runs, () => read(gateway))
    const plainWhole = await best(runs, () => read(plain))
    const car = await best(runs, () => read(`${gateway}?format=car`))
    const rangeMs = await rangesP99Ms(gateway, bytes, runs)
    const plainRangeMs = await rangesP99Ms(plain, bytes, runs)
    const size = `${round(bytes / MIB)} MiB`
    return [
      ratio(`gateway: a file of ${size}`, whole, plainWhole),
      ratio(`gateway: the same as a CAR`, car, plainWhole),
      {
        name: `gateway: ${CONCURRENT_RANGES} ranges of 64 KiB at a time, p99`,
        measured: `${round(rangeMs)} ms`,
        against: `node:http ${round(plainRangeMs)} ms`,
        value: rangeMs / plainRangeMs,
        unit: '×',
        note: `best of ${runs} runs of ${RANGES} ranges; each block that a range lies in is read and checked whole`,
      },
    ]
  } finally {
    await server.stop()
    await node.stop()
  }
}

function ratio(name: string, mibPerSecond: number, plain: number): Row {
  return {
    name,
    measured: `${round(mibPerSecond)} MiB/s`,
    against: `node:http ${round(plain)} MiB/s`,
    value: mibPerSecond / plain,
    unit: '×',
  }
}

async function read(url: string): Promise<{ bytes: number; durationMs: number }> {
  const startedAtMs = performance.now()
  const bytes = await bytesOf(url, {})
  return { bytes, durationMs: performance.now() - startedAtMs }
}

function bytesOf(url: string, options: { agent?: Agent; range?: string }): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const headers = options.range === undefined ? {} : { range: options.range }
  const request = get(
    url,
    { headers, ...(options.agent === undefined ? {} : { agent: options.agent }) },
    (response) => {
      let bytes = 0
      response.on('data', (part: Buffer) => {
        bytes += part.byteLength
      })
      response.on('error', reject)
      response.on('end', () => {
        if ((response.statusCode ?? 500) < 300) resolve(bytes)
        else reject(new Error(`${url} was answered ${response.statusCode}`))
      })
    },
  )
  request.on('error', reject)
  return promise
}

/** The 99th percentile of ranges at random places, with as many under way at a time; the best run's. */
async function rangesP99Ms(url: string, fileBytes: number, runs: number): Promise<number> {
  let bestMs = Infinity
  for (let run = 0; run < runs; run += 1) {
    const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENT_RANGES })
    const durationsMs: number[] = []
    let left = RANGES
    const reader = async (): Promise<void> => {
      while (left > 0) {
        left -= 1
        const start = Math.floor(Math.random() * (fileBytes - RANGE_BYTES))
        const startedAtMs = performance.now()
        await bytesOf(url, { agent, range: `bytes=${start}-${start + RANGE_BYTES - 1}` })
        durationsMs.push(performance.now() - startedAtMs)
      }
    }
    await Promise.all(Array.from({ length: CONCURRENT_RANGES }, reader))
    agent.destroy()
    const sorted = durationsMs.toSorted((a, b) => a - b)
    bestMs = Math.min(bestMs, sorted[Math.floor(sorted.length * 0.99)] ?? Infinity)
  }
  return bestMs
}
