import type { PeerId } from '@libp2p/interface'
import type { Flow } from '../shared/bandwidth.ts'
import { CreditAccount } from '../shared/credit.ts'
import { P2pnodeError } from '../shared/errors.ts'
import { Status } from '../shared/status.ts'
import { unlessAborted } from '../shared/unless-aborted.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import type { ClientStreamInit } from './client-control.ts'
import { encodeIndexHeader, encodePieceHeader } from './data-frame.ts'
import { ChunkRefusedError, cancelled, streamFailed } from './errors.ts'
import { decodeReceipt, encodeSigned, sameBytes, slabIdOf, slabKeyOf } from './format/index.ts'
import { FrameStream } from './frame-stream.ts'
import { FRAME_COST_BYTES, MIN_PART_BYTES } from './limits.ts'
import { decodeFromServer, encode } from './messages.ts'
import { nextPartBytes } from './parts.ts'
import type { Lease, Receipt, SignedBytes, SlabIndex, StoreOpen, StoreStream } from './types.ts'

export interface StoreClientInit extends ClientStreamInit {
  peerId: PeerId
  networkName: string
}

/** One store under way, from its question to the holder's `StoreDone`. */
class Outgoing {
  readonly open: StoreOpen
  readonly lease: Lease
  readonly credit = new CreditAccount()
  /** Ends every wait of this store. */
  readonly end = new AbortController()
  segment = 0
  isAccepted = false
  /** Everything is sent: what is left is the holder's answer. */
  isSent = false
  /** What the client waits for: the holder owes it. */
  waits = 0
  readonly accepted = Promise.withResolvers<void>()
  readonly done = Promise.withResolvers<SignedBytes>()

  constructor(open: StoreOpen, lease: Lease) {
    this.open = open
    this.lease = lease
    // Whoever waits is told; nobody has to.
    this.accepted.promise.catch(() => {})
    this.done.promise.catch(() => {})
  }

  fail(error: Error): void {
    this.end.abort(error)
    this.accepted.reject(error)
    this.done.reject(error)
  }
}

/** The sending end of a stream of stores, one after another. */
export class StoreClientStream {
  /** Called once, when the stream has ended. */
  onClose: (() => void) | undefined
  readonly #init: StoreClientInit
  readonly #flow: Flow
  readonly #stream: FrameStream
  #outgoing: Outgoing | undefined

  constructor(init: StoreClientInit) {
    this.#init = init
    this.#flow = { direction: 'out', peer: init.peer, protocol: 'chunk' }
    this.#stream = new FrameStream({
      ...init,
      handlers: {
        onMessage: (message) => this.#onMessage(message),
        onData: () => {
          throw new ProtocolViolationError('wrong-order', 'data in answer to a store')
        },
        onDataEnd: () => {},
        onRemoteEnd: () => this.#stream.fail(streamFailed('closed')),
        onEnd: (reason) => {
          this.#outgoing?.fail(reason instanceof P2pnodeError ? reason : streamFailed('failed', reason))
          this.onClose?.()
        },
      },
    })
    this.#stream.watch({
      timeoutMs: init.limits.holderIdleMs,
      reason: 'silent',
      isWaiting: () => (this.#outgoing?.waits ?? 0) > 0,
    })
  }

  get isOpen(): boolean {
    return this.#stream.isOpen
  }

  close(): void {
    void this.#stream.close()
  }

  abort(error: Error): void {
    this.#stream.fail(error)
  }

  /**
   * Resolves once the holder has reserved the room. `onEnd` is called when the stream may carry the next store, or has
   * ended.
   *
   * @throws ChunkRefusedError, ERR_STREAM_FAILED, ERR_CANCELLED
   */
  async store(open: StoreOpen, lease: Lease, signal: AbortSignal, onEnd: () => void): Promise<StoreStream> {
    if (!this.isOpen) throw streamFailed('closed')
    if (this.#outgoing !== undefined) throw new Error('a stream carries one store at a time')
    const outgoing = new Outgoing(open, lease)
    this.#outgoing = outgoing
    this.#stream.post(encode.store(open))
    try {
      await this.#owed(outgoing, outgoing.accepted.promise, signal)
    } catch (error) {
      this.#leave(outgoing)
      throw error
    }
    let hasEnded = false
    const end = (): void => {
      if (!hasEnded) onEnd()
      hasEnded = true
    }
    return {
      peer: this.#init.peerId,
      write: (piece, writeSignal) => this.#write(outgoing, piece, writeSignal),
      finish: async (index, finishSignal) => {
        try {
          return await this.#finish(outgoing, index, finishSignal)
        } finally {
          this.#leave(outgoing)
          end()
        }
      },
      abort: (error) => {
        if (this.#outgoing !== outgoing) return
        this.abort(error)
        end()
      },
    }
  }

  async #write(outgoing: Outgoing, piece: Uint8Array, signal: AbortSignal): Promise<void> {
    const { limits, bandwidth, onSent } = this.#init
    const segment = outgoing.segment++
    let offset = 0
    while (offset < piece.length) {
      const leftBytes = piece.length - offset
      const sliceBytes = bandwidth?.sliceBytes(this.#flow) ?? Infinity
      const mostBytes = nextPartBytes(leftBytes, Math.min(limits.frameDataBytes, sliceBytes))
      const begin = offset
      offset += await this.#send(
        outgoing,
        { mostBytes, leastBytes: Math.min(leftBytes, MIN_PART_BYTES) },
        (bytes) => ({
          header: encodePieceHeader({ segment, offset: begin, totalBytes: piece.length }, bytes),
          data: piece.subarray(begin, begin + bytes),
        }),
        signal,
      )
    }
    this.#stream.writer.flushSoon()
    onSent(piece.length)
  }

  async #finish(outgoing: Outgoing, index: SlabIndex, signal: AbortSignal): Promise<Receipt> {
    const bytes = encodeSigned(index.signed)
    await this.#send(
      outgoing,
      { mostBytes: bytes.length, leastBytes: bytes.length },
      () => ({ header: encodeIndexHeader(0, bytes.length), data: bytes }),
      signal,
      true,
    )
    this.#stream.writer.flushSoon()
    const signed = await this.#owed(outgoing, outgoing.done.promise, signal)
    return this.#verify(outgoing, index, signed)
  }

  /** Sends one frame, as large as credit allows between the two bounds. Returns how much data was in it. */
  async #send(
    outgoing: Outgoing,
    { mostBytes, leastBytes }: { mostBytes: number; leastBytes: number },
    frameOf: (bytes: number) => { header: Uint8Array; data: Uint8Array },
    signal: AbortSignal,
    isLast = false,
  ): Promise<number> {
    if (this.#outgoing !== outgoing)
      throw this.#reasonOf(outgoing, streamFailed('the store has ended'), signal)
    const any = AbortSignal.any([signal, outgoing.end.signal])
    try {
      const cost = mostBytes + FRAME_COST_BYTES
      if (outgoing.credit.available < cost) this.#stream.writer.flushSoon()
      const takenBytes = await this.#whileWaiting(outgoing, () =>
        outgoing.credit.takeUpTo(cost, leastBytes + FRAME_COST_BYTES, any),
      )
      const wait = this.#init.bandwidth?.take(this.#flow, takenBytes, any)
      if (wait !== undefined) {
        this.#stream.writer.flushSoon()
        await wait
      }
      outgoing.isSent = isLast
      const { header, data } = frameOf(takenBytes - FRAME_COST_BYTES)
      await this.#whileWaiting(outgoing, () => this.#stream.writer.write(header, data, any))
      return data.length
    } catch (error) {
      const reason = this.#reasonOf(outgoing, error, signal)
      // Half a piece is on its way: nothing can follow it.
      this.#leave(outgoing)
      throw reason
    }
  }

  /** Silence of the holder counts meanwhile. */
  async #whileWaiting<T>(outgoing: Outgoing, work: () => Promise<T>): Promise<T> {
    outgoing.waits += 1
    if (outgoing.waits === 1) this.#stream.touch()
    try {
      return await work()
    } finally {
      outgoing.waits -= 1
    }
  }

  /** Waits for what the holder owes. */
  async #owed<T>(outgoing: Outgoing, promise: Promise<T>, signal: AbortSignal): Promise<T> {
    outgoing.waits += 1
    if (outgoing.waits === 1) this.#stream.touch()
    try {
      return await unlessAborted(promise, signal)
    } catch (error) {
      throw this.#reasonOf(outgoing, error, signal)
    } finally {
      outgoing.waits -= 1
    }
  }

  /** The holder's word counts before ours: a store that was refused is not one that was cancelled. */
  #reasonOf(outgoing: Outgoing, error: unknown, signal: AbortSignal): Error {
    if (outgoing.end.signal.aborted) return outgoing.end.signal.reason as Error
    if (signal.aborted) return cancelled(signal.reason)
    return error instanceof P2pnodeError ? error : streamFailed('failed', error)
  }

  /** The store is over. A stream on which it was not finished by the holder's answer is of no more use. */
  #leave(outgoing: Outgoing): void {
    if (this.#outgoing !== outgoing) return
    this.#outgoing = undefined
    this.abort(streamFailed('a store was left'))
  }

  #verify(outgoing: Outgoing, index: SlabIndex, signed: SignedBytes): Receipt {
    const { peerId, peer, networkName, trust } = this.#init
    const { open, lease } = outgoing
    const detail = { slab: slabKeyOf(index.slab), column: open.column }
    const key = peerId.publicKey?.raw
    try {
      if (key === undefined) throw new RangeError('a peer id without its key')
      const receipt = decodeReceipt(signed, networkName, key)
      const fits =
        sameBytes(receipt.slab, slabIdOf(open.publicKey)) &&
        receipt.column === open.column &&
        sameBytes(receipt.indexHash, index.hash) &&
        receipt.untilMs >= lease.untilMs
      if (!fits) throw new RangeError('a receipt for something else')
      return receipt
    } catch (cause) {
      trust.report(peer, 'receipt-broken', detail)
      throw new P2pnodeError('ERR_CHUNK_INVALID', 'verification', 'the receipt does not fit the column', {
        cause,
        details: detail,
      })
    }
  }

  #onMessage(bytes: Uint8Array): void {
    const message = decodeFromServer(bytes)
    const outgoing = this.#outgoing
    if (outgoing === undefined) throw unrequested()
    switch (message.kind) {
      case 'accepted':
        if (outgoing.isAccepted) throw unrequested()
        outgoing.isAccepted = true
        outgoing.credit.add(message.creditBytes)
        outgoing.accepted.resolve()
        return
      case 'credit':
        if (!outgoing.isAccepted) throw unrequested()
        outgoing.credit.add(message.bytes)
        return
      case 'store-done':
        this.#onDone(outgoing, message.status, message.receipt)
        return
      default:
        throw unrequested()
    }
  }

  #onDone(outgoing: Outgoing, status: number, receipt: SignedBytes | undefined): void {
    const isKept = status === Status.ok
    if (isKept !== (receipt !== undefined) || (isKept && !outgoing.isSent)) {
      throw new ProtocolViolationError('wrong-answer', 'a store that ends in a way that none does')
    }
    // Refused half-way: the holder throws away what is still on its way and waits for the stream to be closed.
    const isHalfWay = outgoing.isAccepted && !outgoing.isSent
    if (receipt === undefined) outgoing.fail(new ChunkRefusedError(status))
    else outgoing.done.resolve(receipt)
    this.#outgoing = undefined
    if (isHalfWay) this.close()
  }
}

function unrequested(): ProtocolViolationError {
  return new ProtocolViolationError('unrequested-answer', 'an answer to no question')
}
