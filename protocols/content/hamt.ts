import { murmur3128 } from '@multiformats/murmur3'
import type { PBLink } from '@ipld/dag-pb'
import type { UnixFS } from 'ipfs-unixfs'
import type { CID } from 'multiformats/cid'
import { dagInvalid } from './errors.ts'

/** UnixFS takes the first half of a 128-bit murmur3 of the name. */
const HASH_BITS = 64

/** Fan-outs in use are 256; others are allowed by the format as long as they are powers of two. */
const MAX_FANOUT = 1024

/** How many characters of a link's name in this shard are its position. */
export function prefixLength(cid: CID, shard: UnixFS): number {
  return (fanout(cid, shard) - 1).toString(16).length
}

/**
 * The link to follow for `name` in a shard that lies `level` shards below the directory, and whether the shard's child
 * is the entry itself. Undefined: no such entry.
 *
 * @throws ERR_DAG_INVALID for a fan-out that is no power of two, or more levels than the hash has bits
 */
export function findInShard(
  cid: CID,
  shard: UnixFS,
  nodeLinks: PBLink[],
  name: string,
  level: number,
): { link: PBLink; isEntry: boolean } | undefined {
  const width = fanout(cid, shard)
  const bits = Math.log2(width)
  if ((level + 1) * bits > HASH_BITS) throw dagInvalid(cid, 'a sharded directory deeper than its hash')
  const position = positionOf(name, level * bits, bits)
  const prefix = position
    .toString(16)
    .toUpperCase()
    .padStart((width - 1).toString(16).length, '0')
  for (const link of nodeLinks) {
    if (link.Name === prefix) return { link, isEntry: false }
    if (link.Name === prefix + name) return { link, isEntry: true }
  }
  return undefined
}

function fanout(cid: CID, shard: UnixFS): number {
  const width = Number(shard.fanout ?? 0n)
  if (width < 2 || width > MAX_FANOUT || !Number.isInteger(Math.log2(width))) {
    throw dagInvalid(cid, 'a sharded directory with an unusable fan-out')
  }
  return width
}

/** `count` bits of the name's hash from bit `start`, counted from the most significant one. */
function positionOf(name: string, start: number, count: number): number {
  const digest = murmur3128.encode(new TextEncoder().encode(name)) as Uint8Array
  let position = 0
  for (let bit = start; bit < start + count; bit++) {
    position = (position << 1) | ((digest[bit >> 3]! >> (7 - (bit & 7))) & 1)
  }
  return position
}
