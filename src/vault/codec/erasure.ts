/** Reed–Solomon over GF(2^8), k > 1. docs/vault-format.md, "Pieces". */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { pieceBytesOf } from '../../../protocols/chunk/format/slab-index.ts'
import type { Redundancy } from '../types.ts'
import type { Pieces } from './pieces.ts'

const PACKAGE = '@subspace/reed-solomon-erasure.wasm'
const WASM_FILE = 'reed_solomon_erasure_bg.wasm'

// Of the globals of the runtime, what is used here: TypeScript has them with those of the browser only.
interface WasmModule {
  readonly brand: 'WebAssembly.Module'
}
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => WasmModule
  Instance: new (module: WasmModule) => { readonly exports: unknown }
}

export interface Erasure {
  /** All n pieces one after another, from a sealed segment. */
  encode(sealed: Uint8Array, redundancy: Redundancy): Uint8Array<ArrayBuffer>
  /** The k data pieces one after another, from any k pieces of equal length. No arithmetic where they are all there. */
  data(pieces: Pieces, redundancy: Redundancy, pieceBytes: number): Uint8Array<ArrayBuffer>
}

/** Reads the library's wasm: from its package, or from beside the bundle. Some milliseconds: once a thread. */
export function loadErasure(): Erasure {
  const path = import.meta.url.endsWith('.ts')
    ? createRequire(import.meta.url).resolve(`${PACKAGE}/dist/${WASM_FILE}`)
    : fileURLToPath(new URL(`./${WASM_FILE}`, import.meta.url))
  return new ReedSolomon(new WebAssembly.Module(readFileSync(path)))
}

/** What the wasm exports: both take shards one after another, in place, and answer with 0 if all went well. */
interface Library {
  memory: { readonly buffer: ArrayBuffer }
  __wbindgen_malloc(bytes: number): number
  __wbindgen_free(pointer: number, bytes: number): void
  encode(shards: number, bytes: number, dataShards: number, parityShards: number): number
  /** Makes the data shards whole. Takes the flags over and frees them. */
  reconstruct(
    shards: number,
    bytes: number,
    dataShards: number,
    parityShards: number,
    present: number,
    presentBytes: number,
  ): number
}

/**
 * The library's wasm without the JavaScript around it, which frees the flags of `reconstruct` once more after the wasm did: from
 * the second call on its heap is broken. And this way the segment is copied once in and once out.
 */
class ReedSolomon implements Erasure {
  readonly #module: WasmModule
  #loaded: Library | undefined

  constructor(module: WasmModule) {
    this.#module = module
  }

  encode(sealed: Uint8Array, { k, n }: Redundancy): Uint8Array<ArrayBuffer> {
    const pieceBytes = pieceBytesOf(sealed.length, k)
    return this.#withShards(pieceBytes * n, pieceBytes * n, {
      put(shards) {
        shards.set(sealed)
        // What was in this memory before must not become a part of the last data piece.
        shards.fill(0, sealed.length, pieceBytes * k)
      },
      run: (library, pointer) => library.encode(pointer, pieceBytes * n, k, n - k),
    })
  }

  data(pieces: Pieces, { k }: Redundancy, pieceBytes: number): Uint8Array<ArrayBuffer> {
    if (isComplete(pieces, k)) {
      const data = new Uint8Array(k * pieceBytes)
      for (let column = 0; column < k; column++) data.set(pieces.get(column) ?? [], column * pieceBytes)
      return data
    }
    // A row of the matrix does not depend on how many follow, so those after the last piece that is there are left out.
    const rows = Math.max(...pieces.keys()) + 1
    return this.#withShards(pieceBytes * rows, pieceBytes * k, {
      put(shards) {
        for (const [column, bytes] of pieces) shards.set(bytes, column * pieceBytes)
      },
      run(library, pointer) {
        const present = library.__wbindgen_malloc(rows)
        const flags = new Uint8Array(library.memory.buffer, present, rows)
        for (let column = 0; column < rows; column++) flags[column] = pieces.has(column) ? 1 : 0
        return library.reconstruct(pointer, pieceBytes * rows, k, rows - k, present, rows)
      },
    })
  }

  /** Runs something over shards in the library's memory and copies the first `resultBytes` of them out. */
  #withShards(
    bytes: number,
    resultBytes: number,
    work: { put(shards: Uint8Array): void; run(library: Library, pointer: number): number },
  ): Uint8Array<ArrayBuffer> {
    const library = (this.#loaded ??= this.#load())
    try {
      const pointer = library.__wbindgen_malloc(bytes)
      work.put(new Uint8Array(library.memory.buffer, pointer, bytes))
      const result = work.run(library, pointer)
      // Sizes and counts were checked before: this is a mistake of ours, never of who sent the pieces.
      if (result !== 0) throw new Error(`the erasure code failed: ${result}`)
      // Looked up again: the memory may have grown, and then moved.
      const done = new Uint8Array(library.memory.buffer, pointer, resultBytes).slice()
      library.__wbindgen_free(pointer, bytes)
      return done
    } catch (error) {
      // Whatever it was, its heap is not to be relied on any more.
      this.#loaded = undefined
      throw error
    }
  }

  #load(): Library {
    return new WebAssembly.Instance(this.#module).exports as Library
  }
}

function isComplete(pieces: Pieces, k: number): boolean {
  for (let column = 0; column < k; column++) if (!pieces.has(column)) return false
  return true
}
