import { monitorEventLoopDelay } from 'node:perf_hooks'

/** How often the loop is probed: fine enough for the 50 ms that nothing may block it, at 50 wake-ups a second. */
const RESOLUTION_MS = 20

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
  const probe = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  let last: EventLoopDelay | undefined
  probe.enable()
  const timer = setInterval(() => {
    last = summarize(probe)
    probe.reset()
    onWindow(last)
  }, WINDOW_MS)
  timer.unref()
  return {
    read: () => last ?? summarize(probe),
    close() {
      clearInterval(timer)
      probe.disable()
    },
  }
}

function summarize(probe: ReturnType<typeof monitorEventLoopDelay>): EventLoopDelay {
  if (probe.count === 0) return { p50Ms: 0, p99Ms: 0, maxMs: 0 }
  return {
    p50Ms: delayMs(probe.percentile(50)),
    p99Ms: delayMs(probe.percentile(99)),
    maxMs: delayMs(probe.max),
  }
}

/** What is recorded is the time between two probes; what exceeds the resolution is delay. */
function delayMs(nanoseconds: number): number {
  return Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS)
}
