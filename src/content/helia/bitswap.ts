import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BitswapOptions } from '@helia/bitswap'
import { withBitswap } from '@helia/bitswap'
import type { Libp2p, Startable } from '@libp2p/interface'
import type { BlockBroker, Helia, HeliaMixin } from 'helia'
import type { Blockstore } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import type { Bandwidth, Flow } from '../../../protocols/shared/bandwidth.ts'
import { pacedReads, pacedWrites } from '../../../protocols/shared/paced-stream.ts'
import type { Policy } from '../../trust/contract.ts'
import { NOTHING_PRIVATE, type PrivateMark } from '../private/types.ts'

/**
 * Wants kept for a peer. A response gathers every wanted block before it is sent, so this many blocks of up to 2 MiB is
 * what one peer can make us hold; measured, an unbounded list of 12 KB cost 256 MiB.
 */
const MAX_WANTS_PER_PEER = 32
/** A message holds at least one block of 2 MiB; others send up to 4 MiB. */
const MAX_INCOMING_MESSAGE_BYTES = 4 * 1024 * 1024
const MAX_OUTGOING_MESSAGE_BYTES = 2 * 1024 * 1024 + 64 * 1024
/** Streams of one connection at once; one message each. */
const MAX_STREAMS = 32
const MAX_QUEUED_SENDS_PER_PEER = 4
/** A message of 2 MiB where bandwidth is limited to 35 KiB/s. Silence is no load: streams are bounded by connection. */
const MESSAGE_TIMEOUT_MS = 60_000
/** A peer that is connected and has a block sends it within a round trip or two. */
const FIND_PROVIDERS_AFTER_MS = 300
/** The muxer in which a stream that is not read holds its sender back. */
const PAUSABLE_MUXER = '/yamux/'

/** Every bound that Bitswap has, set. */
export function boundedBitswap(): BitswapOptions {
  const bounds: BitswapOptions & { maxWantListSize: number } = {
    maxInboundStreams: MAX_STREAMS,
    maxOutboundStreams: MAX_STREAMS,
    maxWantlistSize: MAX_WANTS_PER_PEER,
    // The documented name is above; what @helia/bitswap 4 reads is this one.
    maxWantListSize: MAX_WANTS_PER_PEER,
    maxIncomingMessageSize: MAX_INCOMING_MESSAGE_BYTES,
    maxOutgoingMessageSize: MAX_OUTGOING_MESSAGE_BYTES,
    messageReceiveTimeout: MESSAGE_TIMEOUT_MS,
    messageSendTimeout: MESSAGE_TIMEOUT_MS,
    sendBlocksConcurrency: 1,
    sendBlocksMaxQueueLength: MAX_QUEUED_SENDS_PER_PEER,
  }
  return bounds
}

type HeliaWithLibp2p = Parameters<typeof withBitswap>[0]

/**
 * Helia's routing, but that providers are looked for only where nobody connected has sent the block soon: Bitswap asks for
 * each block of a DAG by itself, and a walk through the DHT for each would be begun only to be broken off.
 */
function patientRouting(routing: Helia['routing']): Helia['routing'] {
  const findProviders: Helia['routing']['findProviders'] = async function* (cid, options) {
    const { signal } = options ?? {}
    await sleep(FIND_PROVIDERS_AFTER_MS, undefined, signal === undefined ? {} : { signal })
    yield* routing.findProviders(cid, options)
  }
  return new Proxy(routing, {
    get(proxied, key) {
      if (key === 'findProviders') return findProviders
      const value: unknown = Reflect.get(proxied, key, proxied)
      return typeof value === 'function' ? value.bind(proxied) : value
    },
  })
}

/** Runs work on behalf of a peer, and tells everything called from it whose that is. */
type Asker = AsyncLocalStorage<string>

export interface BitswapDependencies {
  helia: Pick<Helia, 'routing' | 'logger' | 'getHasher' | 'metrics'>
  libp2p: Libp2p
  blockstore: Blockstore
  trust: Policy
  /** What is neither asked for nor given away. */
  privacy?: PrivateMark
  /** Asked before messages move; nothing is limited without it. */
  bandwidth?: Bandwidth | undefined
}

/**
 * Bitswap over our own libp2p and behind our policy.
 *
 * Bitswap serves anybody, from a store that it does not tell who asks. So each inbound stream is handled in an
 * asynchronous context that names its peer, and the store that Bitswap reads from asks `trust` for that peer; a read in
 * no such context is refused. `withBitswap` wants a whole Helia with libp2p in it; it is given one face of ours, so that
 * it takes this store, and its broker stays with us instead of joining those that Helia asks all at once.
 */
export class GuardedBitswap implements Startable {
  readonly #dependencies: BitswapDependencies
  #broker: (BlockBroker & Startable) | undefined
  /** Aborted on stop: ends every wait for bandwidth. */
  #running = new AbortController()

  constructor(dependencies: BitswapDependencies) {
    this.#dependencies = dependencies
  }

  /** Asks peers for blocks; undefined unless started. */
  get broker(): BlockBroker | undefined {
    return this.#broker
  }

  /** libp2p must have been started. */
  async start(): Promise<void> {
    if (this.#broker !== undefined) return
    const { helia, libp2p, blockstore, trust, bandwidth, privacy = NOTHING_PRIVATE } = this.#dependencies
    this.#running = new AbortController()
    const asker: Asker = new AsyncLocalStorage()
    let broker: BlockBroker | undefined
    const host = {
      status: 'starting',
      routing: patientRouting(helia.routing),
      logger: helia.logger,
      getHasher: helia.getHasher,
      metrics: helia.metrics,
      libp2p: namingPeers(libp2p, asker, bandwidth, this.#running.signal),
      blockstore: guardedStore(blockstore, trust, privacy, asker),
      hasBlockBroker: () => false,
      addBlockBroker: (added: BlockBroker) => {
        broker = added
      },
    } as unknown as HeliaWithLibp2p
    await bitswapMixin().start?.(host)
    if (broker === undefined) throw new Error('@helia/bitswap made no broker')
    this.#broker = broker as BlockBroker & Startable
  }

  async stop(): Promise<void> {
    const broker = this.#broker
    this.#broker = undefined
    this.#running.abort(new Error('the node stops'))
    await broker?.stop?.()
  }
}

/** What `withBitswap` would have Helia run at its start. */
function bitswapMixin(): HeliaMixin<HeliaWithLibp2p> {
  const mixins: HeliaMixin<HeliaWithLibp2p>[] = []
  withBitswap(
    { addMixin: (mixin: HeliaMixin<HeliaWithLibp2p>) => mixins.push(mixin) } as unknown as HeliaWithLibp2p,
    boundedBitswap(),
  )
  const [mixin] = mixins
  if (mixin === undefined) throw new Error('@helia/bitswap added no mixin')
  return mixin
}

/**
 * libp2p, but that streams of protocols registered through it are handled in a context that names their peer, and that
 * what goes over streams both ways keeps to the bandwidth.
 */
function namingPeers(
  libp2p: Libp2p,
  asker: Asker,
  bandwidth: Bandwidth | undefined,
  signal: AbortSignal,
): Libp2p {
  const flowOf = (direction: Flow['direction'], peer: string): Flow => ({
    direction,
    peer,
    protocol: 'bitswap',
  })
  const handle: Libp2p['handle'] = (protocols, handler, options) =>
    libp2p.handle(
      protocols,
      (stream, connection) => {
        const peer = connection.remotePeer.toString()
        const mayPause = connection.multiplexer?.startsWith(PAUSABLE_MUXER) === true
        const paced =
          bandwidth === undefined
            ? stream
            : pacedReads(stream, flowOf('in', peer), bandwidth, { signal, mayPause })
        return asker.run(peer, () => handler(paced, connection))
      },
      options,
    )
  const dialProtocol: Libp2p['dialProtocol'] = async (target, protocols, options) => {
    const stream = await libp2p.dialProtocol(target, protocols, options)
    if (bandwidth === undefined) return stream
    // Bitswap dials peers, never bare addresses.
    return pacedWrites(stream, flowOf('out', String(target)), bandwidth, signal)
  }
  return new Proxy(libp2p, {
    get(proxied, key) {
      if (key === 'handle') return handle
      if (key === 'dialProtocol') return dialProtocol
      const value: unknown = Reflect.get(proxied, key, proxied)
      return typeof value === 'function' ? value.bind(proxied) : value
    },
  })
}

/** The local blocks that the peer of the current context may have. */
function guardedStore(blockstore: Blockstore, trust: Policy, privacy: PrivateMark, asker: Asker): Blockstore {
  const mayHave = (cid: CID): boolean => {
    const peer = asker.getStore()
    if (privacy.isPrivate(cid)) return false
    return peer !== undefined && trust.decide(peer, 'serve-bitswap', { cid: cid.toString() }).allowed
  }
  return {
    ...blockstore,
    has: async (cid, options) => mayHave(cid) && (await blockstore.has(cid, options)),
    async *get(cid, options) {
      if (!mayHave(cid)) throw notFound(cid)
      yield* blockstore.get(cid, options)
    },
  }
}

/** As stores report it: known by its name. */
function notFound(cid: CID): Error {
  const error = new Error(`${cid} is not held`)
  error.name = 'NotFoundError'
  return error
}
