import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'

/**
 * Slabs of which this node challenges a twin just now. Meanwhile it serves no bytes of its own column of them, to nobody: a twin
 * that holds nothing could answer with what it asks of this node. As many as there are looks under way.
 */
export class Challenges {
  readonly #running = new Map<string, number>()

  isRunning(slab: SlabId): boolean {
    return this.#running.size > 0 && this.#running.has(slabKeyOf(slab))
  }

  /** Returns what ends it; more than once is the same as once. */
  begin(slab: SlabId): () => void {
    const key = slabKeyOf(slab)
    this.#running.set(key, (this.#running.get(key) ?? 0) + 1)
    let hasEnded = false
    return () => {
      if (hasEnded) return
      hasEnded = true
      const left = (this.#running.get(key) ?? 1) - 1
      if (left > 0) this.#running.set(key, left)
      else this.#running.delete(key)
    }
  }
}
