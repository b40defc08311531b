import { hkdfSync } from 'node:crypto'
import { join } from 'node:path'
import type { Libp2p } from '@libp2p/interface'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { isLinkLocal } from '@libp2p/utils'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Config } from '../../config/index.ts'
import type { Reconcile } from '../../protocols/reconcile/types.ts'
import { SEED_BYTES } from '../../protocols/shared/ed25519.ts'
import type { Convergence } from '../gossip/convergence/index.ts'
import type { Gossip } from '../gossip/index.ts'
import { ed25519FromSeed, type LoadedIdentity } from '../identity/index.ts'
import {
  boundedStop,
  networkKeyMissing,
  type NetworkProtector,
  networkProtector,
  type NetworkServices,
  readNetworkKey,
  storeNetworkKey,
} from '../network/index.ts'
import type { StateDatabase } from '../storage/state/index.ts'
import { ADDRESSES_PER_CONTACT, CONTACT_PEERS, createSwarm, type House, type Swarm } from '../swarm/index.ts'
import type { Logger } from '../telemetry/types.ts'
import type { TrustService } from '../trust/index.ts'
import type { AskPassphrase } from './passphrase.ts'

const DOOR_STOP_TIMEOUT_MS = 1_500
/** Multicodec of the component that names a peer. */
const P2P_CODE = 421

/** What a swarm needs of the parts that are built after it. */
export interface SwarmSurroundings {
  libp2p: Libp2p<NetworkServices & { reconcile: Reconcile }>
  trust: Pick<TrustService, 'decideAddress' | 'list'>
  gossip: Gossip
  convergence: Convergence
}

export interface NodeSwarmOptions {
  config: Config
  home: string
  identity: LoadedIdentity
  askPassphrase: AskPassphrase
  state: StateDatabase
  log: Logger
}

export interface NodeSwarm extends Omit<Swarm, 'start'> {
  /** The configuration with where members were among the nodes to connect to at the start. */
  readonly config: Config
  /** What libp2p must be told when it is built. */
  readonly libp2pInit: { refresh: Swarm['refresh']; connectionProtector?: NetworkProtector }
  start(surroundings: SwarmSurroundings): Promise<void>
}

/**
 * The private network that a node may be in, and the pre-shared key that its connections may be under.
 *
 * @throws ERR_SWARM_PUBLIC, ERR_NETWORK_KEY_MISSING and other ERR_NETWORK_KEY_…, ERR_SWARM_KEY_…, ERR_PASSPHRASE_…
 */
export async function nodeSwarm(options: NodeSwarmOptions): Promise<NodeSwarm> {
  const { config, home, identity, askPassphrase, state, log } = options
  const { network } = config
  const networkKeyPath = join(home, 'swarm.key')
  const networkKey = network.psk ? await readNetworkKey(networkKeyPath) : undefined
  if (network.psk && networkKey === undefined) throw networkKeyMissing(networkKeyPath)

  const around: { is?: SwarmSurroundings } = {}
  const swarm = await createSwarm({
    networkName: network.name,
    isPublic: network.mode === 'public',
    state,
    identity,
    ownerKeyFile: {
      path: join(home, 'swarm-owner.key'),
      passphrase: askPassphrase,
      encrypt: identity.encrypted,
    },
    house: houseOf(config, identity, () => around.is?.trust),
    networkKey: {
      isOn: network.psk,
      read: () => (network.psk ? Promise.resolve(networkKey) : readNetworkKey(networkKeyPath)),
      store: (key) => storeNetworkKey(networkKeyPath, key),
    },
    contacts: async () => (around.is === undefined ? [] : contactsOf(around.is.libp2p)),
    connect: async (addresses, signal) => {
      if (around.is === undefined) throw new Error('the node has not started')
      const targets = addresses.map((address) => multiaddr(address))
      return (await around.is.libp2p.dial(targets, { signal })).remotePeer.toString()
    },
    isBlocked: (peer) => around.is?.trust.list().blocked.some((entry) => entry.peer === peer) === true,
    log,
  })
  const bootstrap = [...network.bootstrap, ...swarm.contacts()]
  return {
    ...swarm,
    config: { ...config, network: { ...network, bootstrap } },
    libp2pInit: {
      refresh: swarm.refresh,
      ...(networkKey === undefined ? {} : { connectionProtector: await networkProtector(networkKey) }),
    },
    async start(surroundings) {
      around.is = surroundings
      const { gossip, convergence, libp2p } = surroundings
      await swarm.start({ gossip, convergence, reconcile: libp2p.services.reconcile })
    },
  }
}

/** Doors and knocks on libp2ps beside the node's own; its code is loaded when there is a use for it. */
function houseOf(
  config: Config,
  identity: LoadedIdentity,
  trust: () => Pick<TrustService, 'decideAddress'> | undefined,
): House {
  const refused: Pick<TrustService, 'decideAddress'> = {
    decideAddress: (address, family) => trust()?.decideAddress(address, family) ?? { allowed: true },
  }
  // A key of its own: whoever finds the door does not learn which peer is behind it.
  const seed = identity.privateKey.raw.subarray(0, SEED_BYTES)
  const doorSeed = hkdfSync('sha256', seed, new Uint8Array(0), 'p2pnode/swarm/1/door', SEED_BYTES)
  const doorKey = ed25519FromSeed(new Uint8Array(doorSeed))
  return {
    doorKey: doorKey.publicKey.raw,
    async open(service) {
      const { bareLibp2p } = await import('../network/bare.ts')
      const door = await bareLibp2p({
        config,
        privateKey: doorKey,
        listen: config.swarm.listen,
        trust: refused,
        services: { door: service },
      })
      const announced = config.swarm.announce.map((address) => withoutPeer(multiaddr(address)))
      return {
        addresses: () => (announced.length > 0 ? announced : furthestFirst(door.getMultiaddrs())),
        close: async () => void (await boundedStop(door, DOOR_STOP_TIMEOUT_MS)),
      }
    },
    async visit({ door, addresses }, signal) {
      const { bareLibp2p } = await import('../network/bare.ts')
      const guest = await bareLibp2p({
        config,
        privateKey: identity.privateKey,
        listen: [],
        trust: refused,
        services: {},
      })
      const leave = async (): Promise<void> => void (await boundedStop(guest, DOOR_STOP_TIMEOUT_MS))
      try {
        const peer = peerIdFromPublicKey(publicKeyFromRaw(door))
        const named = addresses.map((address) => withPeer(address, peer.toString()))
        return { connection: await guest.dial(named, { signal }), leave }
      } catch (error) {
        await leave()
        throw error
      }
    },
  }
}

/** Those of this machine alone come last; they are there for nodes beside each other. Without the door's own name. */
function furthestFirst(addresses: readonly Multiaddr[]): Multiaddr[] {
  const isLoopback = (address: Multiaddr): boolean => /^\/ip(4\/127\.|6\/::1\/)/.test(address.toString())
  return addresses
    .filter((address) => !isLinkLocal(address))
    .map(withoutPeer)
    .toSorted((a, b) => Number(isLoopback(a)) - Number(isLoopback(b)))
}

/** Where this node and some of its neighbours are reached. */
async function contactsOf(libp2p: Libp2p): Promise<Multiaddr[]> {
  const own = libp2p.getMultiaddrs().slice(0, 2 * ADDRESSES_PER_CONTACT)
  const contacts = [...own]
  for (const peer of libp2p.getPeers().slice(0, CONTACT_PEERS - 1)) {
    const { addresses } = await libp2p.peerStore.get(peer)
    contacts.push(
      ...addresses.slice(0, ADDRESSES_PER_CONTACT).map((known) => withPeer(known.multiaddr, peer.toString())),
    )
  }
  return contacts
}

function withoutPeer(address: Multiaddr): Multiaddr {
  return address.decapsulateCode(P2P_CODE)
}

function withPeer(address: Multiaddr, peer: string): Multiaddr {
  return address.getComponents().at(-1)?.code === P2P_CODE ? address : address.encapsulate(`/p2p/${peer}`)
}
