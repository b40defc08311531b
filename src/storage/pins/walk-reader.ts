import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Database } from 'better-sqlite3'
import { CID } from 'multiformats/cid'
import { keyOf, matches } from '../blocks/hashes.ts'
import { blocksLayout } from '../blocks/layout.ts'
import { PLACE_DATA, PLACE_FILE } from '../blocks/schema.ts'
import { isIdentity, isLeafCodec, type Link, linksOf } from './links.ts'

/** Links kept decoded between steps, so that a block with more links than one step counts is not decoded at every step. */
const MAX_CACHED_LINKS = 100_000

/** What a cached list costs at least, so that many short lists are bounded as well. */
const MIN_CACHED_COST = 16

export interface WalkReader {
  /**
   * The links of a block; undefined where its bytes are not held, or are not what was hashed: counting by rotten links
   * would change references that nobody holds. Links that were read before are known also after the block was lost.
   * @throws MalformedBlockError
   */
  links(key: Uint8Array): readonly Link[] | undefined
  held(mh: Uint8Array): boolean
  /** The same for a reference's key; a block inside its CID (identity hash) is always held. */
  holds(key: Uint8Array): boolean
}

/** Reads inner blocks in the writer thread. */
export function createWalkReader(db: Database): WalkReader {
  const layout = blocksLayout(dirname(db.name))
  const find = db.prepare<[Uint8Array], { place: number; data: Buffer | null }>(
    'SELECT b.place, d.data FROM block b LEFT JOIN block_data d ON d.id = b.id WHERE b.mh = ?',
  )
  const isHeld = db
    .prepare<[Uint8Array], number>(`SELECT place IN (${PLACE_DATA}, ${PLACE_FILE}) FROM block WHERE mh = ?`)
    .pluck()
  const cache = new Map<string, readonly Link[]>()
  let cachedCost = 0

  function bytesOf(cid: CID): Uint8Array | undefined {
    if (isIdentity(cid)) return cid.multihash.digest
    const mh = cid.multihash.bytes
    const row = find.get(mh)
    if (row === undefined) return undefined
    let bytes: Uint8Array
    if (row.place === PLACE_DATA && row.data !== null) bytes = row.data
    else if (row.place === PLACE_FILE) {
      try {
        bytes = readFileSync(layout.filePath(mh))
      } catch {
        return undefined
      }
    } else return undefined
    return matches(cid.multihash, bytes) ? bytes : undefined
  }

  return {
    links(key) {
      const id = keyOf(key)
      const cached = cache.get(id)
      if (cached !== undefined) return cached
      const cid = CID.decode(key)
      if (isLeafCodec(cid.code)) return []
      const bytes = bytesOf(cid)
      if (bytes === undefined) return undefined
      const links = linksOf(cid, bytes)
      cache.set(id, links)
      cachedCost += Math.max(links.length, MIN_CACHED_COST)
      for (const [oldest, list] of cache) {
        if (cachedCost <= MAX_CACHED_LINKS || oldest === id) break
        cache.delete(oldest)
        cachedCost -= Math.max(list.length, MIN_CACHED_COST)
      }
      return links
    },
    held: (mh) => isHeld.get(mh) === 1,
    holds(key) {
      const cid = CID.decode(key)
      return isIdentity(cid) || isHeld.get(cid.multihash.bytes) === 1
    },
  }
}
