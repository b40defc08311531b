import type { Stream } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence } from '../../src/trust/contract.ts'
import { FrameReader } from '../shared/framing.ts'
import { IdleWatch } from '../shared/idle.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { StreamWriter } from '../shared/writer.ts'
import { type DataHeader, isDataFrame, parseDataHeader } from './data-frame.ts'
import { streamFailed } from './errors.ts'

/** For what is written and for the other side to close as well; whatever is left then is reset. */
const CLOSE_TIMEOUT_MS = 10_000

/** What is done with what arrives. Whatever a handler throws ends the stream; a violation is evidence. */
export interface FrameStreamHandlers {
  onMessage(message: Uint8Array): void
  /** Data of so many bytes follows this header: returns where it is to be written. */
  onData(header: DataHeader): Uint8Array
  onDataEnd(): void
  /** The other side sends no more, and was not cut off. */
  onRemoteEnd(): void
  /** The stream has ended, however it did. Called once. */
  onEnd(reason: Error): void
}

export interface FrameStreamInit {
  stream: Stream
  /** Text form of the peer id at the other end. */
  peer: string
  trust: Evidence
  log: Logger
  handlers: FrameStreamHandlers
}

/** One end of a stream: cuts what arrives into frames, writes, watches for silence, and ends in one way only. */
export class FrameStream {
  readonly peer: string
  readonly writer: StreamWriter
  readonly #init: FrameStreamInit
  readonly #end = new AbortController()
  readonly #watches: IdleWatch[] = []
  #header: DataHeader | undefined

  constructor(init: FrameStreamInit) {
    this.#init = init
    this.peer = init.peer
    const { stream, handlers } = init
    this.writer = new StreamWriter(stream, () => this.touch())
    const reader = new FrameReader({
      payloadOffset: (head, frameBytes) => {
        if (!isDataFrame(head)) return undefined
        this.#header = parseDataHeader(head, frameBytes)
        return this.#header.headerBytes
      },
      onMessage: (message) => handlers.onMessage(message),
      onPayload: () => handlers.onData(this.#header!),
      onPayloadEnd: () => handlers.onDataEnd(),
    })
    stream.addEventListener('message', ({ data }) => {
      if (!this.isOpen) return
      this.touch()
      this.#guard(() => reader.push(data))
    })
    const onRemoteEnd = (): void => {
      if (!this.isOpen) return
      if (!reader.atBoundary) this.fail(new ProtocolViolationError('truncated-frame', 'cut off in a frame'))
      else this.#guard(() => handlers.onRemoteEnd())
    }
    stream.addEventListener('end', () => {
      // A reset cuts frames too, and is nobody's fault; it has its own event.
      if (stream.status === 'open' || stream.status === 'closing') onRemoteEnd()
    })
    stream.addEventListener('close', () => this.fail(streamFailed('closed')))
    // What happened before anybody listened.
    if (stream.readableEnded) queueMicrotask(onRemoteEnd)
    if (stream.status !== 'open' && stream.status !== 'closing') {
      queueMicrotask(() => this.fail(streamFailed('closed')))
    }
  }

  get isOpen(): boolean {
    return !this.#end.signal.aborted
  }

  /** Aborted when the stream ends. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Ends the stream where the other side does nothing for so long while `isWaiting`. */
  watch(init: { timeoutMs: number; isWaiting: () => boolean; reason: string }): IdleWatch {
    const watch = new IdleWatch({ ...init, onIdle: () => this.fail(streamFailed(init.reason)) })
    this.#watches.push(watch)
    return watch
  }

  /** The other side did something. */
  touch(): void {
    for (const watch of this.#watches) watch.touch()
  }

  /** Sends a small message soon. A peer that reads nothing for too long loses the stream. */
  post(message: Uint8Array): void {
    if (!this.isOpen) return
    try {
      this.writer.post(message)
    } catch (error) {
      this.fail(error)
    }
  }

  /** Resets the stream. A violation is reported. */
  fail(error: unknown): void {
    if (!this.isOpen) return
    const reason = error instanceof Error ? error : new Error(String(error))
    const { peer, trust, log, stream } = this.#init
    if (reason instanceof ProtocolViolationError) {
      trust.report(peer, 'protocol-violation', { protocol: 'chunk', rule: reason.rule })
    }
    log.debug({ peer, error: reason.message }, 'chunk stream aborted')
    this.#finish(reason)
    stream.abort(reason)
  }

  /** Sends what is left and closes. The stream is of no use from now on. Never rejects. */
  async close(): Promise<void> {
    if (!this.isOpen) return
    const { stream } = this.#init
    this.#finish(streamFailed('closed here'))
    const deadline = setTimeout(() => stream.abort(streamFailed('closing takes too long')), CLOSE_TIMEOUT_MS)
    deadline.unref()
    stream.addEventListener('close', () => clearTimeout(deadline), { once: true })
    try {
      await this.writer.end()
      await stream.close()
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #guard(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.fail(error)
    }
  }

  #finish(reason: Error): void {
    if (!this.isOpen) return
    for (const watch of this.#watches) watch.stop()
    this.#end.abort(reason)
    this.#init.handlers.onEnd(reason)
  }
}
