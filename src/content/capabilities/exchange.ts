import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { MAX_FILTER_BYTES, RootFilter } from '../../../protocols/content/index.ts'
import type {
  BlockSource,
  Capabilities,
  CapabilitiesInit,
  Content,
} from '../../../protocols/content/types.ts'
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'
import { didFromPeerId } from '../../identity/did.ts'
import type { PinSet } from '../../storage/pins/index.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Evidence } from '../../trust/contract.ts'
import type { PrivateMark } from '../private/types.ts'
import { CapabilityBook, type Claim } from './book.ts'
import {
  CONCURRENT_EXCHANGES,
  FILTER_INTERVAL_MS,
  FILTER_TIMEOUT_MS,
  FREE_STEP_BYTES,
  LISTENER_PATIENCE_MS,
  SETTLE_MS,
} from './limits.ts'
import { OwnFilter } from './own-filter.ts'

export interface CapabilitiesOptions {
  pins: Pick<PinSet, 'list' | 'onChange'>
  privateMark: PrivateMark
  /** Calls back when the mark may be otherwise than before for what is pinned already; returns the function that ends it. */
  onMarkChange?: ((listener: () => void) => () => void) | undefined
  did: string
  /** All but the name and the filter, as it is now. */
  own: () => Omit<Capabilities, 'did' | 'filter'>
  /** Peers are told of changes at most so often. */
  intervalMs: number
  trust: Evidence
  log: Logger
  /** Other times than those of limits.ts, for tests. */
  times?: { settleMs?: number; filterIntervalMs?: number }
}

type Exchanging = Pick<Content, 'exchangeCapabilities' | 'fetchBlock' | 'peers'>

/** What peers have told of themselves. */
export interface PeerCapabilities {
  of(peer: string): Capabilities | undefined
  claims(peer: string, root: CID): Claim
}

export interface OwnCapabilities extends PeerCapabilities {
  /** What may be told of pins is otherwise than before; for `cids`, where given, and no others. */
  marksChanged(cids?: readonly CID[]): void
}

export interface RunningCapabilities extends OwnCapabilities {
  /** For the protocol. */
  readonly init: CapabilitiesInit
  /** The blocks that are served, with the filter among them. */
  serving(blocks: BlockSource): BlockSource
  start(content: Exchanging): void
  stop(): void
}

/** What is to be done with a peer, when its turn comes. */
interface Task {
  peer: PeerId
  /** The filter to fetch; none: to exchange capabilities. */
  filter?: { cid: CID; bytes: number }
}

export function createCapabilities(options: CapabilitiesOptions): RunningCapabilities {
  return new CapabilitiesKeeper(options)
}

class CapabilitiesKeeper implements RunningCapabilities {
  readonly init: CapabilitiesInit
  readonly #options: CapabilitiesOptions
  readonly #book = new CapabilityBook()
  readonly #filter: OwnFilter
  readonly #stop = new AbortController()
  /** Connected peers whose turn to be told has not come. */
  readonly #waiting = new Map<string, NodeJS.Timeout>()
  /** One task of a kind a peer, so that there are at most two for each connection. */
  readonly #tasks = new Map<string, Task>()
  #running = 0
  #content: Exchanging | undefined
  #unlisten: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #isAnnouncing = false
  #hasChanged = false
  /** The filter may tell of something private: it is made again without waiting for the turn in which peers are told. */
  #isUrgent = false
  #rebuiltMs = -Infinity
  #announcedMs = -Infinity
  /** What peers were told last, without what changes all the time. */
  #announced = ''

  constructor(options: CapabilitiesOptions) {
    this.#options = options
    const { pins, privateMark, did } = options
    this.#filter = new OwnFilter({ pins, privateMark, did })
    this.init = {
      own: () => this.#own(),
      didOf: didFromPeerId,
      onPeer: (peer, isDialled) => this.#expect(peer, isDialled ? 0 : LISTENER_PATIENCE_MS),
      onPeerGone: (peer) => this.#forget(peer),
      onTold: (peer, capabilities) => {
        // Whoever was to be asked has told, and is answered.
        this.#clear(peer)
        this.#told(peer, capabilities)
      },
    }
  }

  of(peer: string): Capabilities | undefined {
    return this.#book.of(peer)
  }

  claims(peer: string, root: CID): Claim {
    return this.#book.claims(peer, root)
  }

  serving(blocks: BlockSource): BlockSource {
    return this.#filter.serving(blocks)
  }

  start(content: Exchanging): void {
    this.#content = content
    const { pins, onMarkChange } = this.#options
    const changed = (): void => this.#changed()
    const unlisten = [pins.onChange(changed), onMarkChange?.(() => this.marksChanged())]
    this.#unlisten = () => unlisten.forEach((end) => end?.())
    this.#changed()
    this.#work()
  }

  marksChanged(cids?: readonly CID[]): void {
    // One that is being made may have read their pins already.
    if (cids !== undefined && !this.#isAnnouncing && !this.#filter.mayTellOf(cids)) return
    this.#filter.marksChanged()
    this.#isUrgent = true
    // Before the start nothing is served.
    if (this.#content !== undefined) this.#changed()
  }

  stop(): void {
    this.#unlisten?.()
    this.#stop.abort(new Error('the node stops'))
    clearTimeout(this.#timer)
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
    this.#tasks.clear()
  }

  #changed(): void {
    this.#hasChanged = true
    if (this.#isAnnouncing || this.#stop.signal.aborted) return
    if (this.#timer !== undefined && !this.#isUrgent) return
    clearTimeout(this.#timer)
    const settleMs = this.#options.times?.settleMs ?? SETTLE_MS
    const waitMs = this.#isUrgent
      ? this.#rebuiltMs + settleMs - performance.now()
      : Math.max(settleMs, this.#untilTurnMs())
    this.#timer = setTimeout(() => void this.#announce(), Math.max(0, Math.ceil(waitMs))).unref()
  }

  /** Until peers may be told again. */
  #untilTurnMs(): number {
    return this.#announcedMs + this.#options.intervalMs - performance.now()
  }

  /** Makes the filter again and, if something is different by then and it is the time for it, has all peers told. Never rejects. */
  async #announce(): Promise<void> {
    this.#timer = undefined
    this.#isAnnouncing = true
    this.#hasChanged = false
    const isUrgent = this.#isUrgent
    this.#isUrgent = false
    try {
      await this.#filter.rebuild(this.#stop.signal)
      this.#rebuiltMs = performance.now()
      // Addresses are told anew by identify as well.
      const { freeBytes: _free, addresses: _addresses, ...lasting } = this.#own()
      const text = JSON.stringify(lasting)
      if (text !== this.#announced) {
        if (this.#untilTurnMs() <= 0) this.#tellAll(text)
        else this.#hasChanged = true
      }
    } catch (error) {
      // It is made with the next change, which does not wait either.
      this.#isUrgent ||= isUrgent
      if (!this.#stop.signal.aborted)
        this.#options.log.warn({ error: String(error) }, 'the filter of roots could not be made')
    } finally {
      this.#isAnnouncing = false
      if (this.#hasChanged) this.#changed()
    }
  }

  #tellAll(text: string): void {
    // The first time nothing has changed: whoever came before the filter was made is told what it was not.
    if (this.#announced !== '') this.#announcedMs = performance.now()
    this.#announced = text
    for (const peer of this.#content?.peers() ?? []) this.#add({ peer })
  }

  #own(): Capabilities {
    const { own, did } = this.#options
    const told = own()
    const freeBytes = Math.floor(told.freeBytes / FREE_STEP_BYTES) * FREE_STEP_BYTES
    return { ...told, freeBytes: Math.max(0, freeBytes), did, filter: this.#filter.reference }
  }

  #expect(peer: PeerId, patienceMs: number): void {
    this.#clear(peer)
    const timer = setTimeout(() => {
      this.#waiting.delete(peer.toString())
      this.#add({ peer })
    }, patienceMs).unref()
    this.#waiting.set(peer.toString(), timer)
  }

  #clear(peer: PeerId): void {
    clearTimeout(this.#waiting.get(peer.toString()))
    this.#waiting.delete(peer.toString())
  }

  #forget(peer: PeerId): void {
    const name = peer.toString()
    this.#clear(peer)
    this.#tasks.delete(`tell ${name}`)
    this.#tasks.delete(`filter ${name}`)
  }

  #told(peer: PeerId, capabilities: Capabilities): void {
    const name = peer.toString()
    const filter = this.#book.told(name, capabilities)
    if (filter === null) return
    const intervalMs = this.#options.times?.filterIntervalMs ?? FILTER_INTERVAL_MS
    // One that changes faster is fetched when it is told of the next time.
    if (this.#book.takeTurn(name, intervalMs)) this.#add({ peer, filter })
  }

  #add(task: Task): void {
    if (this.#stop.signal.aborted) return
    const kind = task.filter === undefined ? 'tell' : 'filter'
    this.#tasks.set(`${kind} ${task.peer.toString()}`, task)
    this.#work()
  }

  #work(): void {
    while (this.#content !== undefined && this.#running < CONCURRENT_EXCHANGES) {
      const [next] = this.#tasks
      if (next === undefined) return
      const [key, task] = next
      this.#tasks.delete(key)
      this.#running += 1
      void this.#do(this.#content, task).finally(() => {
        this.#running -= 1
        this.#work()
      })
    }
  }

  /** Never rejects: whoever cannot be asked now is asked when it comes again, or when something changes. */
  async #do(content: Exchanging, { peer, filter }: Task): Promise<void> {
    const { signal } = this.#stop
    try {
      if (filter === undefined) this.#told(peer, await content.exchangeCapabilities(peer, signal))
      else await this.#fetchFilter(content, peer, filter)
    } catch (error) {
      this.#options.log.debug(
        { peer: peer.toString(), error: String(error) },
        'capabilities, or a filter, did not come',
      )
    }
  }

  async #fetchFilter(content: Exchanging, peer: PeerId, filter: { cid: CID; bytes: number }): Promise<void> {
    const name = peer.toString()
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(FILTER_TIMEOUT_MS)])
    const maxBytes = Math.min(filter.bytes, MAX_FILTER_BYTES)
    const { bytes } = await content.fetchBlock(filter.cid, { peers: [peer], maxBytes, signal })
    try {
      this.#book.keepFilter(name, filter.cid, await RootFilter.decode(bytes))
    } catch (error) {
      this.#book.keepFilter(name, filter.cid, undefined)
      if (error instanceof ProtocolViolationError)
        this.#options.trust.report(name, 'protocol-violation', { protocol: 'content', rule: error.rule })
      throw error
    }
  }
}
