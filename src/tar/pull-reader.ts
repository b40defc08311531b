/** A stream of bytes that begins somewhere in a longer one: the source of a job. */
export interface ByteSource extends AsyncIterable<Uint8Array> {
  /** Where the first byte lies in the whole stream. */
  readonly offset: number
}

/** Reads a stream of bytes by asking for so many of them, and knows where in the whole stream it stands. */
export class PullReader {
  readonly #iterator: AsyncIterator<Uint8Array>
  #part: Uint8Array = new Uint8Array(0)
  #offset: number

  constructor(source: ByteSource) {
    this.#iterator = source[Symbol.asyncIterator]()
    this.#offset = source.offset
  }

  /** Position of the next byte in the whole stream. */
  get offset(): number {
    return this.#offset
  }

  /** The next bytes, at least one and at most `maxBytes`; undefined at the end of the stream. */
  async some(maxBytes: number): Promise<Uint8Array | undefined> {
    while (this.#part.length === 0) {
      const next = await this.#iterator.next()
      if (next.done === true) return undefined
      this.#part = next.value
    }
    const bytes = this.#part.subarray(0, maxBytes)
    this.#part = this.#part.subarray(bytes.length)
    this.#offset += bytes.length
    return bytes
  }

  /** Exactly `sizeBytes` bytes, or fewer where the stream ends before. Callers bound the size: all of it is held. */
  async upTo(sizeBytes: number): Promise<Uint8Array> {
    const first = await this.some(sizeBytes)
    if (first === undefined || first.length === sizeBytes) return first ?? new Uint8Array(0)
    const parts = [first]
    let have = first.length
    while (have < sizeBytes) {
      const part = await this.some(sizeBytes - have)
      if (part === undefined) break
      parts.push(part)
      have += part.length
    }
    return Buffer.concat(parts, have)
  }

  /** Skips `sizeBytes`; false where the stream ends before. */
  async skip(sizeBytes: number): Promise<boolean> {
    let left = sizeBytes
    while (left > 0) {
      const part = await this.some(left)
      if (part === undefined) return false
      left -= part.length
    }
    return true
  }

  /** Tells the source that no more will be read. */
  async close(): Promise<void> {
    await this.#iterator.return?.()
  }
}
