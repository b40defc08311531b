import { hash } from 'node:crypto'

/** 53 bits of a hash as a number in (0, 1): never 0 or 1, whose logarithms would not do. */
function unitOf(digest: Buffer): number {
  const high = digest.readUIntBE(0, 6)
  const low = digest.readUInt8(6) >>> 4
  return (high * 16 + low + 0.5) / 2 ** 52
}

/**
 * The key of a peer in weighted rendezvous hashing: `−w / ln h`, h in (0, 1) from the hash of group and peer. The peer
 * with the highest key comes first; the share of groups for which that is one peer is its share of all weights, and a
 * peer that comes or goes moves no group between two others.
 *
 * Schindelhauer and Schomaker, "Weighted Distributed Hash Tables" (SPAA 2005), the logarithmic method; in this form by
 * Jason Resch, "New Hashing Algorithms for Data Storage" (SNIA SDC 2015).
 */
export function rendezvousKey(group: Uint8Array, peer: string, weight: number): number {
  const digest = hash('sha256', Buffer.concat([group, Buffer.from(peer, 'utf8')]), 'buffer')
  return -weight / Math.log(unitOf(digest))
}

/** Highest key first; equal keys by the peer's name, so that the order is one. */
export function rendezvousOrder<Item extends { name: string; weight: number }>(
  group: Uint8Array,
  items: readonly Item[],
): Item[] {
  return items
    .map((item) => ({ item, key: rendezvousKey(group, item.name, item.weight) }))
    .sort((a, b) => b.key - a.key || (a.item.name < b.item.name ? -1 : 1))
    .map(({ item }) => item)
}
