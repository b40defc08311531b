import { CreditGrants } from '../shared/credit-grants.ts'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { Wakeup } from '../shared/wakeup.ts'
import type { DataHeader, PieceHeader } from './data-frame.ts'
import { streamFailed } from './errors.ts'
import {
  decodeSigned,
  MAX_INDEX_PAYLOAD_BYTES,
  redundancyProblem,
  slabIdOf,
  slabKeyOf,
} from './format/index.ts'
import { FRAME_COST_BYTES, MAX_COLUMN_BYTES } from './limits.ts'
import { encode, type FromClient } from './messages.ts'
import { PieceOrder } from './piece-order.ts'
import { type Session, type SessionInit, statusOf } from './session.ts'
import type { ColumnDraft, SignedBytes, StoreOpen } from './types.ts'

/** What has arrived and is to be written: a part of a piece, or the index that ends the store. */
type Item =
  | { kind: 'part'; pieceBytes: number | undefined; bytes: Uint8Array; cost: number }
  | { kind: 'index'; bytes: Uint8Array }

/** One store under way. */
class Incoming {
  readonly open: StoreOpen
  readonly window: CreditGrants
  readonly order: PieceOrder
  readonly queue: Item[] = []
  readonly wakeup = new Wakeup()
  /** What is arriving now. */
  arriving: Item | undefined
  hasIndexBegun = false
  /** Nothing more is on its way. */
  isComplete = false
  /** It was answered. */
  hasEnded = false

  constructor(open: StoreOpen, init: SessionInit) {
    this.open = open
    const { stream, bandwidth, limits } = init
    this.window = new CreditGrants({
      windowBytes: limits.storeWindowBytes,
      bandwidth,
      flow: { direction: 'in', peer: stream.peer, protocol: 'chunk' },
      // Bandwidth that was waited for until the store had ended is of no use to the next one.
      grant: (bytes) => {
        if (!this.hasEnded) stream.post(encode.serverCredit(bytes))
      },
      isWanted: () => !this.isComplete && !this.hasEnded,
      signal: stream.signal,
    })
    this.order = new PieceOrder(open.maxColumnBytes)
  }
}

/**
 * The stores of one stream, one after another. Pieces go to the draft as they come; the client has never more under way
 * than it was granted, so that what waits here for the disk is bounded.
 *
 * A store that fails half-way is answered at once. What the client has sent until it learns of it is read and thrown
 * away: it is bounded by its credit.
 */
export class StoreSession implements Session {
  readonly #init: SessionInit
  #state: 'idle' | 'opening' | 'receiving' | 'committing' | 'refused' = 'idle'
  #incoming: Incoming | undefined
  #clientHasEnded = false

  constructor(init: SessionInit) {
    this.#init = init
    const { stream, limits } = init
    const watch = (timeoutMs: number, reason: string, isWaiting: () => boolean): void =>
      void stream.watch({ timeoutMs, reason, isWaiting })
    watch(limits.unusedStreamMs, 'unused', () => this.#state === 'idle' || this.#state === 'refused')
    watch(
      limits.storeIdleMs,
      'the client sends nothing',
      // While its pieces wait for the disk it may have no credit.
      () => this.#state === 'receiving' && this.#incoming?.queue.length === 0,
    )
  }

  onMessage(message: FromClient): void {
    if (message.kind !== 'store' || this.#state !== 'idle') {
      throw new ProtocolViolationError('wrong-order', 'a message that no store may have here')
    }
    this.#state = 'opening'
    void this.#run(message.open)
  }

  onData(header: DataHeader): Uint8Array {
    const incoming = this.#incoming
    if (incoming === undefined || incoming.hasIndexBegun || this.#state === 'committing') {
      throw new ProtocolViolationError('wrong-order', 'data that no store may have here')
    }
    const cost = header.dataBytes + FRAME_COST_BYTES
    incoming.window.receive(cost)
    // Not zeroed, and not a part of a shared pool: it is filled before anybody sees it.
    const bytes = Buffer.allocUnsafeSlow(header.dataBytes)
    if (header.kind === 'index') {
      if (!incoming.order.isAtEndOfPiece) {
        throw new ProtocolViolationError('wrong-order', 'an index before the pieces are whole')
      }
      incoming.hasIndexBegun = true
      incoming.arriving = { kind: 'index', bytes }
    } else {
      incoming.arriving = { kind: 'part', pieceBytes: this.#place(incoming, header), bytes, cost }
    }
    return bytes
  }

  onDataEnd(): void {
    const incoming = this.#incoming!
    const item = incoming.arriving!
    incoming.arriving = undefined
    incoming.isComplete = item.kind === 'index'
    if (this.#state === 'refused') {
      // Everything that the client had on its way has come: the next store may begin.
      if (incoming.isComplete) this.#toIdle()
      return
    }
    if (item.kind === 'part') this.#init.onReceived(item.bytes.length)
    incoming.queue.push(item)
    incoming.wakeup.notify()
  }

  onClientEnd(): void {
    this.#clientHasEnded = true
    const isUnfinished = this.#state === 'receiving' && this.#incoming?.isComplete !== true
    if (isUnfinished) this.#init.stream.fail(streamFailed('the client went away during a store'))
    else if (this.#state === 'idle' || this.#state === 'refused') void this.#init.stream.close()
  }

  /** Undefined, but for the first part of a piece: how long the piece is. */
  #place(incoming: Incoming, header: PieceHeader & { dataBytes: number }): number | undefined {
    incoming.order.accept(header)
    return header.offset === 0 ? header.totalBytes : undefined
  }

  /** Never rejects. */
  async #run(open: StoreOpen | undefined): Promise<void> {
    const { stream, limits } = this.#init
    const release = this.#init.takeDraft(stream.peer)
    const tooLong = (): void => stream.fail(streamFailed('a store takes too long'))
    const deadline = setTimeout(tooLong, limits.maxStoreMs)
    deadline.unref()
    let draft: ColumnDraft | undefined
    try {
      const refusal = this.#refusalOf(open, release !== undefined)
      if (refusal !== undefined || open === undefined) {
        this.#end(refusal ?? Status.unsupported)
        return
      }
      draft = await this.#begin(open)
      if (draft === undefined || !stream.isOpen) return
      const incoming = this.#accept(open)
      this.#end(Status.ok, await this.#receive(incoming, draft))
    } catch (error) {
      this.#refuse(error)
    } finally {
      clearTimeout(deadline)
      await draft?.abort().catch((error: unknown) => {
        this.#init.log.warn({ error: String(error) }, 'a draft could not be removed')
      })
      release?.()
    }
  }

  #refusalOf(open: StoreOpen | undefined, hasPlace: boolean): number | undefined {
    const { trust, stream } = this.#init
    if (!trust.decide(stream.peer, 'store').allowed) return Status.refused
    if (open === undefined) return Status.unsupported
    const { k, n, column, maxColumnBytes } = open
    const isPossible =
      redundancyProblem(k, n) === undefined &&
      column < n &&
      maxColumnBytes > 0 &&
      maxColumnBytes <= MAX_COLUMN_BYTES
    if (!isPossible) return Status.invalid
    return hasPlace ? undefined : Status.busy
  }

  async #begin(open: StoreOpen): Promise<ColumnDraft | undefined> {
    const { holder, stream } = this.#init
    try {
      return await holder.begin(open, stream.peer)
    } catch (error) {
      this.#end(statusOf(error, this.#init))
      return undefined
    }
  }

  #accept(open: StoreOpen): Incoming {
    const { stream } = this.#init
    const incoming = new Incoming(open, this.#init)
    this.#incoming = incoming
    this.#state = 'receiving'
    if (this.#clientHasEnded) stream.fail(streamFailed('the client went away before a store'))
    stream.post(encode.accepted(incoming.window.first()))
    incoming.window.wake()
    return incoming
  }

  async #receive(incoming: Incoming, draft: ColumnDraft): Promise<SignedBytes> {
    const { stream } = this.#init
    for (;;) {
      const item = incoming.queue[0]
      if (item === undefined) {
        await incoming.wakeup.wait(stream.signal)
        continue
      }
      if (item.kind === 'index') {
        this.#state = 'committing'
        return await this.#commit(item.bytes, draft)
      }
      if (item.pieceBytes !== undefined) draft.beginPiece(item.pieceBytes)
      await draft.write(item.bytes)
      stream.signal.throwIfAborted()
      incoming.queue.shift()
      incoming.window.release(item.cost)
    }
  }

  async #commit(bytes: Uint8Array, draft: ColumnDraft): Promise<SignedBytes> {
    try {
      return await draft.commit(decodeSigned(bytes, MAX_INDEX_PAYLOAD_BYTES))
    } catch (error) {
      if (statusOf(error, this.#init) === Status.invalid) this.#reportPieces()
      throw error
    }
  }

  #refuse(error: unknown): void {
    if (!this.#init.stream.isOpen) return
    this.#end(statusOf(error, this.#init))
  }

  /** Answers the store. One that failed before its index came leaves the stream to be closed by the client. */
  #end(status: number, receipt?: SignedBytes): void {
    const { stream } = this.#init
    const incoming = this.#incoming
    const mayBeSending = this.#state === 'receiving' && this.#incoming?.isComplete !== true
    if (mayBeSending) this.#state = 'refused'
    else this.#toIdle()
    if (incoming !== undefined) {
      incoming.queue.length = 0
      incoming.hasEnded = true
    }
    stream.post(encode.storeDone(status, receipt))
    if (this.#clientHasEnded) void stream.close()
  }

  #toIdle(): void {
    this.#state = 'idle'
    this.#incoming = undefined
  }

  #reportPieces(): void {
    const open = this.#incoming?.open
    if (open === undefined) return
    const { trust, stream } = this.#init
    const slab = slabKeyOf(slabIdOf(open.publicKey))
    trust.report(stream.peer, 'piece-invalid', { protocol: 'chunk', slab, column: open.column })
  }
}
