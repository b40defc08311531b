import type { Flow } from '../../protocols/shared/bandwidth.ts'
import {
  type BandwidthLimiter,
  type BandwidthLimits,
  createBandwidth,
} from '../../src/network/bandwidth/index.ts'

export const free = { inBytesPerSecond: Infinity, outBytesPerSecond: Infinity }

/** No limits but the given ones. */
export function bandwidthLimits(changes: Partial<BandwidthLimits> = {}): BandwidthLimits {
  const protocols = {
    content: free,
    bitswap: free,
    chunk: free,
    gateway: free,
    torrent: free,
    reconcile: free,
  }
  return { global: free, perPeer: free, protocols, schedule: [], ...changes }
}

export interface Metered {
  limiter: BandwidthLimiter
  /** The most that was ever moved at a time above what the rate allows since the beginning, in milliseconds of the rate. */
  readonly mostAheadMs: number
  bytesOf(direction: Flow['direction']): number
  readonly waits: number
}

/** A limiter of one direction, of the node or of each peer, that checks itself at everything that moves. */
export function metered(
  direction: Flow['direction'],
  bytesPerSecond: number,
  scope: 'global' | 'perPeer' = 'global',
): Metered {
  const rates = { ...free, [`${direction}BytesPerSecond`]: bytesPerSecond }
  const startedMs = performance.now()
  const moved = new Map<string, number>()
  let mostAheadMs = -Infinity
  const limiter = createBandwidth({
    limits: bandwidthLimits({ [scope]: rates }),
    onMoved(flow, bytes) {
      if (flow.direction !== direction) return
      const who = scope === 'global' ? '' : flow.peer
      const sum = (moved.get(who) ?? 0) + bytes
      moved.set(who, sum)
      mostAheadMs = Math.max(mostAheadMs, (sum / bytesPerSecond) * 1000 - (performance.now() - startedMs))
    },
  })
  return {
    limiter,
    get mostAheadMs() {
      return mostAheadMs
    },
    get waits() {
      return limiter.statistics().reduce((sum, { waits }) => sum + waits, 0)
    },
    bytesOf: (way) =>
      limiter.statistics().reduce((sum, counted) => sum + (counted.direction === way ? counted.bytes : 0), 0),
  }
}
