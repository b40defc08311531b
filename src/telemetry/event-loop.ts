import { monitorEventLoopDelay } from 'node:perf_hooks'

/** How often a loop that works is probed: fine enough for the 50 ms that nothing may block it, at 50 wake-ups a second. */
const BUSY_RESOLUTION_MS = 20
/**
 * How often one that sleeps is probed: each wake-up of a sleeping process costs it some 0.05 ms, and an idle node has few
 * others. A blockage shorter than this may be missed; the percentiles are those of fewer probes.
 */
const IDLE_RESOLUTION_MS = 100
/**
 * The share of a processor that the process must use in a window for the next one to be probed finely. Not the loop's own
 * utilization: on a crowded machine that counts the time in which others run.
 */
const BUSY_SHARE = 0.05

/** Figures are over windows of this length: long enough for a 99th percentile (250 probes), short enough to be "now". */
export const WINDOW_MS = 5000

const NANOSECONDS_PER_MS = 1e6

/** How late the event loop runs what is due, in milliseconds. */
export interface EventLoopDelay {
  p50Ms: number
  p99Ms: number
  maxMs: number
}

export interface EventLoopMonitor {
  /** Over the last whole window; before the first has ended, over what there is of it. */
  read(): EventLoopDelay
  close(): void
}

/** Watches the event loop. `onWindow` gets the figures of every window that ended. */
export function monitorEventLoop(onWindow: (delay: EventLoopDelay) => void): EventLoopMonitor {
  // A node that starts works.
  let probe = startProbe(BUSY_RESOLUTION_MS)
  let last: EventLoopDelay | undefined
  let usedMicroseconds = processorTime()
  const timer = setInterval(() => {
    last = probe.summarize()
    const now = processorTime()
    const share = (now - usedMicroseconds) / (WINDOW_MS * 1000)
    usedMicroseconds = now
    const resolutionMs = share > BUSY_SHARE ? BUSY_RESOLUTION_MS : IDLE_RESOLUTION_MS
    if (resolutionMs === probe.resolutionMs) probe.reset()
    else {
      probe.close()
      probe = startProbe(resolutionMs)
    }
    onWindow(last)
  }, WINDOW_MS)
  timer.unref()
  return {
    read: () => last ?? probe.summarize(),
    close() {
      clearInterval(timer)
      probe.close()
    },
  }
}

function processorTime(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

interface Probe {
  readonly resolutionMs: number
  summarize(): EventLoopDelay
  reset(): void
  close(): void
}

function startProbe(resolutionMs: number): Probe {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs })
  /** What is recorded is the time between two probes; what exceeds the resolution is delay. */
  const delayMs = (nanoseconds: number): number =>
    Math.max(0, nanoseconds / NANOSECONDS_PER_MS - resolutionMs)
  histogram.enable()
  return {
    resolutionMs,
    summarize: () =>
      histogram.count === 0
        ? { p50Ms: 0, p99Ms: 0, maxMs: 0 }
        : {
            p50Ms: delayMs(histogram.percentile(50)),
            p99Ms: delayMs(histogram.percentile(99)),
            maxMs: delayMs(histogram.max),
          },
    reset: () => histogram.reset(),
    close: () => void histogram.disable(),
  }
}
