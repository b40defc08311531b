/** An idle process beside what is measured: what the machine alone does to an event loop. Prints its p99 when asked by a line. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

const histogram = monitorEventLoopDelay({ resolution: 10 })
histogram.enable()
setInterval(
  () => {
    process.stdout.write(`${JSON.stringify({ p99Ms: histogram.percentile(99) / 1e6 })}\n`)
    histogram.reset()
  },
  Number(process.argv[2] ?? 2_000),
)
