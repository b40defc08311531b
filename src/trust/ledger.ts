import { setImmediate as yieldToLoop } from 'node:timers/promises'
import type { StateDatabase } from '../storage/state/types.ts'
import type { Logger } from '../telemetry/types.ts'
import { type AuditReport, openChain } from './chain.ts'
import type { EvidenceDetail, EvidenceKind } from './contract.ts'

/** Rows waiting to be written. A row is about 300 bytes, so the queue stays below 3 MB; what is over is counted and dropped. */
export const QUEUE_MAX_ROWS = 10_000
/** Rows of one transaction: a few milliseconds on the event loop. What is over goes with the next second's. */
export const FLUSH_MAX_ROWS = 500
export const FLUSH_INTERVAL_MS = 1_000
/** Batches that a stop writes: the queue and all accounts that wait, and an end where the disk refuses them. */
const FLUSH_ALL_MAX = 100
/** Steps of sealing at a stop; what is left is sealed after the next start. */
const SEAL_ALL_MAX = 20
/**
 * Rows of one peer and kind in one minute that are stored each with its own detail. What comes after is one row with a
 * count, so that a peer that misbehaves a thousand times a second fills neither the queue nor the disk.
 */
export const SINGLE_ROWS_PER_MINUTE = 16
/** Open groups (peer, kind, minute). Over that, evidence is still stored, but no longer merged. */
export const GROUPS_MAX = 20_000
/** Evidence older than this says little about a peer, and the disk is the operator's. */
export const RETENTION_MS = 90 * 24 * 3_600_000
export const RETENTION_MAX_ROWS = 1_000_000
/** Rows removed in one step: a few milliseconds on the event loop. */
export const RETENTION_STEP_ROWS = 500
export const RETENTION_INTERVAL_MS = 60_000
export const PAGE_MAX_ROWS = 1_000
/** Bounds of one detail, as the contract states them. */
export const DETAIL_MAX_KEYS = 16
export const DETAIL_MAX_CHARACTERS = 256
/** Characters of a peer's name: the longest peer id in use (RSA as CIDv1) has 62. */
const PEER_MAX_CHARACTERS = 128

const MINUTE_MS = 60_000

/** What happens all the time when all is well: merged by peer, kind and minute from the first on. */
const ROUTINE: ReadonlySet<EvidenceKind> = new Set<EvidenceKind>(['message-valid', 'transfer-served'])

export interface EvidenceRow {
  id: number
  peer: string
  kind: EvidenceKind
  detail: EvidenceDetail
  atMs: number
  count: number
}

export interface EvidenceQuery {
  peer?: string
  /** 1 to 1 000; 100 by default. */
  limit?: number
  /** Rows with greater ids only. */
  afterId?: number
}

/** Evidence on its way to the disk, and what is there. */
export interface Ledger {
  report(peer: string, kind: EvidenceKind, detail?: EvidenceDetail): void
  /** Ascending by id. Queued rows are written first, one batch of them, so that an answer is not behind a report. */
  page(query: EvidenceQuery): { evidence: EvidenceRow[]; nextAfterId: number | null }
  /** Checks the chain through all entries. @throws the signal's reason */
  audit(signal: AbortSignal): Promise<AuditReport>
  /** Reports that were lost because the queue was full or the disk refused them. */
  dropped(): number
  start(): void
  stop(): void
}

/** One row to be, or what is added to a row that was written before. */
interface Pending {
  peer: string
  kind: EvidenceKind
  detail: EvidenceDetail
  atMs: number
  count: number
  group: Group | undefined
}

/** Evidence of one peer and kind within one minute. */
interface Group {
  singles: number
  /** The merged row that waits in the queue, and the id of the one that is on disk. */
  pending: Pending | undefined
  rowId: number | bigint | undefined
  total: { count: number; detail: EvidenceDetail }
}

interface Row {
  id: number
  peer: string
  kind: string
  detail: string
  at_ms: number
  count: number
}

/** What trust needs of state.db. */
export type TrustState = Pick<StateDatabase, 'db' | 'writeRelaxed'>

/** What follows from evidence, and is written in the same transactions: a score that outlives its reasons could not be explained. */
export interface LedgerCompanion {
  write(): void
  written(): void
  hasUnwritten(): boolean
  retain(nowMs: number, limit: number): boolean
}

export interface LedgerOptions {
  state: TrustState
  log: Logger
  now: () => number
  companion: LedgerCompanion
}

export function openLedger({ state, log, now, companion }: LedgerOptions): Ledger {
  const { db } = state
  const chain = openChain(state)
  const insert = db.prepare('INSERT INTO evidence (peer, kind, detail, at_ms, count) VALUES (?, ?, ?, ?, ?)')
  const update = db.prepare('UPDATE evidence SET detail = ?, at_ms = ?, count = ? WHERE id = ?')
  const pageOfAll = db.prepare<[number, number], Row>(
    'SELECT * FROM evidence WHERE id > ? ORDER BY id LIMIT ?',
  )
  const pageOfPeer = db.prepare<[string, number, number], Row>(
    'SELECT * FROM evidence WHERE peer = ? AND id > ? ORDER BY id LIMIT ?',
  )
  const oldest = db.prepare<[number], { id: number; at_ms: number }>(
    'SELECT id, at_ms FROM evidence ORDER BY id LIMIT ?',
  )
  const newestId = db.prepare<[], number | null>('SELECT max(id) FROM evidence').pluck()
  const eraseThrough = db.prepare('DELETE FROM evidence WHERE id <= ?')

  let queue: Pending[] = []
  let groups = new Map<string, Group>()
  let minute = 0
  let droppedReports = 0
  let flushTimer: NodeJS.Timeout | undefined
  let retentionTimer: NodeJS.Timeout | undefined
  let running = false

  function write(rows: Pending[]): void {
    for (const row of rows) {
      const { group } = row
      if (group === undefined) {
        insert.run(row.peer, row.kind, JSON.stringify(row.detail), row.atMs, row.count)
      } else if (group.rowId === undefined) {
        group.rowId = insert.run(
          row.peer,
          row.kind,
          JSON.stringify(group.total.detail),
          row.atMs,
          group.total.count,
        ).lastInsertRowid
      } else {
        update.run(JSON.stringify(group.total.detail), row.atMs, group.total.count, group.rowId)
      }
    }
  }

  function enqueue(row: Pending): boolean {
    if (queue.length >= QUEUE_MAX_ROWS) {
      droppedReports += row.count
      return false
    }
    queue.push(row)
    if (running && flushTimer === undefined) {
      flushTimer = setTimeout(flushOnTimer, FLUSH_INTERVAL_MS).unref()
    }
    return true
  }

  function groupOf(peer: string, kind: EvidenceKind, atMs: number): Group | undefined {
    const current = Math.floor(atMs / MINUTE_MS)
    if (current !== minute) {
      minute = current
      groups = new Map()
    }
    const key = `${kind} ${peer}`
    let group = groups.get(key)
    if (group === undefined && groups.size < GROUPS_MAX) {
      group = { singles: 0, pending: undefined, rowId: undefined, total: { count: 0, detail: {} } }
      groups.set(key, group)
    }
    return group
  }

  function merge(group: Group, peer: string, kind: EvidenceKind, detail: EvidenceDetail, atMs: number): void {
    group.total.count++
    group.total.detail = sum(group.total.detail, detail)
    if (group.pending !== undefined) {
      group.pending.atMs = atMs
      return
    }
    const row = { peer, kind, detail: {}, atMs, count: 1, group }
    if (enqueue(row)) {
      group.pending = row
    }
  }

  /** Writes one batch. A disk that refuses is no reason to stop serving: the batch is counted as dropped. */
  function flush(): void {
    if (queue.length === 0 && !companion.hasUnwritten()) {
      return
    }
    const batch = queue.slice(0, FLUSH_MAX_ROWS)
    queue = queue.slice(batch.length)
    try {
      // Relaxed: a power loss may take the last evidence, which is no more than not having seen it.
      state.writeRelaxed(() => {
        write(batch)
        companion.write()
      })
      companion.written()
    } catch (error) {
      for (const row of batch) {
        droppedReports += row.count
        // The transaction is undone, so the id that an insert of it gave away names no row.
        if (row.group !== undefined) {
          groups.delete(`${row.kind} ${row.peer}`)
        }
      }
      log.warn({ err: error, rows: batch.length }, 'evidence could not be stored')
    } finally {
      for (const row of batch) {
        if (row.group !== undefined) {
          row.group.pending = undefined
        }
      }
    }
  }

  function flushAll(): void {
    let batches = 0
    while ((queue.length > 0 || companion.hasUnwritten()) && batches < FLUSH_ALL_MAX) {
      flush()
      batches++
    }
  }

  /** Nothing is added to any entry any more: all of them can be sealed, unless there are too many for a stop. */
  function sealAll(): void {
    groups = new Map()
    try {
      for (let step = 0; step < SEAL_ALL_MAX && chain.seal(firstOpenId()); step++);
    } catch (error) {
      log.warn({ err: error }, 'the last evidence could not be sealed')
    }
  }

  function flushOnTimer(): void {
    flushTimer = undefined
    flush()
    if (running && (queue.length > 0 || companion.hasUnwritten())) {
      flushTimer = setTimeout(flushOnTimer, FLUSH_INTERVAL_MS).unref()
    }
  }

  /** The first entry to which evidence may still be added; those before it can be sealed. */
  function firstOpenId(): number {
    if (Math.floor(now() / MINUTE_MS) !== minute) {
      groups = new Map()
    }
    let first = (newestId.get() ?? 0) + 1
    for (const group of groups.values()) {
      first = Math.min(first, Number(group.rowId ?? first))
    }
    for (const { group } of queue) {
      first = Math.min(first, Number(group?.rowId ?? first))
    }
    return first
  }

  /** Removes what is too old or too much, one small step. True when there may be more. */
  function retain(): boolean {
    const rows = oldest.all(RETENTION_STEP_ROWS)
    const cutoffMs = now() - RETENTION_MS
    // Ids have no gaps but at the old end, so the difference of ids is the number of rows.
    const firstKeptId = (newestId.get() ?? 0) - RETENTION_MAX_ROWS + 1
    let through: number | undefined
    for (const row of rows) {
      if ((row.at_ms >= cutoffMs && row.id >= firstKeptId) || row.id > chain.sealedThrough) {
        break
      }
      through = row.id
    }
    if (through === undefined) {
      return false
    }
    const lastId = through
    state.writeRelaxed(() => {
      chain.removeThrough(lastId)
      eraseThrough.run(lastId)
    })
    chain.settled()
    return through === rows.at(-1)?.id && rows.length === RETENTION_STEP_ROWS
  }

  function retainOnTimer(): void {
    let more = false
    try {
      const unsealed = chain.seal(firstOpenId())
      more = companion.retain(now(), RETENTION_STEP_ROWS)
      more = retain() || more || unsealed
    } catch (error) {
      log.warn({ err: error }, 'old evidence could not be removed')
    }
    if (running) {
      retentionTimer = setTimeout(retainOnTimer, more ? FLUSH_INTERVAL_MS : RETENTION_INTERVAL_MS).unref()
    }
  }

  return {
    report(peer, kind, detail) {
      const name = peer.slice(0, PEER_MAX_CHARACTERS)
      const atMs = now()
      const bounded = boundDetail(detail)
      const group = groupOf(name, kind, atMs)
      if (group !== undefined && (ROUTINE.has(kind) || group.singles >= SINGLE_ROWS_PER_MINUTE)) {
        merge(group, name, kind, bounded, atMs)
        return
      }
      if (group !== undefined) {
        group.singles++
      }
      enqueue({ peer: name, kind, detail: bounded, atMs, count: 1, group: undefined })
    },
    page({ peer, limit = 100, afterId = 0 }) {
      flush()
      const bounded = Math.max(1, Math.min(limit, PAGE_MAX_ROWS))
      const rows =
        peer === undefined ? pageOfAll.all(afterId, bounded) : pageOfPeer.all(peer, afterId, bounded)
      return {
        evidence: rows.map((row) => ({
          id: row.id,
          peer: row.peer,
          kind: row.kind as EvidenceKind,
          detail: JSON.parse(row.detail) as EvidenceDetail,
          atMs: row.at_ms,
          count: row.count,
        })),
        nextAfterId: rows.length === bounded ? (rows.at(-1)?.id ?? null) : null,
      }
    },
    audit: (signal) => chain.verify(signal, () => yieldToLoop()),
    dropped: () => droppedReports,
    start() {
      if (running) {
        return
      }
      running = true
      flushTimer = setTimeout(flushOnTimer, FLUSH_INTERVAL_MS).unref()
      retentionTimer = setTimeout(retainOnTimer, RETENTION_INTERVAL_MS).unref()
    },
    stop() {
      running = false
      clearTimeout(flushTimer)
      clearTimeout(retentionTimer)
      flushTimer = undefined
      flushAll()
      sealAll()
    },
  }
}

/** Numbers of a merged row add up (bytes, durations); other facts of the single events are let go. */
function sum(total: EvidenceDetail, detail: EvidenceDetail): EvidenceDetail {
  const result = { ...total }
  for (const [key, value] of Object.entries(detail)) {
    if (typeof value === 'number' && (key in result || Object.keys(result).length < DETAIL_MAX_KEYS)) {
      const before = result[key]
      result[key] = (typeof before === 'number' ? before : 0) + value
    }
  }
  return result
}

/** Holds a reporter to the contract: few keys, short texts, finite numbers. */
function boundDetail(detail: EvidenceDetail | undefined): EvidenceDetail {
  const result: EvidenceDetail = {}
  if (detail === undefined) {
    return result
  }
  for (const [key, value] of Object.entries(detail).slice(0, DETAIL_MAX_KEYS)) {
    if (typeof value === 'string') {
      result[key] = value.slice(0, DETAIL_MAX_CHARACTERS)
    } else if (typeof value === 'boolean' || Number.isFinite(value)) {
      result[key] = value
    }
  }
  return result
}
