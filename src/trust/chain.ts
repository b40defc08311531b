/**
 * The chain that makes the ledger tamper-evident: each sealed entry carries SHA-256 over the hash of the one before and its own
 * fields. An entry is sealed once its minute is over, as routine evidence is added to one entry a minute until then.
 *
 * What it shows: an entry that was changed, taken out or put in between afterwards. What it cannot show: a whole chain that
 * somebody who may write to the disk computes anew. Whoever needs to know that too keeps a head elsewhere (`trust audit` prints it).
 */
import { hash } from 'node:crypto'
import type { TrustState } from './ledger.ts'

/** Entries sealed in one transaction, and hashed between two turns of the event loop: a few milliseconds. */
export const SEAL_STEP_ROWS = 500
const SETTING = 'trust.chain'
const GENESIS = '0'.repeat(64)

interface Mark {
  id: number
  /** Of the entry with this id, in hexadecimal. */
  hash: string
}

interface ChainState {
  /** Entries up to here were removed for their age; the chain begins behind. */
  checkpoint: Mark
  head: Mark
}

export interface ChainRow {
  id: number
  peer: string
  kind: string
  detail: string
  at_ms: number
  count: number
  hash: Buffer | null
}

/** What an audit of the ledger found. */
export interface AuditReport {
  ok: boolean
  /** Entries whose place in the chain was checked. */
  verified: number
  /** Entries of the last minutes that are not in the chain yet. */
  unsealed: number
  /** Where the chain begins and ends; hashes in hexadecimal. */
  checkpoint: Mark
  head: Mark
  firstBroken: { id: number; reason: string } | null
}

export interface Chain {
  /** Seals at most a step of entries with ids below `untilId`. True when there may be more. */
  seal(untilId: number): boolean
  /** What may be removed: entries up to this id are sealed. */
  readonly sealedThrough: number
  /** Call within the transaction that removes entries up to `id`, before it does; `settled` once it was committed. */
  removeThrough(id: number): void
  settled(): void
  /** @throws the signal's reason */
  verify(signal: AbortSignal, breathe: () => Promise<void>): Promise<AuditReport>
}

export function openChain(state: TrustState): Chain {
  const { db } = state
  const load = db.prepare<[string], string>('SELECT value FROM setting WHERE key = ?').pluck()
  const store = db.prepare(
    'INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  )
  const following = db.prepare<[number, number, number], ChainRow>(
    'SELECT * FROM evidence WHERE id > ? AND id < ? ORDER BY id LIMIT ?',
  )
  const setHash = db.prepare('UPDATE evidence SET hash = ? WHERE id = ?')
  const hashOf = db.prepare<[number], Buffer | null>('SELECT hash FROM evidence WHERE id = ?').pluck()
  const unsealedRows = db.prepare<[number], number>('SELECT count(*) FROM evidence WHERE id > ?').pluck()

  const origin: Mark = { id: 0, hash: GENESIS }
  const saved = load.get(SETTING)
  let chain: ChainState =
    saved === undefined ? { checkpoint: origin, head: origin } : (JSON.parse(saved) as ChainState)
  let next = chain

  return {
    get sealedThrough() {
      return chain.head.id
    },
    seal(untilId) {
      const rows = following.all(chain.head.id, untilId, SEAL_STEP_ROWS)
      if (rows.length === 0) return false
      let head = chain.head
      state.writeRelaxed(() => {
        for (const row of rows) {
          head = { id: row.id, hash: entryHash(head.hash, row) }
          setHash.run(Buffer.from(head.hash, 'hex'), row.id)
        }
        store.run(SETTING, JSON.stringify({ ...chain, head }))
      })
      chain = { ...chain, head }
      return rows.length === SEAL_STEP_ROWS
    },
    removeThrough(id) {
      const last = hashOf.get(id)
      next = { ...chain, checkpoint: { id, hash: last?.toString('hex') ?? GENESIS } }
      store.run(SETTING, JSON.stringify(next))
    },
    settled() {
      chain = next
    },
    async verify(signal, breathe) {
      const { checkpoint, head } = chain
      const report: AuditReport = {
        ok: true,
        verified: 0,
        unsealed: unsealedRows.get(head.id) ?? 0,
        checkpoint,
        head,
        firstBroken: null,
      }
      const broken = (id: number, reason: string): AuditReport => ({
        ...report,
        ok: false,
        firstBroken: { id, reason },
      })
      let at = checkpoint
      for (;;) {
        signal.throwIfAborted()
        // Entries may have been removed for their age meanwhile: then the chain begins later than when this began.
        if (chain.checkpoint.id > at.id) at = chain.checkpoint
        const rows = following.all(at.id, head.id + 1, SEAL_STEP_ROWS)
        for (const row of rows) {
          // AUTOINCREMENT leaves no gaps, and old entries go from the front alone.
          if (row.id !== at.id + 1 && at.id !== 0) return broken(at.id + 1, 'the entry is missing')
          const expected = entryHash(at.hash, row)
          if (row.hash === null) return broken(row.id, 'the entry has no hash')
          if (row.hash.toString('hex') !== expected)
            return broken(row.id, 'the entry is not the one that was sealed')
          at = { id: row.id, hash: expected }
          report.verified += 1
        }
        if (rows.length < SEAL_STEP_ROWS) break
        await breathe()
      }
      return at.id === head.id && at.hash === head.hash
        ? report
        : broken(at.id + 1, 'the chain ends before its head')
    },
  }
}

/** SHA-256 over the hash before and the entry's fields as canonical text: a JSON array in this order. */
export function entryHash(before: string, row: Omit<ChainRow, 'hash'>): string {
  return hash(
    'sha256',
    JSON.stringify([before, row.id, row.peer, row.kind, row.detail, row.at_ms, row.count]),
    'hex',
  )
}
