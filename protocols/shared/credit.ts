import { CREDIT_PATIENCE_MS, MAX_CREDIT_BYTES } from './limits.ts'
import { ProtocolViolationError } from './violation.ts'

/**
 * The sender's side of credit: what the receiver allows, and what is left of it.
 *
 * Streams of different transports push back differently, some not at all, so the protocols do it themselves: the
 * receiver grants bytes, the sender sends no more than that.
 */
export class CreditAccount {
  #available = 0
  #waiter: { bytes: number; resolve: () => void } | undefined

  get available(): number {
    return this.#available
  }

  /** @throws ProtocolViolationError when the sum is over MAX_CREDIT_BYTES */
  add(bytes: number): void {
    this.#available += bytes
    if (this.#available > MAX_CREDIT_BYTES) {
      throw new ProtocolViolationError('credit-overflow', 'more credit than a sender may be granted')
    }
    this.#wake()
  }

  /** Waits until so many bytes are allowed and takes them. One caller at a time. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#available < bytes) await this.#wait(bytes, signal)
    this.#available -= bytes
  }

  /**
   * Waits until `mostBytes` are allowed and takes them. Where they take long to come, as from a receiver that is held back
   * itself, it takes what there is, from `leastBytes` on, and says how much: better a small frame than none.
   */
  async takeUpTo(mostBytes: number, leastBytes: number, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    if (this.#available < mostBytes) {
      const hurry = setTimeout(() => {
        if (this.#waiter !== undefined) this.#waiter.bytes = leastBytes
        this.#wake()
      }, CREDIT_PATIENCE_MS)
      try {
        await this.#wait(mostBytes, signal)
      } finally {
        clearTimeout(hurry)
      }
    }
    const taken = Math.min(mostBytes, this.#available)
    this.#available -= taken
    return taken
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiter = undefined
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiter = {
        bytes,
        resolve: () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        },
      }
    })
  }

  #wake(): void {
    const waiter = this.#waiter
    if (waiter === undefined || this.#available < waiter.bytes) return
    this.#waiter = undefined
    waiter.resolve()
  }
}
