import type { Stream } from '@libp2p/interface'
import { frame, FrameReader } from '../shared/framing.ts'
import { ProtocolViolationError } from '../shared/violation.ts'

/**
 * A stream on which both sides speak in turn, one message each: at most one is on its way, so that nothing has to be held
 * back. Begins to listen at once.
 */
export class Turns {
  readonly #stream: Stream
  readonly #onMoved: (direction: 'in' | 'out', bytes: number) => void
  #waiting: Uint8Array | undefined
  #end: Error | 'closed' | undefined
  #wake: (() => void) | undefined

  constructor(stream: Stream, onMoved: (direction: 'in' | 'out', bytes: number) => void) {
    this.#stream = stream
    this.#onMoved = onMoved
    const reader = new FrameReader({
      payloadOffset: () => undefined,
      onMessage: (message) => this.#hear(message),
      onPayload: () => new Uint8Array(0),
      onPayloadEnd: () => {},
    })
    stream.addEventListener('message', ({ data }) => {
      if (this.#end !== undefined) return
      onMoved('in', data.byteLength)
      try {
        reader.push(data)
      } catch (error) {
        this.#over(error as Error)
        stream.abort(error as Error)
      }
    })
    const onEnd = (): void => {
      // A reset cuts frames too, and is nobody's fault; it has its own event.
      const isWhole = reader.atBoundary || (stream.status !== 'open' && stream.status !== 'closing')
      this.#over(isWhole ? 'closed' : new ProtocolViolationError('truncated-frame', 'cut off in a frame'))
    }
    stream.addEventListener('end', onEnd)
    stream.addEventListener('close', ({ error }) => this.#over(error ?? 'closed'))
    if (stream.readableEnded) queueMicrotask(onEnd)
  }

  /**
   * The other side's next message; undefined where it has closed instead.
   *
   * @throws ProtocolViolationError (out of turn, cut off, oversize), the stream's error, the signal's reason
   */
  async next(signal: AbortSignal): Promise<Uint8Array | undefined> {
    const wake = (): void => this.#wake?.()
    signal.addEventListener('abort', wake, { once: true })
    try {
      for (;;) {
        signal.throwIfAborted()
        const message = this.#waiting
        this.#waiting = undefined
        if (this.#end instanceof Error) throw this.#end
        if (message !== undefined) return message
        if (this.#end !== undefined) return undefined
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    } finally {
      this.#wake = undefined
      signal.removeEventListener('abort', wake)
    }
  }

  /** @throws where the stream is closed */
  send(message: Uint8Array): void {
    const framed = frame(message)
    this.#stream.send(framed)
    this.#onMoved('out', framed.byteLength)
  }

  #hear(message: Uint8Array): void {
    if (this.#waiting !== undefined) throw new ProtocolViolationError('out-of-turn', 'a message too many')
    this.#waiting = message
    this.#wake?.()
  }

  #over(end: Error | 'closed'): void {
    this.#end ??= end
    this.#wake?.()
  }
}
