import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, Libp2p, PeerId, ServiceMap } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { createLibp2p } from 'libp2p'
import { Registry } from 'prom-client'
import type { Gossip, TopicRules } from '../../src/gossip/index.ts'
import { createGossip } from '../../src/gossip/index.ts'
import { didFromPeerId } from '../../src/identity/index.ts'
import type {
  Libp2pOptionsInit,
  Network,
  NetworkServices,
  NetworkSettings,
  PeerRecords,
} from '../../src/network/index.ts'
import { boundedStop, createNetwork, createPeerRecords, libp2pOptions } from '../../src/network/index.ts'
import { openState } from '../../src/storage/state/index.ts'
import type { StateDatabase } from '../../src/storage/state/types.ts'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Thresholds, TrustService } from '../../src/trust/index.ts'
import { createTrust } from '../../src/trust/index.ts'
import { cutConnections } from './end-node.ts'

/** A logger that writes nowhere and remembers what was warned about. */
export function quietLogger(): Logger & { warnings: unknown[] } {
  const warnings: unknown[] = []
  const note = (details: object | string, message?: string): void => {
    if (warnings.length < 1_000) {
      warnings.push([details, message])
    }
  }
  const logger = {
    warnings,
    trace() {},
    debug() {},
    info() {},
    warn: note,
    error: note,
    child: () => logger,
  }
  return logger
}

type Keys = NetworkSettings['network']
export type NetworkChanges = Partial<
  Omit<Keys, 'transports' | 'relay'> & {
    transports: Partial<Keys['transports']>
    relay: Partial<Keys['relay']>
  }
>

/** Settings of a node for tests: loopback, a free port, no mDNS, and a rate at which many nodes on one address may come. */
export function testSettings({ transports, relay, ...changes }: NetworkChanges = {}): NetworkSettings {
  return {
    network: {
      mode: 'private',
      name: 'test',
      listen: ['/ip4/127.0.0.1/tcp/0'],
      bootstrap: [],
      dht: 'auto',
      mdns: false,
      minConnections: 0,
      maxConnections: 100,
      maxInboundPerIpPerSecond: 1_000,
      announce: [],
      autonat: true,
      holePunching: true,
      upnp: false,
      iceServers: [],
      peers: { protect: [] },
      ...changes,
      transports: { tcp: true, websocket: true, quic: true, webrtcDirect: true, webrtc: true, ...transports },
      relay: {
        client: 'auto',
        server: false,
        maxReservations: 16,
        dataLimitBytes: 2 ** 30,
        timeLimitMs: 3_600_000,
        ...relay,
      },
    },
  }
}

export interface TestNode {
  libp2p: Libp2p<NetworkServices>
  network: Network & { close(): void }
  trust: TrustService
  gossip: Gossip
  peers: PeerRecords
  registry: Registry
  state: StateDatabase
  log: ReturnType<typeof quietLogger>
  home: string
  privateKey: Ed25519PrivateKey
  peer: string
  address: string
  /** With `keepHome` another node may go on with its state. */
  stop(options?: { keepHome?: boolean }): Promise<void>
}

export interface TestNodeOptions {
  network?: NetworkChanges
  topics?: readonly TopicRules[]
  /** A folder that an earlier node left, and the key that it had. */
  home?: string
  privateKey?: Ed25519PrivateKey
  /** In place of the score of all, and of what this node depends on. */
  score?: (peer: string) => number
  /** Without them nobody is refused for a score. */
  thresholds?: Thresholds
  isNeeded?: (peer: string) => boolean
  init?: Partial<Libp2pOptionsInit<ServiceMap>>
}

/** A whole network layer as the daemon builds it: state.db in a folder of its own, trust, gossip, libp2p. */
export async function startTestNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'p2pnode-network-')))
  const log = quietLogger()
  const settings = testSettings(options.network)
  const privateKey = options.privateKey ?? (await generateKeyPair('Ed25519'))
  const peerId: PeerId = peerIdFromPrivateKey(privateKey)
  const identity = { privateKey, peerId, did: didFromPeerId(peerId) ?? '' }
  const state = await openState({ path: join(home, 'state.db'), log })
  const { thresholds } = options
  const lists = createTrust({
    state,
    log,
    networkName: settings.network.name,
    ...(thresholds === undefined ? {} : { thresholds }),
  })
  const trust = { ...lists, ...(options.score === undefined ? {} : { score: options.score }) }
  const peers = createPeerRecords({
    state,
    log,
    retentionMs: 30 * 24 * 3_600_000,
    isNeeded: options.isNeeded ?? (() => false),
  })
  trust.start()
  const gossip = createGossip({
    networkName: settings.network.name,
    topics: options.topics ?? [],
    trust,
    self: peerId.toString(),
    log,
  })
  const registry = new Registry()
  const libp2p = (await createLibp2p(
    libp2pOptions({
      config: settings,
      identity,
      datastore: state.datastore,
      trust,
      log,
      metrics: { registry },
      version: '0.0.0-test',
      peers,
      gossip: gossip.rules,
      ...options.init,
    }),
  )) as Libp2p<NetworkServices>
  gossip.start(libp2p.services.pubsub)
  const network = createNetwork({ libp2p, identity, trust, history: peers.history, log })
  return {
    libp2p,
    network,
    trust,
    gossip,
    peers,
    registry,
    state,
    log,
    peer: peerId.toString(),
    address: network.addresses()[0] ?? '',
    home,
    privateKey,
    async stop({ keepHome = false } = {}) {
      gossip.stop()
      network.close()
      cutConnections(libp2p)
      await boundedStop(libp2p, 5_000)
      trust.stop()
      await state.close()
      if (!keepHome) await rm(home, { recursive: true, force: true })
    },
  }
}

/** Stops all nodes, whatever becomes of each. */
export async function stopAll(nodes: TestNode[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.stop()))
}

/** Looks every few milliseconds until `check` holds. @throws after `timeoutMs` with the text */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const endMs = Date.now() + timeoutMs
  while (!(await check())) {
    if (Date.now() > endMs) {
      throw new Error(`not within ${timeoutMs} ms: ${what}`)
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
  }
}
