import type { Policy } from '../trust/contract.ts'
import { VISIBILITY_AGE_MS } from './limits.ts'
import type { PublisherRow } from './store.ts'

export interface VisibilityOptions {
  trust: Policy
  publishers: () => PublisherRow[]
  ownKey: Uint8Array
  now: () => number
}

/** Which publishers are not shown. Asked of the policy now and then, not for every entry. */
export class Visibility {
  readonly #options: VisibilityOptions
  #hidden: ReadonlySet<number> = new Set()
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(options: VisibilityOptions) {
    this.#options = options
  }

  /** Rows of the publishers that are not shown. */
  hidden(): ReadonlySet<number> {
    const { publishers, now } = this.#options
    const nowMs = now()
    if (nowMs - this.#askedMs >= VISIBILITY_AGE_MS || nowMs < this.#askedMs) {
      this.#hidden = new Set(
        publishers()
          .filter((row) => !this.#isShown(row))
          .map(({ id }) => id),
      )
      this.#askedMs = nowMs
    }
    return this.#hidden
  }

  /** Asks anew the next time. */
  forget(): void {
    this.#askedMs = Number.NEGATIVE_INFINITY
  }

  #isShown({ key, peer, records }: PublisherRow): boolean {
    const { trust, ownKey } = this.#options
    return records === 0 || Buffer.compare(key, ownKey) === 0 || trust.decide(peer, 'catalogue').allowed
  }
}
