import { encode } from '@ipld/dag-cbor'
import { varint } from 'multiformats'
import type { CID } from 'multiformats/cid'
import { keyOf } from '../../../protocols/content/hash.ts'
import { links } from '../../../protocols/content/links.ts'
import type { BlockReader } from './block-reader.ts'

/** Blocks asked for before their turn: those that lie on top of the stack. */
const LOOK_AHEAD_BLOCKS = 16
/**
 * CIDs remembered so that no block is written twice, about 100 bytes each. Beyond it a block may appear again, which a
 * CAR allows.
 */
const MAX_REMEMBERED = 1_000_000

/**
 * Everything below `root`, depth first and each block once: the blocks of a DAG in the order in which a walk that
 * follows links left to right meets them.
 */
export async function* walkDag(
  reader: BlockReader,
  root: CID,
  signal: AbortSignal,
): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
  const stack: CID[] = [root]
  const seen = new Set<string>()
  const early = new Map<string, Promise<Uint8Array>>()
  const stop = new AbortController()
  const combined = AbortSignal.any([signal, stop.signal])
  const ask = (cid: CID): Promise<Uint8Array> => {
    const bytes = reader.get(cid, combined)
    // Whoever takes it gets the error; until then it must not count as unhandled.
    bytes.catch(() => {})
    return bytes
  }
  try {
    for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
      const key = keyOf(cid)
      if (seen.has(key)) continue
      if (seen.size < MAX_REMEMBERED) seen.add(key)
      const asked = early.get(key) ?? ask(cid)
      early.delete(key)
      const bytes = await asked
      stack.push(...links(cid, bytes).toReversed())
      for (const next of stack.slice(-LOOK_AHEAD_BLOCKS)) {
        if (early.size >= LOOK_AHEAD_BLOCKS) break
        const nextKey = keyOf(next)
        if (!early.has(nextKey) && !seen.has(nextKey)) early.set(nextKey, ask(next))
      }
      yield { cid, bytes }
    }
  } finally {
    stop.abort()
  }
}

/**
 * A CAR (version 1, https://ipld.io/specs/transport/car/carv1/) of everything below `root`. The frames are made here:
 * the writer of @ipld/car has no end for a consumer that stops half way.
 */
export async function* writeCar(
  reader: BlockReader,
  root: CID,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield carHeader(root)
  for await (const { cid, bytes } of walkDag(reader, root, signal)) {
    yield carFrame(cid, bytes)
    yield bytes
  }
}

export function carHeader(root: CID): Uint8Array {
  const header = encode({ version: 1, roots: [root] })
  return Buffer.concat([lengthPrefix(header.length), header])
}

/** What stands before the bytes of a block. */
export function carFrame(cid: CID, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([lengthPrefix(cid.bytes.length + bytes.length), cid.bytes])
}

function lengthPrefix(length: number): Uint8Array {
  return varint.encodeTo(length, new Uint8Array(varint.encodingLength(length)))
}
