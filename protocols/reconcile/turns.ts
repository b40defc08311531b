import type { Stream } from '@libp2p/interface'
import type { Bandwidth, Flow } from '../shared/bandwidth.ts'
import { frame, FrameReader } from '../shared/framing.ts'
import { ProtocolViolationError } from '../shared/violation.ts'

/**
 * A stream on which both sides speak in turn, one message each: at most one is on its way, so that nothing has to be held
 * back but the next turn: it is taken once what came and what goes has its share of the bandwidth. Begins to listen at once.
 */
export class Turns {
  readonly #stream: Stream
  readonly #onMoved: (direction: 'in' | 'out', bytes: number) => void
  readonly #limit: { bandwidth: Bandwidth; peer: string } | undefined
  /** That have come since the last turn of this side. */
  #unpaidBytes = 0
  #waiting: Uint8Array | undefined
  #end: Error | 'closed' | undefined
  #wake: (() => void) | undefined

  /** @param limit without it, nothing is limited */
  constructor(
    stream: Stream,
    onMoved: (direction: 'in' | 'out', bytes: number) => void,
    limit?: { bandwidth: Bandwidth; peer: string },
  ) {
    this.#stream = stream
    this.#onMoved = onMoved
    this.#limit = limit
    const reader = new FrameReader({
      payloadOffset: () => undefined,
      onMessage: (message) => this.#hear(message),
      onPayload: () => new Uint8Array(0),
      onPayloadEnd: () => {},
    })
    stream.addEventListener('message', ({ data }) => {
      if (this.#end !== undefined) return
      onMoved('in', data.byteLength)
      this.#unpaidBytes += data.byteLength
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

  /** Sends when the bandwidth allows it. @throws as `send`, and the signal's reason */
  async take(message: Uint8Array, signal: AbortSignal): Promise<void> {
    const inBytes = this.#unpaidBytes
    this.#unpaidBytes = 0
    await this.#pay('in', inBytes, signal)
    await this.#pay('out', message.byteLength, signal)
    this.send(message)
  }

  /** @throws where the stream is closed */
  send(message: Uint8Array): void {
    const framed = frame(message)
    this.#stream.send(framed)
    this.#onMoved('out', framed.byteLength)
  }

  async #pay(direction: Flow['direction'], bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#limit === undefined) return
    const { bandwidth, peer } = this.#limit
    const flow: Flow = { direction, peer, protocol: 'reconcile' }
    for (let left = bytes; left > 0; ) {
      const slice = Math.min(left, bandwidth.sliceBytes(flow))
      await bandwidth.take(flow, slice, signal)
      left -= slice
    }
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
