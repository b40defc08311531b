import { FastCdcChunker } from './fastcdc.ts'
import type { Chunking } from './profile.ts'

/**
 * Cuts a stream into chunks. Each chunk is a buffer of its own, so that it may be kept or given away. A chunker that
 * starts at a chunk boundary cuts as one that was there before would: nothing of it needs to be saved.
 */
export interface Chunker {
  /** Takes the next bytes and gives the chunks that they complete. */
  push(bytes: Uint8Array): Iterable<Uint8Array>
  /** The rest, once no bytes follow; undefined where nothing is left. */
  finish(): Uint8Array | undefined
  /** Bytes that were taken and are in no chunk yet. */
  readonly pendingBytes: number
}

/** Bytes that nobody else sees: a slice of Node's shared pool must not be handed to a worker. */
export function ownCopy(parts: Uint8Array[], sizeBytes: number): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(sizeBytes)
  let at = 0
  for (const part of parts) {
    copy.set(part, at)
    at += part.length
  }
  return copy
}

class SizeChunker implements Chunker {
  readonly #sizeBytes: number
  #parts: Uint8Array[] = []
  pendingBytes = 0

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes
  }

  *push(bytes: Uint8Array): Iterable<Uint8Array> {
    let at = 0
    while (at < bytes.length) {
      const part = bytes.subarray(at, at + this.#sizeBytes - this.pendingBytes)
      this.#parts.push(part)
      this.pendingBytes += part.length
      at += part.length
      if (this.pendingBytes === this.#sizeBytes) yield this.#take()
    }
  }

  finish(): Uint8Array | undefined {
    return this.pendingBytes === 0 ? undefined : this.#take()
  }

  #take(): Uint8Array {
    const chunk = ownCopy(this.#parts, this.pendingBytes)
    this.#parts = []
    this.pendingBytes = 0
    return chunk
  }
}

export function createChunker(chunking: Chunking): Chunker {
  return chunking.kind === 'size' ? new SizeChunker(chunking.sizeBytes) : new FastCdcChunker()
}
