/** From so many on it is quicker to go through all ids once than to move what lies behind each. */
const MANY = 64

/** Ids in the order of their bytes: a change moves what lies behind it, which for some thousands takes microseconds. */
export class SortedIds {
  #ids: Uint8Array[] = []

  add(id: Uint8Array): void {
    this.#ids.splice(this.#firstNotBelow(id), 0, id)
  }

  delete(ids: readonly Uint8Array[]): void {
    if (ids.length < MANY) {
      for (const id of ids) this.#deleteOne(id)
      return
    }
    const gone = new Set(ids.map(textOf))
    this.#ids = this.#ids.filter((id) => !gone.has(textOf(id)))
  }

  /** At most `limit` ids, from the first behind `after`. */
  page(after: Uint8Array | undefined, limit: number): Uint8Array[] {
    if (after === undefined) return this.#ids.slice(0, limit)
    const at = this.#firstNotBelow(after)
    const found = this.#ids[at]
    const start = found !== undefined && Buffer.compare(found, after) === 0 ? at + 1 : at
    return this.#ids.slice(start, start + limit)
  }

  #deleteOne(id: Uint8Array): void {
    const at = this.#firstNotBelow(id)
    const found = this.#ids[at]
    if (found !== undefined && Buffer.compare(found, id) === 0) this.#ids.splice(at, 1)
  }

  #firstNotBelow(id: Uint8Array): number {
    let low = 0
    let high = this.#ids.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (Buffer.compare(this.#ids[middle]!, id) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

function textOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')
}
