import { LRUCache } from 'lru-cache'

/** What an entry costs beside its bytes: key, list nodes, the array's own head. */
const ENTRY_BYTES = 256

/** The first tier: verified bytes of blocks that were put or read last, by key, bounded in bytes. */
export class MemoryTier {
  readonly #blocks: LRUCache<string, Uint8Array> | undefined

  /** With 0 bytes it holds nothing. */
  constructor(limitBytes: number) {
    if (limitBytes === 0) return
    this.#blocks = new LRUCache({
      maxSize: limitBytes,
      sizeCalculation: (bytes) => bytes.byteLength + ENTRY_BYTES,
    })
  }

  get(key: string): Uint8Array | undefined {
    return this.#blocks?.get(key)
  }

  /** Keeps the bytes in a buffer of their own: a view would hold, and change with, the whole buffer behind it. */
  set(key: string, bytes: Uint8Array): void {
    this.#blocks?.set(key, bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice())
  }

  delete(key: string): void {
    this.#blocks?.delete(key)
  }

  clear(): void {
    this.#blocks?.clear()
  }
}
