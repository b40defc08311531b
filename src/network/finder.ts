import { randomBytes } from 'node:crypto'
import type {
  Libp2pEvents,
  PeerId,
  PeerRouting,
  PeerStore,
  Startable,
  TypedEventTarget,
} from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Logger } from '../telemetry/types.ts'
import type { Policy } from '../trust/contract.ts'
import type { AddressPolicy } from './addresses.ts'
import { backoffMs } from './backoff.ts'
import { forgetOldest } from '../../protocols/shared/forget-oldest.ts'
import type { PeerHistory } from './history/index.ts'
import { CONNECTION_LIMITS } from './limits.ts'
import { FINDER_LIMITS } from './peer-limits.ts'

export interface FinderComponents {
  peerId: PeerId
  connectionManager: ConnectionManager
  peerStore: PeerStore
  peerRouting: PeerRouting
  events: TypedEventTarget<Libp2pEvents>
}

export interface FinderOptions {
  /** Below so many connected peers it looks for further ones; 0 switches it off. */
  minConnections: number
  maxConnections: number
  history: Pick<PeerHistory, 'candidates' | 'failed'>
  addresses: AddressPolicy
  trust: Policy
  log: Logger
  /** Peers that the operator let go. */
  isReleased: (peer: string) => boolean
  /** Tries the bootstrap list at once, whatever its backoff says. */
  hastenBootstrap: () => void
}

/**
 * Keeps `network.minConnections` peers connected: those that were connected before first, then what the DHT knows, then
 * the bootstrap list. A search that finds nobody is repeated ever less often; nothing runs while there are enough.
 */
export function finder(options: FinderOptions): (components: FinderComponents) => Startable {
  return (components) => createFinder(options, components)
}

function createFinder(options: FinderOptions, components: FinderComponents): Startable {
  const { history, addresses, trust, log, isReleased, hastenBootstrap } = options
  const { connectionManager, peerRouting, events, peerId: self } = components
  const wanted = Math.min(options.minConnections, options.maxConnections)
  /** When a peer that could not be reached may be dialled again. */
  const failed = new Map<string, { attempts: number; notBeforeMs: number }>()
  let stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let dueMs = Infinity
  let isSearching = false
  let fruitless = 0

  const connected = (): number => connectionManager.getConnectionsMap().size
  const missing = (): number => wanted - connected()

  function schedule(inMs: number): void {
    if (stopping.signal.aborted || missing() <= 0 || isSearching) return
    const atMs = performance.now() + inMs
    if (atMs >= dueMs) return
    clearTimeout(timer)
    dueMs = atMs
    timer = setTimeout(() => void search(), inMs).unref()
  }

  async function search(): Promise<void> {
    timer = undefined
    dueMs = Infinity
    const { signal: ended } = stopping
    if (isSearching || ended.aborted || missing() <= 0) return
    isSearching = true
    const before = connected()
    try {
      const signal = AbortSignal.any([ended, AbortSignal.timeout(FINDER_LIMITS.searchMs)])
      await dialKnown(signal)
      for (let walk = 0; walk < FINDER_LIMITS.walks && missing() > 0; walk++) {
        // Around this node there were all that there are: a random place would show the same ones.
        if ((await walkDht(walk, signal)) < FINDER_LIMITS.peersPerWalk) break
      }
      if (missing() > 0) hastenBootstrap()
    } catch (error) {
      if (!ended.aborted) log.debug({ err: error }, 'a search for peers ended early')
    } finally {
      isSearching = false
    }
    if (ended.aborted) return
    const found = connected() - before
    fruitless = found > 0 ? 0 : fruitless + 1
    log.debug({ found, connected: connected(), wanted }, 'searched for peers')
    schedule(backoffMs(fruitless, { firstMs: FINDER_LIMITS.firstPauseMs, maxMs: FINDER_LIMITS.maxPauseMs }))
  }

  async function dialKnown(signal: AbortSignal): Promise<void> {
    const candidates = history
      .candidates(FINDER_LIMITS.candidates + connected())
      .filter(({ peer }) => mayDial(peer))
      .slice(0, FINDER_LIMITS.candidates)
    async function worker(): Promise<void> {
      for (let next = candidates.shift(); next !== undefined; next = candidates.shift()) {
        if (missing() <= 0 || signal.aborted) return
        const known = next
        const targets = known.addresses.map((text) => multiaddr(text).encapsulate(`/p2p/${known.peer}`))
        for (const target of targets) addresses.permit(target)
        await dial(known.peer, targets, signal)
      }
    }
    await Promise.all(Array.from({ length: FINDER_LIMITS.parallelDials }, worker))
    signal.throwIfAborted()
  }

  /** The first time around this node itself, then around a random place. Returns how many peers it came by. */
  async function walkDht(walk: number, signal: AbortSignal): Promise<number> {
    if (connected() === 0) return 0
    let seen = 0
    const key = walk === 0 ? self.toMultihash().bytes : randomBytes(32)
    for await (const { id, multiaddrs } of peerRouting.getClosestPeers(key, { signal })) {
      seen += 1
      if (missing() <= 0) break
      if (id.equals(self) || !mayDial(id.toString())) continue
      const named = multiaddrs.slice(0, CONNECTION_LIMITS.maxAddressesPerPeer)
      await dial(
        id.toString(),
        named.map((address) => address.encapsulate(`/p2p/${id.toString()}`)),
        signal,
      )
    }
    return seen
  }

  function mayDial(peer: string): boolean {
    const isConnected = connectionManager.getConnections(peerIdFromString(peer)).length > 0
    const isLeftAlone = performance.now() < (failed.get(peer)?.notBeforeMs ?? 0)
    return !isConnected && !isLeftAlone && !isReleased(peer) && trust.decide(peer, 'dial').allowed
  }

  async function dial(
    peer: string,
    targets: Parameters<ConnectionManager['openConnection']>[0] & unknown[],
    signal: AbortSignal,
  ): Promise<void> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(CONNECTION_LIMITS.dialTimeoutMs)])
    try {
      const target = targets.length > 0 ? targets : peerIdFromString(peer)
      await connectionManager.openConnection(target, { signal: bounded })
      failed.delete(peer)
    } catch (error) {
      signal.throwIfAborted()
      history.failed(peer)
      remember(peer)
      log.debug({ peer, err: error }, 'a peer that was known could not be reached')
    }
  }

  function remember(peer: string): void {
    const attempts = failed.get(peer)?.attempts ?? 0
    failed.delete(peer)
    forgetOldest(failed, FINDER_LIMITS.maxFailed)
    const backoff = { firstMs: FINDER_LIMITS.firstRetryMs, maxMs: FINDER_LIMITS.maxRetryMs }
    failed.set(peer, {
      attempts: attempts + 1,
      notBeforeMs: performance.now() + backoffMs(attempts, backoff),
    })
  }

  function onConnect(event: CustomEvent<PeerId>): void {
    failed.delete(event.detail.toString())
    if (fruitless > 0) {
      // Somebody new knows others.
      fruitless = 0
      schedule(FINDER_LIMITS.firstPauseMs)
    }
    if (missing() > 0) return
    clearTimeout(timer)
    dueMs = Infinity
  }

  function onDisconnect(): void {
    schedule(FINDER_LIMITS.afterLossMs)
  }

  return {
    start() {
      stopping = new AbortController()
      events.addEventListener('peer:connect', onConnect)
      events.addEventListener('peer:disconnect', onDisconnect)
    },
    // Only then do the transports listen and the gater's neighbours run.
    afterStart: () => schedule(0),
    stop() {
      stopping.abort()
      events.removeEventListener('peer:connect', onConnect)
      events.removeEventListener('peer:disconnect', onDisconnect)
      clearTimeout(timer)
      timer = undefined
      dueMs = Infinity
      failed.clear()
    },
  }
}
