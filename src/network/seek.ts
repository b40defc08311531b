import { randomBytes } from 'node:crypto'
import type { Libp2p } from '@libp2p/interface'
import { pEvent } from 'p-event'
import type { Logger } from '../telemetry/types.ts'
import { SEEK_LIMITS } from './limits.ts'

/** Looks for further peers through the DHT: the nearest ones, then those around random places. */
export interface Seeker {
  /**
   * Resolves when so many peers are connected and have told what they speak, when no more are found, or after a few
   * seconds. Several callers share one search; one that found nothing new is not repeated for a while.
   */
  seek(count: number, signal: AbortSignal): Promise<void>
  stop(): void
}

export interface SeekerOptions {
  libp2p: Libp2p
  log: Logger
  /** Whether the node was told of peers, which it may still be greeting when somebody seeks. */
  expectsPeers: boolean
}

export function createSeeker({ libp2p, log, expectsPeers }: SeekerOptions): Seeker {
  const stopping = new AbortController()
  const youngUntilMs = expectsPeers ? performance.now() + SEEK_LIMITS.youngMs : 0
  let searching: Promise<void> | undefined
  let wanted = 0
  /** The last search found no more than these; it is repeated after a while, or once others have come. */
  let last = { connected: -1, notBeforeMs: 0 }

  /** Peers of whom it is known what they speak. One that has just connected is of no use yet to whoever seeks. */
  const greeted = new Set(libp2p.getPeers().map(String))
  libp2p.addEventListener('peer:identify', ({ detail }) => greeted.add(detail.peerId.toString()), {
    signal: stopping.signal,
  })
  libp2p.addEventListener('peer:disconnect', ({ detail }) => greeted.delete(detail.toString()), {
    signal: stopping.signal,
  })

  const connected = (): number => greeted.size
  const isGreeting = (): boolean => libp2p.getPeers().some((peer) => !greeted.has(peer.toString()))
  const changed = (signal: AbortSignal): Promise<unknown> =>
    pEvent(libp2p, ['peer:identify', 'peer:disconnect'], { signal })

  async function walk(key: Uint8Array, signal: AbortSignal): Promise<void> {
    // Without routes a walk would wait for some as long as it may.
    if (libp2p.getPeers().length === 0) return
    for await (const { id } of libp2p.peerRouting.getClosestPeers(key, { signal })) {
      if (libp2p.getPeers().length >= wanted) return
      if (id.equals(libp2p.peerId) || libp2p.getConnections(id).length > 0) continue
      try {
        await libp2p.dial(id, { signal })
      } catch (error) {
        signal.throwIfAborted()
        log.debug({ peer: id.toString(), err: error }, 'a peer that was found could not be reached')
      }
    }
  }

  async function search(): Promise<void> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(SEEK_LIMITS.timeoutMs)])
    try {
      for (let round = 0; round < SEEK_LIMITS.walks && connected() < wanted; round += 1) {
        const before = connected()
        await walk(round === 0 ? libp2p.peerId.toMultihash().bytes : randomBytes(32), signal)
        while (connected() < wanted && isGreeting()) await changed(signal)
        if (connected() > before || connected() >= wanted) continue
        if (performance.now() >= youngUntilMs) break
        await changed(signal)
      }
    } catch (error) {
      // The search ends with its time: what is connected by then has to do.
      log.debug({ err: error, connected: connected(), wanted }, 'the search for peers ended')
    }
    last = { connected: connected(), notBeforeMs: performance.now() + SEEK_LIMITS.pauseMs }
    wanted = 0
  }

  return {
    async seek(count, signal) {
      if (connected() >= count || stopping.signal.aborted) return
      const isRepeated = performance.now() < last.notBeforeMs && connected() <= last.connected
      if (searching === undefined && isRepeated) return
      wanted = Math.max(wanted, count)
      searching ??= search().finally(() => {
        searching = undefined
      })
      await untilEither(searching, signal)
      signal.throwIfAborted()
    },
    stop: () => stopping.abort(),
  }
}

function untilEither(search: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      signal.removeEventListener('abort', end)
      resolve()
    }
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    void search.then(end)
  })
}
