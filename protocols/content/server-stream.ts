import type { Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import { CreditAccount } from '../shared/credit.ts'
import { P2pnodeError } from '../shared/errors.ts'
import type { FairSlots } from '../shared/fair-slots.ts'
import { FrameReader } from '../shared/framing.ts'
import { IdleWatch } from '../shared/idle.ts'
import { Pacer } from '../shared/pacer.ts'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { Wakeup } from '../shared/wakeup.ts'
import { StreamWriter } from '../shared/writer.ts'
import { streamFailed } from './errors.ts'
import { inlineBytes, keyOf } from './hash.ts'
import {
  type ContentLimits,
  MAX_BLOCK_BYTES,
  MAX_BLOCKS_PER_WANT,
  MAX_CIDS_PER_MESSAGE,
  MAX_MISSING_PER_WANT,
  MAX_OPEN_CIDS,
  MAX_OPEN_WANTS,
  MAX_PENDING_VISITS,
  SLOW_READ_AHEAD_BLOCKS,
} from './limits.ts'
import { type CidsWant, type DagWant, decodeFromClient, encode } from './messages.ts'
import { FrameSender } from './server-frames.ts'
import { ProxyReads } from './server-proxy.ts'
import { type BlockStep, OpenWant, type Step } from './server-want.ts'
import type { BlockSource, Capabilities, ProxyServer } from './types.ts'
import { expand, firstVisits, needsExpansion, type Visit } from './walk.ts'

export interface ServerStreamInit {
  stream: Stream
  /** Text form of the client's peer id. */
  peer: string
  blocks: BlockSource
  /** Blocks that are given only to clients that keep their mark. */
  isPrivate: (cid: CID) => boolean
  /** Fetches from elsewhere for this peer; undefined: nothing is. */
  proxy?: ProxyServer | undefined
  trust: Policy & Evidence
  bandwidth?: Bandwidth | undefined
  /** Blocks in memory, over all streams of this node; and those that are on their way from elsewhere. */
  slots: FairSlots
  proxySlots: FairSlots
  limits: ContentLimits
  log: Logger
  /** @throws what ends the stream */
  onCapabilities: (told: Capabilities) => Uint8Array
  onSent: (bytes: number) => void
}

/**
 * Answers the Wants of one stream, in their order.
 *
 * Two loops share the work: the planner walks and starts reads, up to `readAheadBlocks` ahead, the sender writes what
 * was read as credit and the stream allow. What the planner has started is bounded by slots that all streams share.
 */
export class ServerStream {
  readonly #init: ServerStreamInit
  readonly #writer: StreamWriter
  readonly #out: FrameSender
  readonly #credit = new CreditAccount()
  readonly #end = new AbortController()
  readonly #open = new Map<number, OpenWant>()
  readonly #queued: OpenWant[] = []
  readonly #steps: Step[] = []
  readonly #planner = new Wakeup()
  readonly #sender = new Wakeup()
  readonly #watches: IdleWatch[]
  readonly #proxyReads: ProxyReads
  #openWeight = 0
  #blocksInMemory = 0
  #clientHasEnded = false
  #planned = false
  /** The client has nothing more to ask, and is waited for to take what is left. */
  #isFlushing = false

  constructor(init: ServerStreamInit) {
    this.#init = init
    const { limits } = init
    const clientIdle = new IdleWatch({
      timeoutMs: limits.clientIdleMs,
      isWaiting: () => this.#isFlushing || this.#out.waitsForClient,
      onIdle: () => this.#fail(streamFailed('the client takes nothing')),
    })
    const unused = new IdleWatch({
      timeoutMs: limits.unusedStreamMs,
      isWaiting: () => this.#open.size === 0,
      onIdle: () => this.#fail(streamFailed('unused')),
    })
    this.#watches = [clientIdle, unused]
    this.#proxyReads = new ProxyReads({
      ...init,
      read: (cid) => this.#get(cid)(),
      push: (step) => this.#push(step),
      signal: this.#end.signal,
    })
    this.#writer = new StreamWriter(init.stream, () => clientIdle.touch())
    this.#out = new FrameSender({
      peer: init.peer,
      writer: this.#writer,
      credit: this.#credit,
      bandwidth: init.bandwidth,
      frameDataBytes: limits.frameDataBytes,
      signal: this.#end.signal,
    })
  }

  /** Resolves when the stream has ended, however it did. Never rejects. */
  async run(): Promise<void> {
    const { stream } = this.#init
    const reader = new FrameReader({
      payloadOffset: () => undefined,
      onMessage: (message) => this.#onMessage(message),
      onPayload: () => new Uint8Array(0),
      onPayloadEnd: () => {},
    })
    stream.addEventListener('message', ({ data }) => {
      if (this.#end.signal.aborted) return
      try {
        reader.push(data)
      } catch (error) {
        this.#fail(error)
      }
    })
    const onClientEnd = (): void => {
      if (!reader.atBoundary) this.#fail(new ProtocolViolationError('truncated-frame', 'cut off in a frame'))
      this.#clientHasEnded = true
      this.#planner.notify()
    }
    // 'end' comes after the last message, 'close' in any case.
    stream.addEventListener('end', () => {
      // A reset cuts frames too, and is nobody's fault; it has its own event.
      if (stream.status === 'open' || stream.status === 'closing') onClientEnd()
    })
    stream.addEventListener('close', () => this.#end.abort(streamFailed('closed')))
    if (stream.readableEnded) onClientEnd()
    if (stream.status !== 'open' && stream.status !== 'closing') this.#end.abort(streamFailed('closed'))
    try {
      await Promise.all([this.#plan(), this.#send()])
      await stream.close({ signal: this.#end.signal })
    } catch (error) {
      this.#fail(error)
    } finally {
      for (const watch of this.#watches) watch.stop()
      for (const step of this.#steps) if (step.kind === 'block') step.release()
      this.#steps.length = 0
    }
  }

  abort(error: Error): void {
    this.#fail(error)
  }

  #fail(error: unknown): void {
    if (this.#end.signal.aborted) return
    const reason = error instanceof Error ? error : new Error(String(error))
    const { peer, trust, log, stream } = this.#init
    log.debug({ peer, error: reason.message }, 'content stream aborted')
    this.#end.abort(reason)
    stream.abort(reason)
    // Last: whoever hears it may end the connection, and with it this stream.
    if (reason instanceof ProtocolViolationError) {
      trust.report(peer, 'protocol-violation', { protocol: 'content', rule: reason.rule })
    }
  }

  #onMessage(bytes: Uint8Array): void {
    const message = decodeFromClient(bytes)
    switch (message.kind) {
      case 'credit':
        this.#credit.add(message.bytes)
        return
      case 'cancel':
        this.#cancel(message.id)
        return
      case 'capabilities':
        return this.#writer.post(this.#init.onCapabilities(message.capabilities))
      case 'unanswerable':
        this.#accept(new OpenWant({ kind: 'cids', id: message.id, cids: [] }), Status.invalid)
        return
      default:
        this.#accept(new OpenWant(message))
    }
  }

  #accept(open: OpenWant, ending?: number): void {
    if (this.#open.has(open.want.id)) {
      throw new ProtocolViolationError('want-id-in-use', 'a Want with the id of an open one')
    }
    this.#openWeight += open.weight
    if (this.#open.size >= MAX_OPEN_WANTS || this.#openWeight > MAX_OPEN_CIDS) {
      throw new ProtocolViolationError('too-many-wants', 'more open Wants than a stream may have')
    }
    if (ending !== undefined) open.end(ending)
    this.#open.set(open.want.id, open)
    this.#queued.push(open)
    this.#planner.notify()
  }

  /** A Want that has ended already is not known any more: its Done is on the way. */
  #cancel(id: number): void {
    const open = this.#open.get(id)
    if (open === undefined) return
    open.cancelled = true
    const place = this.#queued.indexOf(open)
    if (place < 0) return
    // Not begun: the client need not wait for those before it to ask elsewhere.
    this.#queued.splice(place, 1)
    this.#forget(open)
    this.#writer.post(encode.done(id, open.status))
  }

  #forget(open: OpenWant): void {
    this.#open.delete(open.want.id)
    this.#openWeight -= open.weight
  }

  async #plan(): Promise<void> {
    const pacer = new Pacer()
    for (;;) {
      const open = this.#queued.shift()
      if (open === undefined) {
        if (this.#clientHasEnded) break
        await this.#planner.wait(this.#end.signal)
        continue
      }
      if (open.want.kind === 'cids' && open.want.proxyFor !== undefined) {
        this.#proxyReads.begin(open, open.want.cids, open.want.proxyFor)
        continue
      }
      if (open.want.kind === 'cids') await this.#planCids(open, open.want, pacer)
      else await this.#planDag(open, open.want, pacer)
      this.#push({ kind: 'done', open })
    }
    await this.#proxyReads.settled()
    this.#planned = true
    this.#sender.notify()
  }

  async #planCids(open: OpenWant, want: CidsWant, pacer: Pacer): Promise<void> {
    for (const [index, cid] of want.cids.entries()) {
      if (open.isEnding) return
      if (this.#mayServe(open, cid)) await this.#read(open, cid, index)
      await pacer.breathe()
    }
  }

  async #planDag(open: OpenWant, want: DagWant, pacer: Pacer): Promise<void> {
    if (!this.#mayServe(open, want.root, want.path)) return
    const held = new Set(want.held.map(keyOf))
    const seen = new Set<string>()
    const pending = this.#begin(open, want)
    const blockBudget = Math.min(want.blockBudget ?? MAX_BLOCKS_PER_WANT, MAX_BLOCKS_PER_WANT)
    let blocks = 0
    for (let visit = pending.pop(); visit !== undefined && !open.isEnding; visit = pending.pop()) {
      await pacer.breathe()
      const key = keyOf(visit.cid)
      const isRepeated = seen.has(key)
      // The same node is walked again only where something else is wanted below it.
      if (isRepeated && visit.path.length === 0 && visit.span === undefined) continue
      const isSent = !isRepeated && !held.has(key)
      if (isSent && blocks >= blockBudget) return open.end(Status.budget)
      // The sender counts what it could not send.
      if (open.missingCount >= MAX_MISSING_PER_WANT) return open.end(Status.incomplete)
      if (seen.size < MAX_BLOCKS_PER_WANT) seen.add(key)
      if (!this.#mayGive(open, visit.cid)) {
        open.miss(visit.cid)
        continue
      }
      const bytes = isSent ? await this.#read(open, visit.cid, undefined) : this.#get(visit.cid)
      if (isSent) blocks += 1
      if (!needsExpansion(visit)) continue
      const read = await bytes()
      if (read !== undefined && !this.#expandInto(pending, visit, read, open)) return
    }
  }

  /** The walk may begin in the root CID itself, and end there. */
  #begin(open: OpenWant, want: DagWant): Visit[] {
    try {
      return firstVisits(want).reverse()
    } catch (error) {
      open.end(statusOf(error))
      return []
    }
  }

  #expandInto(pending: Visit[], visit: Visit, bytes: Uint8Array, open: OpenWant): boolean {
    try {
      pending.push(...expand(visit, bytes).visits.reverse())
    } catch (error) {
      open.end(statusOf(error))
      return false
    }
    if (pending.length <= MAX_PENDING_VISITS) return true
    open.end(Status.budget)
    return false
  }

  #mayServe(open: OpenWant, cid: CID, path: readonly string[] = []): boolean {
    const { trust, peer } = this.#init
    const decision = trust.decide(peer, 'serve-content', { cid: cid.toString(), path })
    if (!decision.allowed) {
      open.refused = true
      open.miss(cid)
      return false
    }
    if (this.#mayKnow(open, cid)) return true
    open.miss(cid)
    return false
  }

  /** Below a root that may be served there may be a block that nobody is given. */
  #mayGive(open: OpenWant, cid: CID): boolean {
    const { trust, peer } = this.#init
    return this.#mayKnow(open, cid) && trust.decide(peer, 'serve-content', { cid: cid.toString() }).allowed
  }

  /** To a client that would lose the mark, private blocks are as if they were not held. */
  #mayKnow(open: OpenWant, cid: CID): boolean {
    return open.want.keepsMarks === true || !this.#init.isPrivate(cid)
  }

  /** Starts reading once there is room, and queues the block for the sender. */
  async #read(
    open: OpenWant,
    cid: CID,
    index: number | undefined,
  ): Promise<() => Promise<Uint8Array | undefined>> {
    const { slots, peer, limits } = this.#init
    // What is sent slowly need not be read long before: the slots are everybody's.
    const most = this.#out.sliceBytes() < Infinity ? SLOW_READ_AHEAD_BLOCKS : limits.readAheadBlocks
    while (this.#blocksInMemory >= most) await this.#planner.wait(this.#end.signal)
    await slots.acquire(peer, this.#end.signal)
    this.#blocksInMemory += 1
    const bytes = this.#get(cid)()
    const release = (): void => this.#releaseBlock()
    const step: BlockStep = { kind: 'block', open, cid, index, bytes, isRead: false, release }
    void bytes.then(() => {
      step.isRead = true
    })
    this.#push(step)
    return () => bytes
  }

  /** The block, or undefined where it is not held, not readable, or too large to send. */
  #get(cid: CID): () => Promise<Uint8Array | undefined> {
    return async () => {
      const inline = inlineBytes(cid)
      if (inline !== undefined) return inline
      try {
        const bytes = await this.#init.blocks.get(cid, { signal: this.#end.signal })
        return bytes !== undefined && bytes.length <= MAX_BLOCK_BYTES ? bytes : undefined
      } catch (error) {
        if (!this.#end.signal.aborted) {
          this.#init.log.warn({ cid: cid.toString(), error: String(error) }, 'a block could not be read')
        }
        return undefined
      }
    }
  }

  #push(step: Step): void {
    this.#steps.push(step)
    this.#sender.notify()
  }

  #releaseBlock(): void {
    this.#blocksInMemory -= 1
    this.#init.slots.release(this.#init.peer)
    this.#planner.notify()
  }

  async #send(): Promise<void> {
    const pacer = new Pacer()
    for (;;) {
      const step = this.#steps.shift()
      if (step === undefined) {
        if (this.#planned) break
        this.#writer.flushSoon()
        await this.#sender.wait(this.#end.signal)
        continue
      }
      await pacer.breathe()
      if (step.kind === 'done') {
        await this.#sendDone(step.open)
        continue
      }
      try {
        if (!step.isRead) this.#writer.flushSoon()
        await this.#sendBlock(step, await step.bytes)
      } finally {
        step.release()
      }
    }
    this.#isFlushing = true
    await this.#writer.end()
  }

  async #sendBlock(step: BlockStep, bytes: Uint8Array | undefined): Promise<void> {
    const { open, cid, index } = step
    if (open.cancelled || open.isSpent) return
    if (bytes === undefined) {
      open.miss(cid)
      if (open.unreported.length >= MAX_MISSING_PER_WANT) await this.#sendMissing(open)
      return
    }
    const want = open.want.id
    await this.#sendMark(open, cid)
    const name = index === undefined ? { index, cid: cid.bytes } : { index, cid: undefined }
    let offset = 0
    do {
      const header = { want, ...name, offset, totalBytes: bytes.length }
      offset += await this.#out.sendPart(header, bytes.subarray(offset))
    } while (offset < bytes.length)
    open.sentBytes += bytes.length
    this.#init.onSent(bytes.length)
    const budget = open.want.kind === 'dag' ? open.want.byteBudget : undefined
    if (budget === undefined || open.sentBytes < budget) return
    open.isSpent = true
    open.end(Status.budget)
  }

  async #sendMark(open: OpenWant, cid: CID): Promise<void> {
    if (open.want.keepsMarks !== true || this.#init.isPrivate(cid) === open.isMarked) return
    open.isMarked = !open.isMarked
    await this.#write(encode.mark(open.want.id, open.isMarked))
  }

  async #sendMissing(open: OpenWant): Promise<void> {
    while (open.unreported.length > 0) {
      const cids = open.unreported.splice(0, MAX_CIDS_PER_MESSAGE)
      await this.#write(encode.missing(open.want.id, cids))
    }
  }

  async #sendDone(open: OpenWant): Promise<void> {
    if (!open.cancelled) await this.#sendMissing(open)
    this.#forget(open)
    await this.#write(encode.done(open.want.id, open.status))
  }

  #write(header: Uint8Array): Promise<void> {
    return this.#out.write(header)
  }
}

function statusOf(error: unknown): number {
  return error instanceof P2pnodeError && error.kind === 'not-found' ? Status.notFound : Status.failed
}
