import { randomBytes } from 'node:crypto'
import type { Libp2p, PeerId } from '@libp2p/interface'
import { pEvent } from 'p-event'
import type { Logger } from '../telemetry/types.ts'
import { SEEK_LIMITS } from './limits.ts'

/** Looks for further peers through the DHT: the nearest ones, then those around random places. */
export interface Seeker {
  /**
   * Resolves when so many connected peers are of the kind that is sought, when no more are found, or after a few seconds.
   * Several callers share one search; one that found nothing new is not repeated for a while.
   */
  seek(count: number, signal: AbortSignal): Promise<void>
  stop(): void
}

export interface SeekerOptions {
  libp2p: Libp2p
  log: Logger
  /** Connected peers of the kind that is sought: those that speak a protocol, known from `peer:identify` on. */
  found(): readonly PeerId[]
  /** Whether the node was told of peers, which it may still be greeting when somebody seeks. */
  expectsPeers: boolean
}

export function createSeeker({ libp2p, log, found, expectsPeers }: SeekerOptions): Seeker {
  const stopping = new AbortController()
  const youngUntilMs = expectsPeers ? performance.now() + SEEK_LIMITS.youngMs : 0
  let searching: Promise<void> | undefined
  let wanted = 0
  /** The last search found no more than these; it is repeated after a while, or once others have come. */
  let last = { greeted: -1, notBeforeMs: 0 }

  /** Peers that have said what they speak. One that has just connected may yet turn out to be of the kind. */
  const greeted = new Set(libp2p.getPeers().map(String))
  libp2p.addEventListener('peer:identify', ({ detail }) => greeted.add(detail.peerId.toString()), {
    signal: stopping.signal,
  })
  libp2p.addEventListener('peer:disconnect', ({ detail }) => greeted.delete(detail.toString()), {
    signal: stopping.signal,
  })

  const isFound = (): boolean => found().length >= wanted
  /** Connected a moment ago, and nothing said yet. Identify is tried once: who has not said it by then never will. */
  const greeting = (): number => {
    const sinceMs = Date.now() - SEEK_LIMITS.greetingMs
    const fresh = libp2p
      .getConnections()
      .filter(({ timeline, remotePeer }) => timeline.open >= sinceMs && !greeted.has(remotePeer.toString()))
    return new Set(fresh.map(({ remotePeer }) => remotePeer.toString())).size
  }
  const isYoung = (): boolean => performance.now() < youngUntilMs
  const changed = (signal: AbortSignal): Promise<unknown> =>
    pEvent(libp2p, ['peer:identify', 'peer:disconnect'], { signal })

  /** Connects to peers around a key, until those that have not said yet what they are could be enough. */
  async function walk(key: Uint8Array, signal: AbortSignal): Promise<void> {
    // Without routes a walk would wait for some as long as it may.
    if (libp2p.getPeers().length === 0) return
    for await (const { id } of libp2p.peerRouting.getClosestPeers(key, { signal })) {
      if (found().length + greeting() >= wanted) return
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
      let barren = 0
      for (let walks = 0; !isFound() && (walks < SEEK_LIMITS.walks || isYoung()); walks += 1) {
        const before = greeted.size
        await walk(walks === 0 ? libp2p.peerId.toMultihash().bytes : randomBytes(32), signal)
        while (!isFound() && greeting() > 0) await unlessSooner(changed, SEEK_LIMITS.barrenPauseMs, signal)
        barren = greeted.size > before ? 0 : barren + 1
        if (isFound() || barren === 0) continue
        if (barren >= SEEK_LIMITS.barrenWalks && !isYoung()) break
        await unlessSooner(changed, SEEK_LIMITS.barrenPauseMs, signal)
      }
    } catch (error) {
      // The search ends with its time: what is connected by then has to do.
      log.debug({ err: error, found: found().length, wanted }, 'the search for peers ended')
    }
    last = { greeted: greeted.size, notBeforeMs: performance.now() + SEEK_LIMITS.pauseMs }
    wanted = 0
  }

  return {
    async seek(count, signal) {
      if (found().length >= count || stopping.signal.aborted) return
      const isSame = greeted.size <= last.greeted && greeting() === 0
      const isRepeated = isSame && performance.now() < last.notBeforeMs
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

/** Waits so long, or until what happens sooner. @throws the signal's reason */
async function unlessSooner(
  happens: (signal: AbortSignal) => Promise<unknown>,
  pauseMs: number,
  signal: AbortSignal,
): Promise<void> {
  await happens(AbortSignal.any([signal, AbortSignal.timeout(pauseMs)])).catch(() => {})
  signal.throwIfAborted()
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
