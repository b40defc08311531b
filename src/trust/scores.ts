import { LRUCache } from 'lru-cache'
import type { EvidenceKind } from './contract.ts'
import type { TrustState } from './ledger.ts'
import { type Account, newAccount, NEWCOMER, note, type Views, viewsAt } from './model/account.ts'

/** Accounts in memory, some 500 bytes each; others are read when they are asked for. */
const CACHED_ACCOUNTS = 20_000
/** Accounts that wait to be written; above it a change lives in the cache alone until its next one. */
const UNWRITTEN_MAX = 10_000
/** Written in one transaction beside a batch of evidence: a few milliseconds on the event loop. */
const WRITE_MAX = 500
/** A score moves slowly: between two pieces of evidence it is good for so long. */
const VIEWS_FRESH_MS = 1_000
/** After a year a half-life of 60 days has left 1.5 % of the worst: nothing that anybody would miss. */
export const ACCOUNT_RETENTION_MS = 365 * 24 * 3_600_000
/** Some 100 MB of state.db. */
export const ACCOUNTS_MAX = 200_000
export const PAGE_MAX_ACCOUNTS = 1_000
/** Of too many accounts one in so many goes at a time, of those that are looked at: the one of which least is known. */
const LOOKED_AT_PER_FORGOTTEN = 4

/** How often a peer was shut out for a time, and until when. */
export interface Ban {
  count: number
  untilMs: number
}

export interface PeerAccount {
  readonly peer: string
  readonly account: Account
  /** What the operator said instead of the model. */
  override: number | null
  ban: Ban | null
  fresh: { atMs: number; views: Views } | undefined
}

/** What of a row tells whether it may be forgotten. */
interface Known {
  peer: string
  updatedMs: number
  evidence: number | null
  bannedUntilMs: number | null
}

interface Row {
  peer: string
  account: string
  override: number | null
  ban: string | null
}

/** The accounts of all peers: in memory for the hot path, in state.db so that they last. */
export interface Scorekeeper {
  /** Adds evidence; the account that it was added to. */
  note(peer: string, kind: EvidenceKind, atMs: number): PeerAccount
  /** Never throws: what cannot be read counts as a newcomer. */
  views(peer: string, atMs: number): Views
  find(peer: string): PeerAccount | undefined
  /** What is in memory of a peer, without a look at the disk. */
  remembered(peer: string): PeerAccount | undefined
  /** Durable once this returns; null: the model's word counts again. */
  set(peer: string, score: number | null, atMs: number): PeerAccount
  changed(entry: PeerAccount): void
  /** By peer id, ascending. What waits is written first. */
  page(query: { limit: number; afterPeer: string }): PeerAccount[]
  /** Writes a batch of what has changed; call it within a transaction, and `written` once that was committed. */
  write(): void
  written(): void
  hasUnwritten(): boolean
  /** Forgets accounts that are too old or too many, at most `limit`. True when there may be more. */
  retain(nowMs: number, limit: number): boolean
}

export function openScorekeeper(
  state: TrustState,
  now: () => number,
  /** Other than the default only in tests. */
  { maxAccounts = ACCOUNTS_MAX }: { maxAccounts?: number } = {},
): Scorekeeper {
  const { db } = state
  const select = db.prepare<[string], Row>(
    'SELECT peer, account, override, ban FROM trust_peer WHERE peer = ?',
  )
  const selectPage = db.prepare<[string, number], Row>(
    'SELECT peer, account, override, ban FROM trust_peer WHERE peer > ? ORDER BY peer LIMIT ?',
  )
  const upsert = db.prepare(
    `INSERT INTO trust_peer (peer, account, override, ban, updated_ms) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (peer) DO UPDATE SET account = excluded.account, override = excluded.override, ban = excluded.ban,
       updated_ms = excluded.updated_ms`,
  )
  // What the operator said stays until the operator takes it back.
  const outdated = db
    .prepare<[number, number], string>(
      'SELECT peer FROM trust_peer WHERE override IS NULL AND updated_ms < ? ORDER BY updated_ms LIMIT ?',
    )
    .pluck()
  const selectKnown = db.prepare<[string, number], Known>(
    `SELECT peer, updated_ms AS updatedMs, json_extract(account, '$.evidence') AS evidence,
       json_extract(ban, '$.untilMs') AS bannedUntilMs
     FROM trust_peer WHERE override IS NULL AND peer > ? ORDER BY peer LIMIT ?`,
  )
  const count = db.prepare<[], number>('SELECT count(*) FROM trust_peer').pluck()
  const erase = db.prepare('DELETE FROM trust_peer WHERE peer = ?')

  const cache = new LRUCache<string, PeerAccount>({ max: CACHED_ACCOUNTS })
  /** Peers that are known to have no account, so that a stranger's every request is not a query. */
  const strangers = new LRUCache<string, true>({ max: CACHED_ACCOUNTS })
  const unwritten = new Map<string, PeerAccount>()
  let writing: PeerAccount[] = []
  /** How far those were looked at of whom some have to be forgotten. */
  let lookedAt = ''

  function find(peer: string): PeerAccount | undefined {
    const known = unwritten.get(peer) ?? cache.get(peer)
    if (known !== undefined || strangers.has(peer)) return known
    const row = select.get(peer)
    if (row === undefined) {
      strangers.set(peer, true)
      return undefined
    }
    const entry = fromRow(row)
    cache.set(peer, entry)
    return entry
  }

  function findOrMake(peer: string, atMs: number): PeerAccount {
    const known = find(peer)
    if (known !== undefined) return known
    const made: PeerAccount = {
      peer,
      account: newAccount(atMs),
      override: null,
      ban: null,
      fresh: undefined,
    }
    strangers.delete(peer)
    cache.set(peer, made)
    return made
  }

  function changed(entry: PeerAccount): void {
    entry.fresh = undefined
    if (unwritten.size < UNWRITTEN_MAX || unwritten.has(entry.peer)) unwritten.set(entry.peer, entry)
  }

  function put({ peer, account, override, ban }: PeerAccount): void {
    upsert.run(
      peer,
      JSON.stringify(account),
      override,
      ban === null ? null : JSON.stringify(ban),
      account.atMs,
    )
  }

  return {
    find,
    remembered: (peer) => unwritten.get(peer) ?? cache.get(peer),
    changed,
    note(peer, kind, atMs) {
      const entry = findOrMake(peer, atMs)
      note(entry.account, kind, atMs)
      changed(entry)
      return entry
    },
    views(peer, atMs) {
      let entry: PeerAccount | undefined
      try {
        entry = find(peer)
      } catch {
        return NEWCOMER
      }
      if (entry === undefined) return NEWCOMER
      const { fresh } = entry
      if (fresh !== undefined && Math.abs(atMs - fresh.atMs) < VIEWS_FRESH_MS) return fresh.views
      const views = entry.override === null ? viewsAt(entry.account, atMs) : alike(entry.override)
      entry.fresh = { atMs, views }
      return views
    },
    set(peer, score, atMs) {
      const entry = findOrMake(peer, atMs)
      const before = { override: entry.override, ban: entry.ban }
      entry.override = score
      // Whoever says what a peer is worth says so of its bans as well.
      entry.ban = null
      try {
        // Outside a transaction of ours it is durable when it returns; a person waits for it.
        put(entry)
      } catch (error) {
        Object.assign(entry, before)
        throw error
      }
      entry.fresh = undefined
      unwritten.delete(peer)
      return entry
    },
    page({ limit, afterPeer }) {
      // Pages are read from disk, and accounts that wait are newer than what is there; new ones come with the next page.
      return selectPage
        .all(afterPeer, Math.max(1, Math.min(limit, PAGE_MAX_ACCOUNTS)))
        .map((row) => unwritten.get(row.peer) ?? cache.peek(row.peer) ?? fromRow(row))
    },
    write() {
      writing = []
      for (const entry of unwritten.values()) {
        if (writing.length >= WRITE_MAX) break
        put(entry)
        writing.push(entry)
      }
    },
    written() {
      for (const { peer } of writing) unwritten.delete(peer)
      writing = []
    },
    hasUnwritten: () => unwritten.size > 0,
    retain(nowMs, limit) {
      const cutoffMs = nowMs - ACCOUNT_RETENTION_MS
      const old = outdated.all(cutoffMs, limit).filter((peer) => !unwritten.has(peer))
      const surplus = (count.get() ?? 0) - maxAccounts - old.length
      const gone = [...new Set([...old, ...leastKnown(nowMs, surplus, limit - old.length)])]
      if (gone.length === 0) return false
      state.writeRelaxed(() => {
        for (const peer of gone) erase.run(peer)
      })
      for (const peer of gone) {
        cache.delete(peer)
        unwritten.delete(peer)
      }
      return gone.length === limit || gone.length - old.length < surplus
    },
  }

  /**
   * Some of whom little was seen, out of a part of all accounts, the next each time: peer ids are as good as random, so that each part
   * is like the whole. The evidence is that of when they were last seen: those that are caught and keep quiet are not forgotten before
   * names that somebody made up.
   */
  function leastKnown(nowMs: number, surplus: number, limit: number): string[] {
    if (surplus <= 0 || limit <= 0) return []
    const size = LOOKED_AT_PER_FORGOTTEN * limit
    const next = selectKnown.all(lookedAt, size)
    const part = next.length > 0 ? next : selectKnown.all('', size)
    lookedAt = part.length < size ? '' : (part.at(-1)?.peer ?? '')
    return part
      .filter(({ peer, bannedUntilMs }) => {
        const untilMs = cache.peek(peer)?.ban?.untilMs ?? bannedUntilMs ?? 0
        // What waits to be written is newer than its row, and will be there again.
        return untilMs <= nowMs && !unwritten.has(peer)
      })
      .toSorted((a, b) => (a.evidence ?? 0) - (b.evidence ?? 0) || a.updatedMs - b.updatedMs)
      .slice(0, Math.min(surplus, Math.ceil(part.length / LOOKED_AT_PER_FORGOTTEN)))
      .map(({ peer }) => peer)
  }

  function fromRow(row: Row): PeerAccount {
    return {
      peer: row.peer,
      account: { ...newAccount(now()), ...(JSON.parse(row.account) as Partial<Account>) },
      override: row.override,
      ban: row.ban === null ? null : (JSON.parse(row.ban) as Ban),
      fresh: undefined,
    }
  }
}

function alike(score: number): Views {
  return { honesty: score, reliability: score, storage: score }
}
