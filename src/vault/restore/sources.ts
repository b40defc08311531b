import type { PeerId } from '@libp2p/interface'
import type { Chunk, SlabIndex } from '../../../protocols/chunk/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { ColumnAt } from '../contracts.ts'
import { piecesMissing } from './errors.ts'
import type { OwnColumns } from './measure.ts'

export interface SourceDependencies {
  chunk: Pick<Chunk, 'fetch'>
  own: OwnColumns | undefined
  self: PeerId
  log: Logger
}

interface Running {
  at: ColumnAt
  pieces: AsyncIterator<{ segment: number; bytes: Uint8Array }>
}

/**
 * Gives k verified pieces of one segment after the other out of those that hold columns. A holder that fails is replaced
 * by one that is not in use; what it gave stays good.
 */
export class PieceSources {
  readonly #dependencies: SourceDependencies
  readonly #index: SlabIndex
  readonly #closing = new AbortController()
  readonly #signal: AbortSignal
  readonly #spare: ColumnAt[]
  #running: Running[] = []

  constructor(
    dependencies: SourceDependencies,
    index: SlabIndex,
    held: readonly ColumnAt[],
    signal: AbortSignal,
  ) {
    this.#dependencies = dependencies
    this.#index = index
    this.#signal = AbortSignal.any([signal, this.#closing.signal])
    // This node's own column costs nothing.
    const { self } = dependencies
    this.#spare = [...held].sort((a, b) => Number(b.peer.equals(self)) - Number(a.peer.equals(self)))
  }

  /** Segments in ascending order. @throws ERR_VAULT_PIECES where fewer than k give theirs */
  async pieces(segment: number): Promise<Map<number, Uint8Array>> {
    const { k, slab } = this.#index
    const pieces = new Map<number, Uint8Array>()
    const asked = new Set<Running>()
    while (pieces.size < k) {
      this.#signal.throwIfAborted()
      this.#fill(segment, k)
      const toAsk = this.#running.filter((running) => !asked.has(running))
      if (toAsk.length === 0) throw piecesMissing(slab, pieces.size, k)
      await Promise.all(
        toAsk.map(async (running) => {
          asked.add(running)
          const bytes = await this.#next(running, segment)
          if (bytes !== undefined) pieces.set(running.at.column, bytes)
        }),
      )
    }
    return pieces
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#closing.abort()
    const running = this.#running
    this.#running = []
    await Promise.all(running.map(endQuietly))
  }

  #fill(segment: number, wanted: number): void {
    for (let at = 0; at < this.#spare.length && this.#running.length < wanted; ) {
      const column = this.#spare[at]
      if (column === undefined || this.#running.some((running) => running.at.column === column.column)) {
        at += 1
        continue
      }
      this.#spare.splice(at, 1)
      this.#running.push({ at: column, pieces: this.#open(column, segment)[Symbol.asyncIterator]() })
    }
  }

  #open(at: ColumnAt, from: number): AsyncIterable<{ segment: number; bytes: Uint8Array }> {
    const { chunk, self } = this.#dependencies
    const segments = Array.from(
      { length: this.#index.sealedBytes.length - from },
      (_, number) => from + number,
    )
    if (at.peer.equals(self)) return this.#ownPieces(segments)
    return chunk.fetch(at.peer, this.#index, at.column, { segments, signal: this.#signal })
  }

  async *#ownPieces(segments: readonly number[]): AsyncGenerator<{ segment: number; bytes: Uint8Array }> {
    for (const segment of segments) {
      const bytes = await this.#dependencies.own?.piece(this.#index.slab, segment, { signal: this.#signal })
      if (bytes === undefined) return
      yield { segment, bytes }
    }
  }

  async #next(running: Running, segment: number): Promise<Uint8Array | undefined> {
    try {
      const next = await running.pieces.next()
      if (next.done !== true && next.value.segment === segment) return next.value.bytes
    } catch (error) {
      this.#signal.throwIfAborted()
      const peer = running.at.peer.toString()
      this.#dependencies.log.debug({ peer, error: String(error) }, 'a holder gave no piece')
    }
    this.#running = this.#running.filter((other) => other !== running)
    void endQuietly(running)
    return undefined
  }
}

async function endQuietly({ pieces }: Running): Promise<void> {
  try {
    await pieces.return?.()
  } catch {
    // It has failed, or was called off: what it gave before is good.
  }
}
