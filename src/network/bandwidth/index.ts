/**
 * The bandwidth limiter: token buckets for the node, for each peer and for each protocol, both ways, with times of day at
 * which other rates hold for the node.
 *
 * @example
 *
 * ```ts
 * const bandwidth = createBandwidth({ limits: config.limits.bandwidth })
 * const wait = bandwidth.take({ direction: 'out', peer, protocol: 'content' }, frame.length, signal)
 * if (wait !== undefined) await wait
 * ```
 *
 * Reading order: `protocols/shared/bandwidth.ts` (the contract), `bucket.ts`, `lane.ts` (whose turn it is), `limits.ts`.
 */
import { parseSchedule, scheduledRate, type ScheduleEntry } from '../../../config/schedule.ts'
import type { Bandwidth, BandwidthProtocol, Flow } from '../../../protocols/shared/bandwidth.ts'
import { Lane, type LaneRates } from './lane.ts'

interface BothWays {
  readonly inBytesPerSecond: number
  readonly outBytesPerSecond: number
}

/** As `config.limits.bandwidth` holds it. */
export interface BandwidthLimits {
  readonly global: BothWays
  readonly perPeer: BothWays
  readonly protocols: Readonly<Record<BandwidthProtocol, BothWays>>
  readonly schedule: readonly string[]
}

export interface BandwidthOptions {
  limits: BandwidthLimits
  /** Told of everything that moves. */
  onMoved?: (flow: Flow, bytes: number) => void
  /** The time of day, in milliseconds since the Unix epoch; tests pass their own. */
  now?: () => number
}

export interface FlowStatistics {
  direction: Flow['direction']
  protocol: BandwidthProtocol
  bytes: number
  /** How often somebody had to wait, and how long in all. */
  waits: number
  waitedMs: number
}

export interface BandwidthLimiter extends Bandwidth {
  /** By protocol and direction, of those that have moved anything. */
  statistics(): FlowStatistics[]
  /** Who waits now. */
  waiting(): { in: number; out: number }
  /** Peers that there is a bucket for. */
  remembered(): { in: number; out: number }
  stop(): void
}

const MINUTE_MS = 60_000

export function createBandwidth({ limits, onMoved, now = Date.now }: BandwidthOptions): BandwidthLimiter {
  const schedule = limits.schedule.map(parseSchedule)
  const counts = new Map<string, FlowStatistics>()

  function count(flow: Flow): FlowStatistics {
    const key = `${flow.direction} ${flow.protocol}`
    let known = counts.get(key)
    if (known === undefined) {
      known = { direction: flow.direction, protocol: flow.protocol, bytes: 0, waits: 0, waitedMs: 0 }
      counts.set(key, known)
    }
    return known
  }

  function onWaited(flow: Flow, waitedMs: number): void {
    const counted = count(flow)
    counted.waits += 1
    counted.waitedMs += waitedMs
  }

  /** The minute of the wall clock whose rates are in force; a clock that jumps is followed either way. */
  let minute = Math.floor(now() / MINUTE_MS)
  const lanes = {
    in: new Lane(ratesOf(limits, 'in', schedule, now()), onWaited),
    out: new Lane(ratesOf(limits, 'out', schedule, now()), onWaited),
  }

  function followSchedule(): void {
    if (schedule.length === 0) return
    const atMs = now()
    const current = Math.floor(atMs / MINUTE_MS)
    if (current === minute) return
    minute = current
    lanes.in.setRates(ratesOf(limits, 'in', schedule, atMs))
    lanes.out.setRates(ratesOf(limits, 'out', schedule, atMs))
  }

  function moved(flow: Flow, bytes: number): void {
    count(flow).bytes += bytes
    onMoved?.(flow, bytes)
  }

  function reserve(flow: Flow, bytes: number, signal: AbortSignal): Promise<void> | undefined {
    followSchedule()
    return lanes[flow.direction].take(flow, bytes, signal)
  }

  return {
    take(flow, bytes, signal) {
      const wait = reserve(flow, bytes, signal)
      if (wait !== undefined) return wait.then(() => moved(flow, bytes))
      moved(flow, bytes)
      return undefined
    },
    reserve,
    moved,
    sliceBytes(flow) {
      followSchedule()
      return lanes[flow.direction].sliceBytes(flow)
    },
    statistics: () => [...counts.values()].map((counted) => ({ ...counted })),
    waiting: () => ({ in: lanes.in.waiters, out: lanes.out.waiters }),
    remembered: () => ({ in: lanes.in.peerBuckets, out: lanes.out.peerBuckets }),
    stop() {
      lanes.in.stop()
      lanes.out.stop()
    },
  }
}

function ratesOf(
  { global, perPeer, protocols }: BandwidthLimits,
  direction: Flow['direction'],
  schedule: readonly ScheduleEntry[],
  atMs: number,
): LaneRates {
  const name = `${direction}BytesPerSecond` as const
  return {
    global: scheduledRate(schedule, direction, new Date(atMs)) ?? global[name],
    perPeer: perPeer[name],
    protocols: Object.fromEntries(
      Object.entries(protocols).map(([protocol, rates]) => [protocol, rates[name]]),
    ),
  }
}
