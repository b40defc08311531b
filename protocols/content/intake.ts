import type { PeerId } from '@libp2p/interface'
import { Wakeup } from '../shared/wakeup.ts'
import { MAX_KNOWN_SOURCES } from './limits.ts'

/**
 * Reads an iterable of peers while a fetch runs, as far as the fetch has use for them. A pending `next` does not keep
 * the fetch from ending. A peer that is named again while it waits goes to the front: somebody says that it has what is
 * looked for.
 */
export class Intake {
  readonly #iterator: AsyncIterator<PeerId> | Iterator<PeerId>
  readonly #signal: AbortSignal
  readonly #onPeer: () => void
  readonly #room = new Wakeup()
  readonly #peers: PeerId[] = []
  #ended = false

  /** `onPeer` is called when there is something new to `take`, or when no more will come. */
  constructor(sources: AsyncIterable<PeerId> | Iterable<PeerId>, signal: AbortSignal, onPeer: () => void) {
    this.#iterator =
      Symbol.asyncIterator in sources ? sources[Symbol.asyncIterator]() : sources[Symbol.iterator]()
    this.#signal = signal
    this.#onPeer = onPeer
  }

  /** True when every peer that will ever come has been taken. */
  get isExhausted(): boolean {
    return this.#ended && this.#peers.length === 0
  }

  get hasWaiting(): boolean {
    return this.#peers.length > 0
  }

  take(): PeerId | undefined {
    const peer = this.#peers.shift()
    if (peer !== undefined) this.#room.notify()
    return peer
  }

  /** Reads until the iterable or the fetch ends. Never rejects. */
  async run(onError: (error: unknown) => void): Promise<void> {
    const aborted = new Promise<undefined>((resolve) => {
      this.#signal.addEventListener('abort', () => resolve(undefined), { once: true })
    })
    try {
      while (!this.#signal.aborted) {
        const result = await Promise.race([Promise.resolve(this.#iterator.next()), aborted])
        if (result === undefined || result.done === true) break
        this.#add(result.value)
        this.#onPeer()
        while (this.#peers.length >= MAX_KNOWN_SOURCES) await this.#room.wait(this.#signal)
      }
    } catch (error) {
      if (!this.#signal.aborted) onError(error)
    } finally {
      this.#ended = true
      if (this.#signal.aborted) this.#stopIterator()
      this.#onPeer()
    }
  }

  #add(peer: PeerId): void {
    const waiting = this.#peers.findIndex((other) => other.equals(peer))
    if (waiting < 0) this.#peers.push(peer)
    else this.#peers.unshift(...this.#peers.splice(waiting, 1))
  }

  #stopIterator(): void {
    void Promise.resolve(this.#iterator.return?.()).catch(() => {})
  }
}
