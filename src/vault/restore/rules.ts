/**
 * The arithmetic of repair: who looks after whom, when a slab is repaired, and who does it. Pure, so that every holder comes
 * to the same answer from the same facts.
 */
import { hash } from 'node:crypto'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import type { Redundancy } from '../types.ts'

/** Who proves a column to be there, beside the owner. */
export const AUDITORS_PER_COLUMN = 2
/** Share of the grace that a wait varies by: below the half that lies between two ranks. */
const JITTER_SHARE = 0.25

/** With so many live columns or fewer a slab is repaired: min(n − 1, k + ⌈(n − k) / 2⌉). */
export function repairThreshold({ k, n }: Redundancy): number {
  return Math.min(n - 1, k + Math.ceil((n - k) / 2))
}

/** SHA-256(slab ‖ peer id as text), in hex: the unweighted rendezvous order of a slab's holders. */
export function rendezvousKey(slab: SlabId, peer: string): string {
  return hash('sha256', Buffer.concat([slab, Buffer.from(peer)]), 'hex')
}

/** Peers in rendezvous order. */
export function rendezvousOrder(slab: SlabId, peers: Iterable<string>): string[] {
  return [...new Set(peers)]
    .map((peer) => ({ peer, key: rendezvousKey(slab, peer) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ peer }) => peer)
}

/** Which place `peer` has among the live holders, from 0. */
export function rankOf(slab: SlabId, peer: string, live: Iterable<string>): number {
  return rendezvousOrder(slab, [...live, peer]).indexOf(peer)
}

/** grace · (1 + r/2), and up to a quarter of the grace more, so that equal ranks of two views do not start as one. */
export function repairDelayMs(graceMs: number, rank: number, random: number): number {
  return graceMs * (1 + rank / 2 + JITTER_SHARE * random)
}

/** Where co-holders stand for one slab: a number each, from which the order for every column follows without another hash. */
export function pointsOf(slab: SlabId, peers: Iterable<string>): Map<string, number> {
  return new Map(
    [...peers].map((peer) => [peer, Number.parseInt(rendezvousKey(slab, peer).slice(0, 8), 16)] as const),
  )
}

/**
 * The auditors of a column: the first of the co-holders in the column's own rendezvous order, less those that hold it. When
 * one goes or comes, only the columns that it audits change hands.
 */
export function auditorsOf(
  column: number,
  points: ReadonlyMap<string, number>,
  holders: ReadonlySet<string>,
): string[] {
  const weighed: { peer: string; weight: number }[] = []
  for (const [peer, point] of points) {
    if (!holders.has(peer)) weighed.push({ peer, weight: mix(point ^ Math.imul(column + 1, 0x9e3779b1)) })
  }
  weighed.sort((a, b) => a.weight - b.weight || (a.peer < b.peer ? -1 : 1))
  return weighed.slice(0, AUDITORS_PER_COLUMN).map(({ peer }) => peer)
}

/** Spreads 32 bits over 32 bits (the finalizer of MurmurHash3); no secret hangs on it. */
function mix(value: number): number {
  let mixed = value ^ (value >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/**
 * How many of the n columns are said to be held, of one slab, by those who name the same index. What nobody can hold counts nothing, so
 * that one peer that makes something up does not end a search in the place of an honest one.
 */
export function columnsSaid(said: readonly { column: number; indexHash: Uint8Array }[], n: number): number {
  const byIndex = new Map<string, Set<number>>()
  for (const { column, indexHash } of said) {
    if (column >= n) continue
    const index = Buffer.from(indexHash).toString('hex')
    byIndex.set(index, (byIndex.get(index) ?? new Set()).add(column))
  }
  return Math.max(0, ...Array.from(byIndex.values(), ({ size }) => size))
}
