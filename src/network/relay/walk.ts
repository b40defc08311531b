import { setTimeout as sleep } from 'node:timers/promises'
import type { RandomWalk } from '@libp2p/interface-internal'
import { RELAY_LIMITS } from '../limits.ts'

/**
 * A random walk that is bounded. libp2p's own goes on as long as somebody asks, and both the search for relays and
 * AutoNAT ask for as long as they have not found what they want: on a small network that is for ever, at full speed.
 */
export function seldomWalk(walk: RandomWalk): RandomWalk {
  let nextAtMs = 0
  return {
    async *walk(options) {
      if (Date.now() < nextAtMs) return
      nextAtMs = Date.now() + RELAY_LIMITS.walkPauseMs
      let left: number = RELAY_LIMITS.walkPeers
      for await (const peer of walk.walk(options)) {
        yield peer
        left -= 1
        if (left === 0) return
      }
    },
  }
}

/** The same for whoever wants to be handed peers until it says stop: a bounded walk, a pause, and again. */
export function patientWalk(walk: RandomWalk, pauseMs: number = RELAY_LIMITS.walkPauseMs): RandomWalk {
  return {
    async *walk(options) {
      for (;;) {
        let left: number = RELAY_LIMITS.walkPeers
        for await (const peer of walk.walk(options)) {
          yield peer
          left -= 1
          if (left === 0) break
        }
        await sleep(pauseMs, undefined, {
          ref: false,
          ...(options?.signal ? { signal: options.signal } : {}),
        })
      }
    },
  }
}
