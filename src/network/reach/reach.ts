import type { Connection, IdentifyResult, Libp2pEvents, Startable, TypedEventTarget } from '@libp2p/interface'
import type { AddressManager, TransportManager } from '@libp2p/interface-internal'
import type { KadDHT } from '@libp2p/kad-dht'
import { isLoopback, isPrivate } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import type { Logger } from '../../telemetry/types.ts'
import { hostOf } from '../addresses.ts'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import { REACH_LIMITS, RELAY_LIMITS } from '../limits.ts'
import type { NetworkSettings } from '../settings.ts'
import { isRelayed } from '../transports/shape.ts'
import type { Interfaces } from './interfaces.ts'

/** How others come to this node, as far as it knows. */
export interface ReachState {
  /**
   * `unknown`: no peer has said yet at which address it sees this node. `direct`: at one of its own, or AutoNAT has
   * reached it. `behind-nat`: at one that is not its own, and nobody has reached it there.
   */
  reachability: 'unknown' | 'direct' | 'behind-nat'
  /** Hosts that others see this node at and that are not its own. */
  observed: string[]
  /** Peer ids of the relays at which it holds a slot. */
  relays: string[]
  /** Peers connected through a relay alone. */
  relayed: number
  /** Since the start: peers that were connected through a relay and then directly. */
  upgraded: number
}

export interface Reach extends Startable {
  state(): ReachState
}

export interface ReachComponents {
  events: TypedEventTarget<Libp2pEvents>
  addressManager: AddressManager
  transportManager: TransportManager
  dht: KadDHT
}

export interface ReachOptions {
  settings: NetworkSettings
  interfaces: Interfaces
  log: Logger
}

/**
 * Watches at which addresses others see this node, and takes slots at relays when it cannot be reached otherwise. Also
 * vouches for what needs no witness: on a private network a public address of the machine's own is announced at once,
 * where AutoNAT would want the word of four peers from four networks.
 */
export function reach(options: ReachOptions): (components: ReachComponents) => Reach {
  return (components) => createReach(options, components)
}

function createReach({ settings, interfaces, log }: ReachOptions, components: ReachComponents): Reach {
  const { network } = settings
  const { events, addressManager, transportManager, dht } = components
  /** The host at which each peer sees this node, the latest last. */
  const observers = new Map<string, string>()
  /** Connections through relays by peer, to tell when a direct one takes their place. */
  const relayedPeers = new Set<string>()
  let upgraded = 0
  let hasSlots = false
  let isRunning = false

  function isReached(): boolean {
    return addressManager
      .getAddressesWithMetadata()
      .some(({ multiaddr: address, verified }) => verified && !isPrivate(address) && !isRelayed(address))
  }

  function foreignHosts(): string[] {
    return [...new Set(observers.values())].filter((host) => !interfaces.isOwn(host))
  }

  function reachability(): ReachState['reachability'] {
    // Whoever names its addresses by hand knows how it is reached.
    if (network.announce.length > 0 || isReached()) return 'direct'
    if (observers.size === 0) return 'unknown'
    return foreignHosts().length > 0 ? 'behind-nat' : 'direct'
  }

  function judge(): void {
    if (!isRunning) return
    const now = reachability()
    if (now === 'unknown') return
    if (now === 'behind-nat' && network.relay.client === 'auto') void takeSlots('this node is behind a NAT')
    if (network.dht === 'auto' && network.mode === 'private') void serveDht(now === 'direct' || !isAgreed())
  }

  /**
   * Whether more than half of the peers see this node at an address that is not its own. A slot too many costs little, so
   * that one peer's word is enough for it; but a single liar must not take a node out of the DHT.
   */
  function isAgreed(): boolean {
    const hosts = [...observers.values()]
    return hosts.filter((host) => !interfaces.isOwn(host)).length * 2 > hosts.length
  }

  async function serveDht(isServer: boolean): Promise<void> {
    const mode = isServer ? 'server' : 'client'
    if (dht.getMode() === mode) return
    try {
      await dht.setMode(mode)
      log.info({ mode }, 'changed the part in the DHT with how this node is reached')
    } catch (error) {
      log.warn({ err: error }, 'the part in the DHT could not be changed')
    }
  }

  async function takeSlots(reason: string): Promise<void> {
    if (hasSlots) return
    hasSlots = true
    log.info({ observed: foreignHosts() }, `${reason}: taking slots at relays`)
    const addresses = Array.from({ length: RELAY_LIMITS.slots }, () => multiaddr('/p2p-circuit'))
    // Two nodes behind NATs find a way only where somebody tells each its address from outside.
    if (network.transports.webrtc && network.iceServers.length > 0) addresses.push(multiaddr('/webrtc'))
    // One by one: a WebRTC addon that is missing must not cost the slots.
    for (const address of addresses) {
      try {
        await transportManager.listen([address])
      } catch (error) {
        log.warn({ address: address.toString(), err: error }, 'cannot be reached this way')
      }
    }
  }

  function onIdentify({ detail }: CustomEvent<IdentifyResult>): void {
    const { connection, observedAddr, peerId } = detail
    const host =
      observedAddr === undefined || isRelayed(connection.remoteAddr) ? undefined : hostOf(observedAddr)
    if (host === undefined || observedAddr === undefined || isLoopback(observedAddr)) return
    const key = peerId.toString()
    observers.delete(key)
    forgetOldest(observers, REACH_LIMITS.maxObservers)
    observers.set(key, host.address)
    judge()
  }

  function onOpen({ detail: connection }: CustomEvent<Connection>): void {
    const peer = connection.remotePeer.toString()
    if (isRelayed(connection.remoteAddr) && connection.limits !== undefined) {
      relayedPeers.add(peer)
    } else if (relayedPeers.delete(peer)) {
      upgraded += 1
      log.info(
        { peer, address: connection.remoteAddr.toString() },
        'a direct connection in place of the one through a relay',
      )
    }
  }

  function onDisconnect({ detail: peer }: CustomEvent<{ toString(): string }>): void {
    relayedPeers.delete(peer.toString())
  }

  /** Public addresses of the machine's own interfaces are true without a witness, on a network of one's own. */
  function vouch(): void {
    if (network.mode !== 'private') return
    for (const address of transportManager.getAddrs()) {
      const host = hostOf(address)
      const isOwnPublic =
        host !== undefined && !isRelayed(address) && !isPrivate(address) && interfaces.isOwn(host.address)
      if (isOwnPublic) addressManager.confirmObservedAddr(address, { type: 'transport', ttl: VOUCHED_MS })
    }
  }

  function onSelf(): void {
    judge()
  }

  return {
    state() {
      const relays = addressManager.getAddresses().flatMap(relayOf)
      return {
        reachability: reachability(),
        observed: foreignHosts(),
        relays: [...new Set(relays)],
        relayed: relayedPeers.size,
        upgraded,
      }
    },
    start() {
      isRunning = true
      events.addEventListener('peer:identify', onIdentify)
      events.addEventListener('peer:disconnect', onDisconnect)
      events.addEventListener('connection:open', onOpen)
      events.addEventListener('transport:listening', vouch)
      events.addEventListener('self:peer:update', onSelf)
    },
    // Only when every service has started may an address be listened on.
    afterStart() {
      if (network.relay.client === 'always') void takeSlots('as configured')
    },
    stop() {
      isRunning = false
      hasSlots = false
      observers.clear()
      relayedPeers.clear()
      events.removeEventListener('peer:identify', onIdentify)
      events.removeEventListener('peer:disconnect', onDisconnect)
      events.removeEventListener('connection:open', onOpen)
      events.removeEventListener('transport:listening', vouch)
      events.removeEventListener('self:peer:update', onSelf)
    },
  }
}

/** As long as a node runs. */
const VOUCHED_MS = 365 * 24 * 3_600_000

/** The peer id of the relay that an address leads through. */
function relayOf(address: Multiaddr): string[] {
  const components = address.getComponents()
  const circuit = components.findIndex(({ name }) => name === 'p2p-circuit')
  const relay = components.slice(0, Math.max(circuit, 0)).findLast(({ name }) => name === 'p2p')?.value
  return relay === undefined ? [] : [relay]
}
