import type {
  Libp2pEvents,
  PeerDiscovery,
  PeerId,
  PeerInfo,
  PeerStore,
  Startable,
  TypedEventTarget,
} from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import type { Logger } from '../telemetry/types.ts'
import type { Evidence } from '../trust/contract.ts'
import type { AddressPolicy } from './addresses.ts'
import { peerOf } from './addresses.ts'
import { backoffMs } from './backoff.ts'
import { addressInvalid } from './errors.ts'
import { forgetOldest } from '../../protocols/shared/forget-oldest.ts'
import { forgetKeepAlive } from './keep-alive.ts'
import { CONNECTION_LIMITS } from './limits.ts'

/** Attempts on one bootstrap peer: soon at first, later rarely enough to be no load on a network that is away. */
const BOOTSTRAP_BACKOFF = { firstMs: 1_000, maxMs: 60_000 }
/** A bootstrap peer is kept before others when connections are pruned; the value @libp2p/bootstrap gives. */
const BOOTSTRAP_TAG = { bootstrap: { value: 50 } }
/** Dials to local peers at once; mDNS repeats itself every 10 s, so that what is left out now comes again. */
const LOCAL_MAX_DIALS = 4
/** Local peers stop being dialled when so many of the connections are taken. */
const LOCAL_MAX_SHARE = 0.5
const LOCAL_BACKOFF = { firstMs: 10_000, maxMs: 600_000 }
/** Half of the time between two queries of mDNS: an answer comes over each interface, so that the next one is no sign. */
const LOCAL_GIVE_WAY_MS = 5_000
/** Local peers that are remembered as seen or failed; over that the oldest is forgotten. */
const LOCAL_MAX_REMEMBERED = 1_024
/** Peers that an operator let go; over that the oldest may be dialled again. */
const RELEASED_MAX = 1_024
/** Addresses of one mDNS answer that are tried; anybody on the local network may send one. */
const LOCAL_MAX_ADDRESSES = 8

export interface DiscoveryComponents {
  peerId: PeerId
  connectionManager: ConnectionManager
  peerStore: PeerStore
  events: TypedEventTarget<Libp2pEvents>
  /** Where mDNS is on; libp2p keeps it under the name it has among the services. */
  mdns?: PeerDiscovery
}

export interface DiscoveryOptions {
  bootstrap: readonly string[]
  maxConnections: number
  addresses: AddressPolicy
  trust: Evidence
  log: Logger
  withMdns: boolean
}

/**
 * Connects to the peers that this node was told of: the bootstrap list, again and again while they are away, and what
 * mDNS finds. libp2p 3 itself only writes discovered peers into its peer store, and its bootstrap module dials once.
 */
export interface Discovery extends Startable {
  /** An operator names an address: it is dialled whatever the mode, and its peer is kept again. */
  hold(address: Multiaddr): void
  /** An operator lets a peer go: nothing here dials it again until it is named or the node starts anew. */
  release(peer: PeerId): Promise<void>
  isReleased(peer: string): boolean
  isBootstrap(peer: string): boolean
  /** Tries those of the bootstrap list that are away at once, whatever their turn. */
  hasten(): void
}

/** One peer of the bootstrap list with all its addresses. */
interface BootstrapPeer {
  /** Unknown where the address has no peer id, until the first connection. */
  peer: PeerId | undefined
  addresses: Multiaddr[]
  attempt: number
  timer: NodeJS.Timeout | undefined
  /** True while an operator does not want it. */
  isReleased: boolean
}

export function discovery(options: DiscoveryOptions): (components: DiscoveryComponents) => Discovery {
  const targets = groupByPeer(options.bootstrap)
  return (components) => createDiscovery(options, targets, components)
}

function createDiscovery(
  { maxConnections, addresses, trust, log, withMdns }: DiscoveryOptions,
  targets: BootstrapPeer[],
  components: DiscoveryComponents,
): Discovery {
  const { connectionManager, peerStore, events, peerId: self } = components
  let stopping = new AbortController()
  /** Local peers: when one may be dialled, by peer id. */
  const local = new Map<string, { notBeforeMs: number; attempt: number }>()
  let localDials = 0
  /** Peers that the operator let go. */
  const released = new Set<string>()

  async function open(target: PeerId | Multiaddr[]): Promise<PeerId> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(CONNECTION_LIMITS.dialTimeoutMs)])
    const connection = await connectionManager.openConnection(target, { signal })
    return connection.remotePeer
  }

  async function dialBootstrap(target: BootstrapPeer): Promise<void> {
    target.timer = undefined
    const { signal } = stopping
    try {
      target.peer = await open(target.addresses)
      target.attempt = 0
      await peerStore.merge(target.peer, { tags: BOOTSTRAP_TAG })
      log.info({ peer: target.peer.toString() }, 'connected to a bootstrap peer')
    } catch (error) {
      if (signal.aborted) {
        return
      }
      if (target.peer !== undefined) {
        trust.report(target.peer.toString(), 'dial-failed', { reason: nameOf(error) })
      }
      const level = target.attempt === 0 ? 'warn' : 'debug'
      log[level](
        { address: target.addresses[0]?.toString(), err: error },
        'a bootstrap peer could not be reached; trying again',
      )
      schedule(target)
    }
  }

  function schedule(target: BootstrapPeer): void {
    if (target.timer !== undefined || stopping.signal.aborted) {
      return
    }
    target.timer = setTimeout(
      () => void dialBootstrap(target),
      backoffMs(target.attempt++, BOOTSTRAP_BACKOFF),
    ).unref()
  }

  function onDisconnect(event: CustomEvent<PeerId>): void {
    for (const target of targets) {
      if (target.peer?.equals(event.detail) === true && !target.isReleased) {
        schedule(target)
      }
    }
  }

  function onLocalPeer(event: CustomEvent<PeerInfo>): void {
    const { id } = event.detail
    const key = id.toString()
    if (id.equals(self) || released.has(key) || connectionManager.getConnections(id).length > 0) {
      return
    }
    const known = local.get(key)
    if (known === undefined && self.toString() > key) {
      // Both sides hear of each other at once. The one with the smaller id dials, the other only when nothing has come
      // of it for a while; otherwise there would be two connections.
      remember(key, { notBeforeMs: Date.now() + LOCAL_GIVE_WAY_MS, attempt: 0 })
      return
    }
    if (
      localDials >= LOCAL_MAX_DIALS ||
      Date.now() < (known?.notBeforeMs ?? 0) ||
      connectionManager.getConnections().length >= maxConnections * LOCAL_MAX_SHARE
    ) {
      return
    }
    void dialLocal(event.detail, known?.attempt ?? 0)
  }

  async function dialLocal({ id, multiaddrs }: PeerInfo, attempt: number): Promise<void> {
    const key = id.toString()
    const named = multiaddrs
      .slice(0, LOCAL_MAX_ADDRESSES)
      .map((address) => address.encapsulate(`/p2p/${key}`))
    localDials++
    // Until the dial has ended the same answer changes nothing.
    remember(key, { notBeforeMs: Date.now() + CONNECTION_LIMITS.dialTimeoutMs, attempt })
    try {
      for (const address of named) {
        addresses.permit(address)
      }
      await open(named)
      local.delete(key)
      log.info({ peer: key }, 'connected to a peer of the local network')
    } catch (error) {
      if (!stopping.signal.aborted) {
        remember(key, { notBeforeMs: Date.now() + backoffMs(attempt, LOCAL_BACKOFF), attempt: attempt + 1 })
        log.debug({ peer: key, err: error }, 'a peer of the local network could not be reached')
      }
    } finally {
      localDials--
    }
  }

  function remember(key: string, entry: { notBeforeMs: number; attempt: number }): void {
    local.delete(key)
    forgetOldest(local, LOCAL_MAX_REMEMBERED)
    local.set(key, entry)
  }

  if (withMdns) {
    components.mdns?.addEventListener('peer', onLocalPeer)
  }

  return {
    hold(address) {
      addresses.permit(address)
      const peer = peerOf(address)
      if (peer !== undefined) released.delete(peer)
      for (const target of targets) {
        target.isReleased &&= target.peer?.toString() !== peer
      }
    },
    async release(peer) {
      for (const target of targets) {
        if (target.peer?.equals(peer) === true) {
          target.isReleased = true
        }
      }
      forgetOldest(released, RELEASED_MAX)
      released.add(peer.toString())
      await forgetKeepAlive(peerStore, peer)
    },
    isReleased: (peer) => released.has(peer),
    isBootstrap: (peer) => targets.some((target) => target.peer?.toString() === peer),
    hasten() {
      for (const target of targets) {
        if (target.timer === undefined) continue
        clearTimeout(target.timer)
        void dialBootstrap(target)
      }
    },
    start() {
      stopping = new AbortController()
      events.addEventListener('peer:disconnect', onDisconnect)
    },
    // The transports listen and the protocols are registered only after every service has started.
    afterStart() {
      for (const target of targets) {
        if (target.peer?.equals(self) === true) {
          continue
        }
        for (const address of target.addresses) {
          addresses.permit(address)
        }
        void dialBootstrap(target)
      }
    },
    stop() {
      stopping.abort()
      events.removeEventListener('peer:disconnect', onDisconnect)
      for (const target of targets) {
        clearTimeout(target.timer)
        target.timer = undefined
      }
    },
  }
}

/** @throws ERR_ADDRESS_INVALID */
function groupByPeer(bootstrap: readonly string[]): BootstrapPeer[] {
  const byPeer = new Map<string, BootstrapPeer>()
  for (const text of bootstrap) {
    const { address, peer } = parseBootstrap(text)
    const key = peer?.toString() ?? text
    const known = byPeer.get(key)
    if (known === undefined) {
      byPeer.set(key, { peer, addresses: [address], attempt: 0, timer: undefined, isReleased: false })
    } else {
      known.addresses.push(address)
    }
  }
  return [...byPeer.values()]
}

function parseBootstrap(text: string): { address: Multiaddr; peer: PeerId | undefined } {
  try {
    const address = multiaddr(text)
    const peer = peerOf(address)
    return { address, peer: peer === undefined ? undefined : peerIdFromString(peer) }
  } catch (cause) {
    throw addressInvalid(
      text,
      'in network.bootstrap is not a multiaddr such as /ip4/192.0.2.1/tcp/4700/p2p/12D3…',
      cause,
    )
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'Error'
}
