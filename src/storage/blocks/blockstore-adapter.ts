import type { Blockstore, InputPair, Pair } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import { concat } from 'uint8arrays/concat'
import type { Blocks } from '../types.ts'
import { rawCid } from './hashes.ts'
import { assertGoingOn, blockTooLarge, storageError } from '../errors.ts'
import { MAX_BLOCK_BYTES } from './layout.ts'

/** Rows of `getAll` read at a time. */
const PAGE_ROWS = 256

/** Puts of `putMany` under way at a time, so that they share commits. */
const PUT_WINDOW = 64

type BlockBytes = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>

interface CallOptions {
  signal?: AbortSignal
}

/**
 * The store as interface-blockstore knows it. `get` of a block that is not held throws a NotFoundError, as Helia expects;
 * `delete` refuses: only the collector removes blocks. CIDs of `getAll` are raw: the codec is not stored.
 */
export function blockstoreAdapter(
  blocks: Blocks,
  page: (after: number, limit: number) => { id: number; mh: Uint8Array }[],
): Blockstore {
  async function* get(cid: CID, options: CallOptions = {}): AsyncGenerator<Uint8Array> {
    const bytes = await blocks.get(cid, signalOf(options))
    if (bytes === undefined) throw notFound(cid)
    yield bytes
  }

  async function put(cid: CID, input: BlockBytes, options: CallOptions = {}): Promise<CID> {
    await blocks.put(cid, await collect(input), signalOf(options))
    return cid
  }

  return {
    get,
    put,

    has: (cid: CID) => blocks.has(cid),

    async *putMany(
      source: Iterable<InputPair> | AsyncIterable<InputPair>,
      options: CallOptions = {},
    ): AsyncGenerator<CID> {
      const window: Promise<CID>[] = []
      try {
        for await (const { cid, bytes } of source) {
          const putting = put(cid, bytes, options)
          // Told to the caller when its turn comes; until then it must not count as unhandled.
          putting.catch(() => {})
          window.push(putting)
          if (window.length >= PUT_WINDOW) yield await (window.shift() as Promise<CID>)
        }
        while (window.length > 0) yield await (window.shift() as Promise<CID>)
      } finally {
        await Promise.allSettled(window)
      }
    },

    async *getMany(
      source: Iterable<CID> | AsyncIterable<CID>,
      options: CallOptions = {},
    ): AsyncGenerator<Pair> {
      for await (const cid of source) yield { cid, bytes: get(cid, options) }
    },

    async *getAll(options: CallOptions = {}): AsyncGenerator<Pair> {
      let after = 0
      for (let rows = page(after, PAGE_ROWS); rows.length > 0; rows = page(after, PAGE_ROWS)) {
        for (const { id, mh } of rows) {
          assertGoingOn(options.signal)
          after = id
          const cid = rawCid(mh)
          // Collected since the page was read.
          if (!(await blocks.has(cid))) continue
          yield { cid, bytes: get(cid, options) }
        }
      }
    },

    async delete(): Promise<void> {
      throw deleteRefused()
    },

    // oxlint-disable-next-line require-yield
    async *deleteMany(): AsyncGenerator<CID> {
      throw deleteRefused()
    },
  }
}

async function collect(input: BlockBytes): Promise<Uint8Array> {
  if (input instanceof Uint8Array) return input
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  for await (const part of input) {
    sizeBytes += part.byteLength
    if (sizeBytes > MAX_BLOCK_BYTES) throw blockTooLarge(sizeBytes, MAX_BLOCK_BYTES)
    parts.push(part)
  }
  return parts.length === 1 ? (parts[0] as Uint8Array) : concat(parts, sizeBytes)
}

function signalOf(options: CallOptions): CallOptions {
  return options.signal === undefined ? {} : { signal: options.signal }
}

/** Helia and its codecs tell a missing block by this name. */
function notFound(cid: CID): Error {
  const error = storageError('ERR_NOT_FOUND', `block ${cid.toString()} is not held`)
  error.name = 'NotFoundError'
  return error
}

function deleteRefused(): Error {
  return storageError('ERR_DELETE_REFUSED', 'blocks are removed by the collector only: unpin and collect')
}
