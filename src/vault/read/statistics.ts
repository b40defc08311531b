import type { ReadStatistics } from '../types.ts'

/** Counts by peer what a read gets, in the object that its caller handed in. */
export class SourceCounts {
  readonly #statistics: ReadStatistics
  readonly #byPeer = new Map<string, ReadStatistics['sources'][number]>()

  constructor(statistics: ReadStatistics = { sources: [] }) {
    this.#statistics = statistics
    for (const source of statistics.sources) this.#byPeer.set(source.peer, source)
  }

  piece(peer: string, bytes: number): void {
    const source = this.#of(peer)
    source.pieces += 1
    source.bytes += bytes
  }

  failure(peer: string): void {
    this.#of(peer).failures += 1
  }

  #of(peer: string): ReadStatistics['sources'][number] {
    let source = this.#byPeer.get(peer)
    if (source === undefined) {
      source = { peer, pieces: 0, bytes: 0, failures: 0 }
      this.#byPeer.set(peer, source)
      this.#statistics.sources.push(source)
    }
    return source
  }
}
