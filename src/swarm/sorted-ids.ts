/** Ids in the order of their bytes: a change moves what lies behind it, which for some thousands takes microseconds. */
export class SortedIds {
  readonly #ids: Uint8Array[] = []

  add(id: Uint8Array): void {
    this.#ids.splice(this.#firstNotBelow(id), 0, id)
  }

  delete(id: Uint8Array): void {
    const at = this.#firstNotBelow(id)
    const found = this.#ids[at]
    if (found !== undefined && Buffer.compare(found, id) === 0) this.#ids.splice(at, 1)
  }

  /** At most `limit` ids, from the first behind `after`. */
  page(after: Uint8Array | undefined, limit: number): Uint8Array[] {
    if (after === undefined) return this.#ids.slice(0, limit)
    const at = this.#firstNotBelow(after)
    const found = this.#ids[at]
    const start = found !== undefined && Buffer.compare(found, after) === 0 ? at + 1 : at
    return this.#ids.slice(start, start + limit)
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
