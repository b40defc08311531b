import type { Logger } from '../telemetry/types.ts'
import type { GossipMessage } from './topics.ts'

export type GossipHandler = (message: GossipMessage, signal: AbortSignal) => void | Promise<void>

/** Messages that wait for one handler. Later ones are dropped and counted; anti-entropy brings back what matters. */
export const WAITING_MAX_MESSAGES = 256
/** Bytes that wait for one handler: the longest messages fill this before their number does. */
export const WAITING_MAX_BYTES = 4 * 1024 * 1024

/** One handler and the messages that wait for it: handled one at a time, in the order they came. */
export class Subscriber {
  readonly #handler: GossipHandler
  readonly #log: Logger
  readonly #stopping = new AbortController()
  readonly #onDropped: () => void
  #waiting: GossipMessage[] = []
  #waitingBytes = 0
  #isRunning = false

  constructor(handler: GossipHandler, log: Logger, onDropped: () => void) {
    this.#handler = handler
    this.#log = log
    this.#onDropped = onDropped
  }

  deliver(message: GossipMessage): void {
    if (this.#stopping.signal.aborted) {
      return
    }
    const bytes = message.data.byteLength
    if (this.#waiting.length >= WAITING_MAX_MESSAGES || this.#waitingBytes + bytes > WAITING_MAX_BYTES) {
      this.#onDropped()
      return
    }
    this.#waiting.push(message)
    this.#waitingBytes += bytes
    if (!this.#isRunning) {
      this.#isRunning = true
      void this.#run()
    }
  }

  /** Lets go of what waits; the handler that runs is told by its signal. */
  stop(): void {
    this.#stopping.abort()
    this.#waiting = []
    this.#waitingBytes = 0
  }

  async #run(): Promise<void> {
    for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) {
      this.#waitingBytes -= message.data.byteLength
      try {
        await this.#handler(message, this.#stopping.signal)
      } catch (error) {
        if (!this.#stopping.signal.aborted) {
          this.#log.warn({ err: error, topic: message.topic }, 'a handler of gossip failed')
        }
      }
    }
    this.#isRunning = false
  }
}
