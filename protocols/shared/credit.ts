import { MAX_CREDIT_BYTES } from './limits.ts'
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

/**
 * The receiver's side of credit: how much the sender may still send, and how much of what arrived has been dealt with
 * and can be granted anew.
 */
export class CreditWindow {
  readonly #windowBytes: number
  #granted: number
  #released = 0

  /** The sender is taken to have been granted `windowBytes` at the start; the owner sends that grant. */
  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes
    this.#granted = windowBytes
  }

  /** Bytes that the sender may still send. */
  get outstanding(): number {
    return this.#granted
  }

  /** @throws ProtocolViolationError when the sender was not allowed so much */
  receive(bytes: number): void {
    if (bytes > this.#granted) {
      throw new ProtocolViolationError('credit-exceeded', 'the peer sent more than it was granted')
    }
    this.#granted -= bytes
  }

  /**
   * What arrived has been dealt with. Returns the bytes to grant now: nothing until a quarter of the window has come
   * together, so that a grant is sent for many blocks and the sender is never near its end.
   */
  release(bytes: number): number {
    this.#released += bytes
    if (this.#released * 4 < this.#windowBytes) return 0
    const grant = this.#released
    this.#released = 0
    this.#granted += grant
    return grant
  }
}
