import type { Stream } from '@libp2p/interface'
import { pEvent } from 'p-event'
import { Uint8ArrayList } from 'uint8arraylist'
import { P2pnodeError } from './errors.ts'
import { MAX_QUEUED_CONTROL_BYTES } from './limits.ts'

/**
 * Writes to a libp2p stream without filling its buffers: `write` waits until the stream takes more, `post` queues small
 * messages up to a bound.
 *
 * `stream.onDrain()` is not used: after the first drain it resolves at once, and whoever relies on it buffers
 * everything. The `drain` event is awaited instead, again where the stream has filled up in the meantime.
 */
export class StreamWriter {
  readonly #stream: Stream
  readonly #onProgress: () => void
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #flushing = false

  /** `onProgress` is called whenever the stream has taken bytes. */
  constructor(stream: Stream, onProgress: () => void = () => {}) {
    this.#stream = stream
    this.#onProgress = onProgress
  }

  /**
   * Sends `header` and `payload` as one piece, without copying either, and resolves when the stream takes more. Calls
   * must not overlap.
   *
   * @throws the stream's error when it closes, the signal's reason when it aborts
   */
  async write(header: Uint8Array, payload: Uint8Array | undefined, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.#drained(signal)
    this.#stream.send(payload === undefined ? header : new Uint8ArrayList(header, payload))
    this.#onProgress()
    await this.#drained(signal)
  }

  /**
   * Sends a small message now, or after those that wait.
   *
   * @throws ERR_WRITE_QUEUE_FULL when the peer has not read for too long
   */
  post(message: Uint8Array): void {
    if (!this.#flushing && !this.#stream.writableNeedsDrain) {
      this.#stream.send(message)
      return
    }
    this.#queuedBytes += message.length
    if (this.#queuedBytes > MAX_QUEUED_CONTROL_BYTES) {
      throw new P2pnodeError('ERR_WRITE_QUEUE_FULL', 'busy', 'the peer does not read what it is sent')
    }
    this.#queue.push(message)
    if (!this.#flushing) void this.#flush()
  }

  async #flush(): Promise<void> {
    this.#flushing = true
    try {
      while (this.#queue.length > 0) {
        await this.#drained()
        const messages = this.#queue
        this.#queue = []
        this.#queuedBytes = 0
        this.#stream.send(new Uint8ArrayList(...messages))
        this.#onProgress()
      }
    } catch {
      // The stream has closed; its owner learns it from the stream's own event.
      this.#queue = []
    } finally {
      this.#flushing = false
    }
  }

  async #drained(signal?: AbortSignal): Promise<void> {
    while (this.#stream.writableNeedsDrain) {
      if (this.#stream.writeStatus === 'closed') {
        throw new P2pnodeError('ERR_STREAM_CLOSED', 'unavailable', 'the stream is closed')
      }
      await pEvent(this.#stream, 'drain', {
        rejectionEvents: ['close'],
        ...(signal === undefined ? {} : { signal }),
      })
      // The stream empties its own buffer in a microtask after the event and may be full again.
      await Promise.resolve()
      this.#onProgress()
    }
  }
}
