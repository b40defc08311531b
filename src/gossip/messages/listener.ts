import type { AppMessage } from './types.ts'
import { MAX_WAITING_BYTES, MAX_WAITING_MESSAGES } from './limits.ts'

/** Somebody who listens to one topic, and what waits to be taken. */
export class Listener implements AsyncIterableIterator<AppMessage> {
  readonly topic: string
  readonly #onEnd: () => void
  readonly #waiting: AppMessage[] = []
  #waitingBytes = 0
  #dropped = 0
  #wake: (() => void) | undefined
  #ended = false

  constructor(topic: string, onEnd: () => void) {
    this.topic = topic
    this.#onEnd = onEnd
  }

  /** False where it was dropped, since too much waits. */
  hear(message: AppMessage): boolean {
    const bytes = message.payload.byteLength
    if (this.#waiting.length >= MAX_WAITING_MESSAGES || this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      this.#dropped += 1
      return false
    }
    // Told with the first that was kept after them.
    this.#waiting.push(this.#dropped === 0 ? message : { ...message, droppedBefore: this.#dropped })
    this.#dropped = 0
    this.#waitingBytes += bytes
    this.#wake?.()
    return true
  }

  async next(): Promise<IteratorResult<AppMessage>> {
    for (;;) {
      const message = this.#waiting.shift()
      if (message !== undefined) {
        this.#waitingBytes -= message.payload.byteLength
        return { done: false, value: message }
      }
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }

  async return(): Promise<IteratorResult<AppMessage>> {
    this.end()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#wake?.()
    this.#onEnd()
  }
}
