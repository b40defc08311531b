import { BlockList } from 'node:net'
import type { Database } from 'better-sqlite3'
import { listFull } from './errors.ts'
import { parseListSubject, parsePeer } from './subject.ts'

/** Entries of one list. All of them are in memory, at about 200 bytes each, so the bound is 20 MB. */
export const LIST_MAX_ENTRIES = 100_000
/** Characters of a reason that are kept; an operator's note, not a document. */
export const REASON_MAX_CHARACTERS = 256

export type ListName = 'block' | 'allow'

export interface ListEntry {
  /** A peer id; on the block list also an address range such as `203.0.113.0/24`, or content such as `/ipfs/CID`. */
  peer: string
  reason: string | null
  sinceMs: number
}

interface Row {
  peer: string
  reason: string | null
  since_ms: number
}

/** The block and the allow list: in memory for the hot path, in state.db so that they last. */
export interface PeerLists {
  /** @throws ERR_PEER_INVALID, ERR_LIST_FULL */
  add(list: ListName, text: string, reason?: string): ListEntry
  /** False where the entry was not on the list. @throws ERR_PEER_INVALID */
  remove(list: ListName, text: string): boolean
  has(list: ListName, peer: string): boolean
  isEmpty(list: ListName): boolean
  /** True where a range of the block list holds the address, given as text. */
  blocksAddress(address: string, family: 'ipv4' | 'ipv6'): boolean
  /** By time of addition, oldest first. */
  entries(list: ListName): ListEntry[]
}

export function openPeerLists(db: Database, now: () => number): PeerLists {
  const load = db.prepare<[string, number], Row>(
    'SELECT peer, reason, since_ms FROM peer_list WHERE list = ? ORDER BY since_ms, peer LIMIT ?',
  )
  const insert = db.prepare('INSERT INTO peer_list (peer, list, reason, since_ms) VALUES (?, ?, ?, ?)')
  const erase = db.prepare('DELETE FROM peer_list WHERE list = ? AND peer = ?')

  const lists: Record<ListName, Map<string, ListEntry>> = { block: new Map(), allow: new Map() }
  for (const name of ['block', 'allow'] as const) {
    for (const row of load.all(name, LIST_MAX_ENTRIES)) {
      lists[name].set(row.peer, { peer: row.peer, reason: row.reason, sinceMs: row.since_ms })
    }
  }
  let ranges = rangesOf(lists.block)

  const key = (list: ListName, text: string): string =>
    list === 'block' ? parseListSubject(text).text : parsePeer(text)

  return {
    add(list, text, reason) {
      const peer = key(list, text)
      const known = lists[list].get(peer)
      if (known !== undefined) {
        return known
      }
      if (lists[list].size >= LIST_MAX_ENTRIES) {
        throw listFull(list, LIST_MAX_ENTRIES)
      }
      const entry = { peer, reason: reason?.slice(0, REASON_MAX_CHARACTERS) ?? null, sinceMs: now() }
      // Disk first: a block that was acknowledged must still be one after a crash.
      insert.run(peer, list, entry.reason, entry.sinceMs)
      lists[list].set(peer, entry)
      ranges = rangesOf(lists.block)
      return entry
    },
    remove(list, text) {
      const peer = key(list, text)
      erase.run(list, peer)
      const removed = lists[list].delete(peer)
      ranges = rangesOf(lists.block)
      return removed
    },
    has: (list, peer) => lists[list].has(peer),
    isEmpty: (list) => lists[list].size === 0,
    blocksAddress: (address, family) => ranges?.check(address, family) ?? false,
    entries: (list) => [...lists[list].values()],
  }
}

/** `BlockList` cannot forget a range, so that it is built anew on the rare change; undefined where there is none. */
function rangesOf(entries: Map<string, ListEntry>): BlockList | undefined {
  let ranges: BlockList | undefined
  for (const { peer } of entries.values()) {
    if (!peer.includes('/') || peer.startsWith('/')) {
      continue
    }
    const subject = parseListSubject(peer)
    if (subject.type === 'range') {
      ranges ??= new BlockList()
      ranges.addSubnet(subject.range.address, subject.range.prefixBits, subject.range.family)
    }
  }
  return ranges
}
