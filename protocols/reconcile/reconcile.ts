import {
  type Connection,
  type PeerId,
  type Startable,
  type Stream,
  serviceCapabilities,
  serviceDependencies,
} from '@libp2p/interface'
import { connectionTo } from '../shared/connections.ts'
import { P2pnodeError } from '../shared/errors.ts'
import { FairSlots } from '../shared/fair-slots.ts'
import { InboundStreams } from '../shared/inbound-streams.ts'
import { Speakers } from '../shared/speakers.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { peerDenied, reconcileCancelled, reconcileFailed, reconcileUnsupported } from './errors.ts'
import type { ReconcileComponents, ReconcileInit } from './index.ts'
import {
  MAX_ENTRY_BYTES,
  MAX_INBOUND_SESSIONS,
  MAX_INBOUND_SESSIONS_PER_PEER,
  MAX_OUTBOUND_SESSIONS,
  MAX_SETS,
  SESSION_TIMEOUT_MS,
} from './limits.ts'
import { TAKEN } from './messages.ts'
import { Refusals } from './refusals.ts'
import { countOf, type Served } from './served.ts'
import { Answerer } from './server.ts'
import { Session } from './session.ts'
import { Snapshots } from './snapshot.ts'
import { NOTHING_COMPARED } from './statistics.ts'
import { Turns } from './turns.ts'
import type { PeerListener, Reconcile, Reconciled, ReconciledSet, ReconcileStatistics } from './types.ts'

const SET_NAME = /^[a-z0-9-]{1,64}$/

/** The libp2p service: registers the protocol, keeps track of who speaks it, asks and answers. */
export class ReconcileService implements Reconcile, Startable {
  readonly protocols: readonly [string]
  readonly #components: ReconcileComponents
  readonly #init: ReconcileInit
  readonly #served = new Map<string, Served>()
  readonly #speakers: Speakers
  readonly #listeners = new Set<PeerListener>()
  /** Sessions of its own asking: one with each peer at a time. */
  readonly #outbound = new FairSlots(MAX_OUTBOUND_SESSIONS, 1)
  /** Sessions that are being answered, by peer. */
  readonly #inbound = new InboundStreams({
    perPeer: MAX_INBOUND_SESSIONS_PER_PEER,
    total: MAX_INBOUND_SESSIONS,
  })
  readonly #statistics: ReconcileStatistics = { ...NOTHING_COMPARED }
  #running = new AbortController()
  #snapshots = new Snapshots(this.#running.signal)
  #isStarted = false

  constructor(components: ReconcileComponents, init: ReconcileInit) {
    this.#components = components
    this.#init = init
    this.protocols = [`/p2pnode/${init.networkName}/reconcile/1.0.0`]
    this.#speakers = new Speakers(components.events, this.protocols[0], {
      onSpeaker: (peer, _connection, isNew) => {
        if (isNew) this.#tell({ type: 'connected', peer })
      },
      onGone: (peer) => this.#tell({ type: 'disconnected', peer }),
    })
  }

  readonly [Symbol.toStringTag] = '@p2pnode/reconcile'
  readonly [serviceCapabilities]: string[] = ['@p2pnode/reconcile']
  // Who speaks the protocol is known from identify.
  readonly [serviceDependencies]: string[] = ['@libp2p/identify']

  async start(): Promise<void> {
    if (this.#isStarted) return
    this.#isStarted = true
    const { registrar } = this.#components
    const [protocol] = this.protocols
    this.#running = new AbortController()
    this.#snapshots = new Snapshots(this.#running.signal)
    this.#speakers.start()
    await registrar.handle(protocol, (stream, connection) => void this.#accept(stream, connection), {
      // Our own bound is the one that counts; this one resets every stream of a burst that goes over it.
      maxInboundStreams: 4 * MAX_INBOUND_SESSIONS_PER_PEER,
      maxOutboundStreams: MAX_OUTBOUND_SESSIONS,
      runOnLimitedConnection: true,
    })
  }

  async stop(): Promise<void> {
    if (!this.#isStarted) return
    this.#isStarted = false
    const { registrar } = this.#components
    await registrar.unhandle(this.protocols[0])
    this.#running.abort(new Error('the node stops'))
    this.#snapshots.clear()
    this.#speakers.stop()
  }

  register(set: ReconciledSet): () => void {
    const { name, maxEntryBytes } = set
    if (!SET_NAME.test(name)) throw new RangeError(`"${name}" is no name of a set`)
    if (!(maxEntryBytes > 0 && maxEntryBytes <= MAX_ENTRY_BYTES))
      throw new RangeError(`entries of "${name}" have at most ${MAX_ENTRY_BYTES} bytes`)
    if (this.#served.has(name)) throw new RangeError(`there is a set "${name}" already`)
    if (this.#served.size >= MAX_SETS) throw new RangeError(`at most ${MAX_SETS} sets`)
    const served = { set, refusals: new Refusals(this.#init.now ?? Date.now) }
    this.#served.set(name, served)
    return () => {
      if (this.#served.get(name) === served) this.#served.delete(name)
    }
  }

  sets(): ReconciledSet[] {
    return [...this.#served.values()].map(({ set }) => set)
  }

  peers(): PeerId[] {
    return this.#speakers.all()
  }

  onPeer(listener: PeerListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  statistics(): ReconcileStatistics {
    return { ...this.#statistics }
  }

  async run(
    peer: PeerId,
    set: ReconciledSet,
    { signal: given }: { signal: AbortSignal },
  ): Promise<Reconciled> {
    const name = peer.toString()
    const served = this.#served.get(set.name)
    if (served?.set !== set) throw new RangeError(`there is no set "${set.name}"`)
    const signal = AbortSignal.any([given, this.#running.signal, AbortSignal.timeout(SESSION_TIMEOUT_MS)])
    let hasSlot = false
    try {
      await this.#outbound.acquire(name, signal)
      hasSlot = true
      return await this.#session(peer, served, signal)
    } catch (error) {
      if (given.aborted) throw reconcileCancelled(error)
      if (error instanceof P2pnodeError) throw error
      throw (error as Error).name === 'UnsupportedProtocolError'
        ? reconcileUnsupported(name, set.name, error)
        : reconcileFailed(name, set.name, error)
    } finally {
      if (hasSlot) this.#outbound.release(name)
    }
  }

  async #session(peerId: PeerId, served: Served, signal: AbortSignal): Promise<Reconciled> {
    const { trust, log } = this.#init
    const peer = peerId.toString()
    const decision = trust.decide(peer, 'gossip', { topic: served.set.name })
    if (!decision.allowed) throw peerDenied(peer, decision.reason)
    const snapshot = await this.#snapshots.of(served.set)
    const moved = { in: 0, out: 0 }
    let stream: Stream | undefined
    let session: Session | undefined
    this.#statistics.begun += 1
    try {
      const connection = await connectionTo(peerId, this.#components.connectionManager, signal)
      const options = { signal, runOnLimitedConnection: true }
      stream = await connection.newStream([...this.protocols], options)
      const { bandwidth } = this.#init
      const turns = new Turns(
        stream,
        (direction, bytes) => {
          moved[direction] += bytes
          this.#moved(direction, bytes)
        },
        bandwidth === undefined ? undefined : { bandwidth, peer },
      )
      session = new Session({ turns, served, snapshot, peer, trust, signal })
      const isComplete = await session.run()
      await stream.close({ signal })
      return { isComplete, ...session.counts, sentBytes: moved.out, receivedBytes: moved.in }
    } catch (error) {
      stream?.abort(error as Error)
      this.#statistics.failed += 1
      if (error instanceof ProtocolViolationError)
        trust.report(peer, 'protocol-violation', { protocol: 'reconcile', rule: error.rule })
      log.debug({ peer, set: served.set.name, error: String(error) }, 'a comparison broke off')
      throw error
    } finally {
      const { taken = 0, refused = 0, given = 0 } = session?.counts ?? {}
      this.#statistics.taken += taken
      this.#statistics.refused += refused
      this.#statistics.given += given
    }
  }

  async #accept(stream: Stream, connection: Connection): Promise<void> {
    const { trust, log, admits, bandwidth } = this.#init
    const peer = connection.remotePeer.toString()
    const release = this.#inbound.take(peer)
    if (typeof release === 'string') {
      stream.abort(new Error('too many sessions at once'))
      if (release === 'peer') trust.report(peer, 'limit-exceeded', { limit: 'reconcile-sessions' })
      return
    }
    this.#statistics.answered += 1
    const answerer = new Answerer(
      {
        trust,
        log,
        admits,
        bandwidth,
        snapshots: this.#snapshots,
        served: (set) => this.#served.get(set),
        onMoved: (direction, bytes) => this.#moved(direction, bytes),
        onTaken: (verdicts) => this.#taken(verdicts),
      },
      stream,
      peer,
      this.#running.signal,
    )
    await answerer.run()
    release()
  }

  #moved(direction: 'in' | 'out', bytes: number): void {
    if (direction === 'in') this.#statistics.receivedBytes += bytes
    else this.#statistics.sentBytes += bytes
  }

  #taken(verdicts: readonly number[]): void {
    this.#statistics.taken += countOf(verdicts, TAKEN.taken)
    this.#statistics.refused += countOf(verdicts, TAKEN.refused)
  }

  #tell(event: Parameters<PeerListener>[0]): void {
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        this.#init.log.warn({ err: error }, 'a listener of reconcile failed')
      }
    }
  }
}
