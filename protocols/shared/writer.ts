import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { P2pnodeError } from './errors.ts'
import { MAX_QUEUED_CONTROL_BYTES } from './limits.ts'

/**
 * Bytes given to the stream at a time: with its header exactly the window that a yamux stream begins with, and a whole
 * number of times in every larger one. Other sizes are cut by the window into a large frame and a tiny one, and each
 * frame costs both ends an encryption, a write and a window update: at 256 KiB and a header of ours, half of all frames
 * were such crumbs and the receiver spent a fifth of its time on them (measured).
 */
const CHUNK_BYTES = 256 * 1024 - 12

/**
 * Writes to a libp2p stream without filling its buffers, in chunks of a good size. Nothing is copied: what is written
 * must not change until it is sent.
 *
 * `stream.onDrain()` is not used: after the first drain it resolves at once, and whoever relies on it buffers
 * everything. The `drain` event is awaited instead, again where the stream has filled up in the meantime, with one
 * listener for the stream's whole life: one for each wait cost the sender a tenth of its time (measured).
 */
export class StreamWriter {
  readonly #stream: Stream
  readonly #onProgress: () => void
  /** Less than a chunk, but while the stream takes no more. */
  readonly #pending = new Uint8ArrayList()
  #isFlushing = false
  /** Who waits for the stream to take more, or to close. */
  #waiting: (() => void)[] = []

  /** `onProgress` is called whenever the stream has taken bytes. */
  constructor(stream: Stream, onProgress: () => void = () => {}) {
    this.#stream = stream
    this.#onProgress = onProgress
    const wake = (): void => {
      const waiting = this.#waiting
      this.#waiting = []
      for (const resume of waiting) resume()
    }
    stream.addEventListener('drain', wake)
    stream.addEventListener('close', wake)
  }

  /**
   * Takes a message, and resolves when less than a chunk is left to be sent and the stream takes more. The rest goes
   * with what is written next, or by `flushSoon`.
   *
   * @throws the stream's error when it closes, the signal's reason when it aborts
   */
  async write(header: Uint8Array, payload: Uint8Array | undefined, signal: AbortSignal): Promise<void> {
    this.#pending.append(header)
    if (payload !== undefined && payload.length > 0) this.#pending.append(payload)
    if (this.#pending.byteLength >= CHUNK_BYTES) await this.#sendDownTo(CHUNK_BYTES, signal)
  }

  /**
   * Sends what is left once this turn of the event loop is over, with what comes until then. To be called before
   * waiting for anything but the stream.
   */
  flushSoon(): void {
    if (this.#isFlushing || this.#pending.byteLength === 0) return
    this.#isFlushing = true
    setImmediate(() => void this.#flush())
  }

  /**
   * Sends a small message soon, behind what was written.
   *
   * @throws ERR_WRITE_QUEUE_FULL when the peer has not read for too long
   */
  post(message: Uint8Array): void {
    this.#pending.append(message)
    if (this.#pending.byteLength > CHUNK_BYTES + MAX_QUEUED_CONTROL_BYTES) {
      throw new P2pnodeError('ERR_WRITE_QUEUE_FULL', 'busy', 'the peer does not read what it is sent')
    }
    this.flushSoon()
  }

  /** Resolves when everything is with the stream. @throws the stream's error when it closes */
  async end(): Promise<void> {
    await this.#sendDownTo(1, undefined)
  }

  async #flush(): Promise<void> {
    try {
      await this.#sendDownTo(1, undefined)
    } catch {
      // The stream has closed; its owner learns it from the stream's own event.
      this.#pending.consume(this.#pending.byteLength)
    } finally {
      this.#isFlushing = false
    }
  }

  async #sendDownTo(leastBytes: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    await this.#drained(signal)
    while (this.#pending.byteLength >= leastBytes) {
      this.#sendChunk()
      await this.#drained(signal)
    }
  }

  /** Whoever calls it: the order of bytes is that of `#pending`. */
  #sendChunk(): void {
    const chunk = this.#pending.sublist(0, Math.min(CHUNK_BYTES, this.#pending.byteLength))
    this.#pending.consume(chunk.byteLength)
    this.#stream.send(chunk)
    this.#onProgress()
  }

  /** An abort is not listened for: whoever aborts ends the stream as well, and that ends the wait. */
  async #drained(signal: AbortSignal | undefined): Promise<void> {
    while (this.#stream.writableNeedsDrain) {
      if (this.#stream.writeStatus === 'closed') {
        throw new P2pnodeError('ERR_STREAM_CLOSED', 'unavailable', 'the stream is closed')
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
      // The stream empties its own buffer in a microtask after the event and may be full again.
      await Promise.resolve()
      signal?.throwIfAborted()
      this.#onProgress()
    }
  }
}
