import type { Item } from './frontier.ts'
import { MAX_PENDING_PUT_BYTES } from './limits.ts'
import type { BlockSink } from './types.ts'

/** A block that has come. */
export interface Arrival {
  item: Item
  bytes: Uint8Array
  isPrivate: boolean
  /** It was not asked for by CID, so nobody has looked whether it is held. */
  mayBeHeld: boolean
  /** Gives the sender its credit back. */
  release: () => void
}

/**
 * Blocks on their way into the sink. Credit is given back when a block is handed over, as long as the sink keeps up;
 * beyond MAX_PENDING_PUT_BYTES it is held back, so that a slow disk slows the sources down and memory stays bounded. What
 * has come is kept also where the fetch ends meanwhile.
 */
export class Puts {
  readonly #sink: BlockSink
  /** Never aborts: what has come is kept. */
  readonly #signal = new AbortController().signal
  readonly #withheld: (() => void)[] = []
  readonly #untilIdle: (() => void)[] = []
  #bytes = 0
  count = 0

  constructor(sink: BlockSink) {
    this.#sink = sink
  }

  /** Resolves when the block is kept. Its credit is given back now, or when the sink has caught up. */
  async put({ item, bytes, isPrivate, release }: Arrival): Promise<void> {
    const { cid } = item.visit
    this.count += 1
    this.#bytes += bytes.length
    if (this.#bytes <= MAX_PENDING_PUT_BYTES) release()
    else this.#withheld.push(release)
    try {
      await this.#sink.put(cid, bytes, {
        signal: this.#signal,
        verified: true,
        ...(isPrivate ? { private: true } : {}),
      })
    } finally {
      this.count -= 1
      this.#bytes -= bytes.length
      while (this.#bytes <= MAX_PENDING_PUT_BYTES) {
        const next = this.#withheld.shift()
        if (next === undefined) break
        next()
      }
      if (this.count === 0) for (const resolve of this.#untilIdle.splice(0)) resolve()
    }
  }

  /** Resolves when no put is under way, whether they were kept or not. */
  async idle(): Promise<void> {
    if (this.count > 0) await new Promise<void>((resolve) => this.#untilIdle.push(resolve))
  }
}
