import { createHash } from 'node:crypto'
import type { Outcome, ReconciledSet } from '../../protocols/reconcile/index.ts'

export const idOf = (entry: Uint8Array): Buffer => createHash('sha256').update(entry).digest()
export const entryOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A set in memory, of entries that are texts: what begins with `no` is not wanted, what begins with `bad` is invalid. */
export class MemorySet implements ReconciledSet {
  readonly name: string
  readonly maxEntryBytes = 1_000
  readonly entries = new Map<string, Uint8Array>()
  /** Batches that came from peers. */
  readonly came: { peer: string; entries: readonly Uint8Array[] }[] = []
  #version = 0
  #sorted: Buffer[] | undefined

  constructor(texts: Iterable<string> = [], name = 'texts') {
    this.name = name
    for (const text of texts) this.add(text)
  }

  add(text: string): void {
    const entry = entryOf(text)
    this.entries.set(idOf(entry).toString('hex'), entry)
    this.#changed()
  }

  delete(text: string): void {
    this.entries.delete(idOf(entryOf(text)).toString('hex'))
    this.#changed()
  }

  texts(): string[] {
    return [...this.entries.values()].map((entry) => new TextDecoder().decode(entry)).toSorted()
  }

  version(): number {
    return this.#version
  }

  ids(after: Uint8Array | undefined, limit: number): Uint8Array[] {
    const ids = (this.#sorted ??= [...this.entries.keys()].toSorted().map((id) => Buffer.from(id, 'hex')))
    if (after === undefined) return ids.slice(0, limit)
    let [low, high] = [0, ids.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (Buffer.compare(ids[middle]!, after) <= 0) low = middle + 1
      else high = middle
    }
    return ids.slice(low, low + limit)
  }

  read(id: Uint8Array): Uint8Array | undefined {
    return this.entries.get(Buffer.from(id).toString('hex'))
  }

  async take(entries: readonly Uint8Array[], peer: string): Promise<Outcome[]> {
    this.came.push({ peer, entries })
    return entries.map((entry) => {
      const text = new TextDecoder().decode(entry)
      const id = idOf(entry)
      if (text.startsWith('bad')) return { verdict: 'invalid' }
      if (this.entries.has(id.toString('hex'))) return { verdict: 'known', id }
      if (text.startsWith('no')) return { verdict: 'refused', id }
      this.add(text)
      return { verdict: 'taken', id }
    })
  }

  #changed(): void {
    this.#version += 1
    this.#sorted = undefined
  }
}
