import { LRUCache } from 'lru-cache'
import type { ReadStatistics } from '../vault/types.ts'
import { MAX_LOGGED_READS } from './limits.ts'

/**
 * What the last reads of private files got from whom. A client that wants to know chooses an id for its read, and may
 * read on under it after an interruption: figures add up.
 */
export class ReadLog {
  readonly #reads = new LRUCache<string, ReadStatistics>({ max: MAX_LOGGED_READS })

  /** What a read under this id is counted in; undefined where nobody wants to know. */
  of(id: string | undefined): ReadStatistics | undefined {
    if (id === undefined) return undefined
    const known = this.#reads.get(id)
    if (known !== undefined) return known
    const fresh: ReadStatistics = { sources: [] }
    this.#reads.set(id, fresh)
    return fresh
  }

  get(id: string): ReadStatistics | undefined {
    return this.#reads.get(id)
  }
}
