/**
 * Runs inside a daemon that is measured (`node --import`): how long its own main thread worked between two turns of its event loop.
 * On a crowded machine a loop is late because others run; processor time of the thread tells what the node itself held up.
 * Appends a line of JSON for each window to the file named by BENCH_LOOP_FOLDER and the process id.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createHistogram, performance } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const PROBE_MS = 10
const WINDOW_MS = 5_000
const folder = process.env['BENCH_LOOP_FOLDER']

if (isMainThread && folder !== undefined && process.argv.includes('start')) watch(folder)

function watch(into: string): void {
  const file = join(into, `${process.pid}.jsonl`)
  const busy = createHistogram()
  let windowEndsMs = performance.now() + WINDOW_MS
  let usedBefore = usedMicroseconds()
  setInterval(() => {
    const used = usedMicroseconds()
    busy.record(Math.max(1, Math.round(used - usedBefore)))
    usedBefore = used
    if (performance.now() < windowEndsMs) return
    appendFileSync(file, `${JSON.stringify({ busyP99Ms: busy.percentile(99) / 1_000 })}\n`)
    busy.reset()
    windowEndsMs = performance.now() + WINDOW_MS
  }, PROBE_MS).unref()
}

function usedMicroseconds(): number {
  const { user, system } = process.threadCpuUsage()
  return user + system
}
