import { CreditGrants } from '../shared/credit-grants.ts'
import { P2pnodeError } from '../shared/errors.ts'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { Wakeup } from '../shared/wakeup.ts'
import type { ClientStreamInit } from './client-control.ts'
import type { DataHeader } from './data-frame.ts'
import { ChunkRefusedError, cancelled, chunkInvalid, chunkNotFound, streamFailed } from './errors.ts'
import { pieceRoot, sameBytes, slabKeyOf } from './format/index.ts'
import { FrameStream } from './frame-stream.ts'
import { FRAME_COST_BYTES } from './limits.ts'
import { decodeFromServer, encode } from './messages.ts'
import type { SlabIndex } from './types.ts'

export interface FetchedPiece {
  segment: number
  bytes: Uint8Array
}

/** One fetch under way, from its question to the holder's `FetchDone`. */
interface Fetching {
  index: SlabIndex
  column: number
  /** Which pieces are still to come. */
  expected: number[]
  window: CreditGrants
  assembly: { segment: number; bytes: Uint8Array; filledBytes: number; cost: number } | undefined
  /** Verified, and not yet taken. */
  ready: (FetchedPiece & { cost: number })[]
  wakeup: Wakeup
  status: number | undefined
}

/** The asking end of a stream of fetches, one after another. Every piece is verified before anybody sees it. */
export class FetchStream {
  /** Called once, when the stream has ended. */
  onClose: (() => void) | undefined
  readonly #init: ClientStreamInit
  readonly #stream: FrameStream
  #fetching: Fetching | undefined

  constructor(init: ClientStreamInit) {
    this.#init = init
    this.#stream = new FrameStream({
      ...init,
      handlers: {
        onMessage: (message) => this.#onMessage(message),
        onData: (header) => this.#onData(header),
        onDataEnd: () => this.#onDataEnd(),
        onRemoteEnd: () => this.#stream.fail(streamFailed('closed')),
        onEnd: () => this.onClose?.(),
      },
    })
    this.#stream.watch({
      timeoutMs: init.limits.holderIdleMs,
      reason: 'silent',
      isWaiting: () => {
        // While we hold credit back the holder may have nothing that it is allowed to send.
        return this.#fetching?.window.isAmple === true
      },
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
   * Pieces in order. Credit is granted anew as they are taken. Whoever stops reading before the end loses the stream.
   *
   * @throws ERR_NOT_FOUND, ERR_CHUNK_INVALID, ChunkRefusedError, ERR_STREAM_FAILED, ERR_CANCELLED
   */
  async *fetch(
    index: SlabIndex,
    column: number,
    segments: readonly number[],
    signal: AbortSignal,
  ): AsyncGenerator<FetchedPiece> {
    const startedMs = performance.now()
    const fetching = this.#begin(index, column, segments)
    const any = AbortSignal.any([signal, this.#stream.signal])
    let bytes = 0
    try {
      for (;;) {
        const piece = fetching.ready.shift()
        if (piece !== undefined) {
          bytes += piece.bytes.length
          yield { segment: piece.segment, bytes: piece.bytes }
          this.#release(fetching, piece.cost)
          continue
        }
        if (fetching.status !== undefined) break
        await fetching.wakeup.wait(any)
      }
      this.#check(fetching)
      const durationMs = Math.round(performance.now() - startedMs)
      this.#init.trust.report(this.#stream.peer, 'transfer-served', { protocol: 'chunk', bytes, durationMs })
    } catch (error) {
      throw this.#reasonOf(error, signal)
    } finally {
      if (fetching.status === undefined) this.abort(streamFailed('no longer needed'))
      this.#fetching = undefined
    }
  }

  #begin(index: SlabIndex, column: number, segments: readonly number[]): Fetching {
    if (!this.isOpen) throw streamFailed('closed')
    if (this.#fetching !== undefined) throw new Error('a stream carries one fetch at a time')
    const fetching: Fetching = {
      index,
      column,
      expected: [...segments],
      window: this.#window(),
      assembly: undefined,
      ready: [],
      wakeup: new Wakeup(),
      status: undefined,
    }
    this.#fetching = fetching
    this.#stream.touch()
    const creditBytes = fetching.window.first()
    this.#stream.post(encode.fetch({ slab: index.slab, column, segments: fetching.expected, creditBytes }))
    fetching.window.wake()
    return fetching
  }

  #window(): CreditGrants {
    const { limits, bandwidth, peer } = this.#init
    const window: CreditGrants = new CreditGrants({
      windowBytes: limits.fetchWindowBytes,
      bandwidth,
      flow: { direction: 'in', peer, protocol: 'chunk' },
      // Bandwidth that was waited for until the fetch had ended is of no use to the next one.
      grant: (bytes) => {
        if (this.#fetching?.window === window) this.#stream.post(encode.clientCredit(bytes))
      },
      isWanted: (): boolean => {
        const fetching = this.#fetching
        return fetching !== undefined && fetching.window === window && fetching.status === undefined
      },
      signal: this.#stream.signal,
    })
    return window
  }

  #release(fetching: Fetching, cost: number): void {
    if (fetching.status !== undefined || !this.isOpen) return
    fetching.window.release(cost)
  }

  #check({ status, expected, index }: Fetching): void {
    if (status === Status.ok && expected.length === 0) return
    if (status === Status.notFound) throw chunkNotFound(`column of slab ${slabKeyOf(index.slab)}`)
    throw new ChunkRefusedError(status ?? Status.failed)
  }

  #reasonOf(error: unknown, signal: AbortSignal): Error {
    if (signal.aborted) return cancelled(signal.reason)
    const reason = error instanceof P2pnodeError ? error : streamFailed('failed', error)
    if (reason.code === 'ERR_STREAM_FAILED') {
      const detail = { protocol: 'chunk', reason: String(reason.details['reason']) }
      this.#init.trust.report(this.#stream.peer, 'transfer-failed', detail)
    }
    return reason
  }

  #onData(header: DataHeader): Uint8Array {
    const fetching = this.#fetching
    if (fetching === undefined || fetching.status !== undefined || header.kind !== 'piece') {
      throw new ProtocolViolationError('unrequested-piece', 'data that was not asked for')
    }
    const cost = header.dataBytes + FRAME_COST_BYTES
    fetching.window.receive(cost)
    const assembly = fetching.assembly ?? this.#beginPiece(fetching, header.segment)
    const isNext =
      assembly.segment === header.segment &&
      assembly.filledBytes === header.offset &&
      assembly.bytes.length === header.totalBytes
    if (!isNext) throw new ProtocolViolationError('piece-order', 'a part that does not continue its piece')
    fetching.assembly = assembly
    assembly.filledBytes += header.dataBytes
    assembly.cost += cost
    return assembly.bytes.subarray(header.offset, header.offset + header.dataBytes)
  }

  #beginPiece(fetching: Fetching, segment: number): NonNullable<Fetching['assembly']> {
    if (fetching.expected[0] !== segment) {
      throw new ProtocolViolationError('unrequested-piece', 'a piece that was not asked for, or out of order')
    }
    // Not zeroed, and not a part of a shared pool: it is filled before anybody sees it, and may be kept for long.
    const bytes = Buffer.allocUnsafeSlow(fetching.index.pieceBytes(segment))
    return { segment, bytes, filledBytes: 0, cost: 0 }
  }

  #onDataEnd(): void {
    const fetching = this.#fetching!
    const assembly = fetching.assembly!
    if (assembly.filledBytes < assembly.bytes.length) return
    fetching.assembly = undefined
    const { segment, bytes, cost } = assembly
    const { index, column } = fetching
    if (!sameBytes(pieceRoot(bytes), index.root(segment, column))) {
      const slab = slabKeyOf(index.slab)
      this.#init.trust.report(this.#stream.peer, 'piece-invalid', { slab, column, segment })
      throw chunkInvalid(`a wrong piece: slab ${slab}, column ${column}, segment ${segment}`)
    }
    fetching.expected.shift()
    this.#init.onReceived(bytes.length)
    fetching.ready.push({ segment, bytes, cost })
    fetching.wakeup.notify()
  }

  #onMessage(bytes: Uint8Array): void {
    const message = decodeFromServer(bytes)
    const fetching = this.#fetching
    if (message.kind !== 'fetch-done' || fetching === undefined || fetching.status !== undefined) {
      throw new ProtocolViolationError('unrequested-answer', 'an answer to no question')
    }
    if (fetching.assembly !== undefined || (message.status === Status.ok && fetching.expected.length > 0)) {
      throw new ProtocolViolationError('false-done', 'all is said to be sent, and is not')
    }
    fetching.status = message.status
    fetching.wakeup.notify()
  }
}
