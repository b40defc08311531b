import { CID } from 'multiformats/cid'
import type { Promised } from '../../../protocols/keep/types.ts'
import type { StateDatabase } from '../../storage/state/types.ts'

/** A copy of own content that a peer promised. */
export interface Copy {
  cid: CID
  peer: string
  atMs: number
  untilMs: number
  provenMs: number | null
  /** When the peer last said that it has it, or is about to. */
  seenMs: number
}

interface CopyRow {
  cid: Uint8Array
  peer: string
  at_ms: number
  until_ms: number
  proven_ms: number | null
  seen_ms: number
}

const COLUMNS = 'cid, peer, at_ms, until_ms, proven_ms, seen_ms'

export class CopyStore {
  readonly #state: StateDatabase

  constructor(state: StateDatabase) {
    this.#state = state
  }

  /** A promise that was just signed. Made again it goes on from what is known of it. */
  async put({ cid, untilMs, holder, signed }: Promised, nowMs: number): Promise<void> {
    const put = this.#state.db.prepare(
      `INSERT INTO content_copy VALUES (?, ?, ?, ?, NULL, ?, ?, ?)
       ON CONFLICT (cid, peer) DO UPDATE SET until_ms = excluded.until_ms, payload = excluded.payload, signature = excluded.signature`,
    )
    await this.#state.write(() =>
      put.run(cid.bytes, holder.toString(), nowMs, untilMs, nowMs, signed.payload, signed.signature),
    )
  }

  of(cid: CID): Copy[] {
    return this.#state.db
      .prepare<[Uint8Array], CopyRow>(
        `SELECT ${COLUMNS} FROM content_copy WHERE cid = ? ORDER BY at_ms, peer`,
      )
      .all(cid.bytes)
      .map(toCopy)
  }

  list(limit: number): Copy[] {
    return this.#state.db
      .prepare<[number], CopyRow>(`SELECT ${COLUMNS} FROM content_copy ORDER BY cid, at_ms LIMIT ?`)
      .all(limit)
      .map(toCopy)
  }

  /** Roots of which copies are promised, at most `limit`. */
  roots(limit: number): CID[] {
    return this.#state.db
      .prepare<[number], Uint8Array>('SELECT DISTINCT cid FROM content_copy LIMIT ?')
      .pluck()
      .all(limit)
      .map((cid) => CID.decode(cid))
  }

  count(): number {
    return this.#state.db.prepare<[], number>('SELECT count(*) FROM content_copy').pluck().get() ?? 0
  }

  seen({ cid, peer }: Copy, nowMs: number, isProven: boolean): void {
    const set = isProven ? 'seen_ms = @nowMs, proven_ms = @nowMs' : 'seen_ms = @nowMs'
    const update = this.#state.db.prepare(`UPDATE content_copy SET ${set} WHERE cid = @cid AND peer = @peer`)
    this.#state.writeRelaxed(() => update.run({ nowMs, cid: cid.bytes, peer }))
  }

  async drop({ cid, peer }: Pick<Copy, 'cid' | 'peer'>): Promise<void> {
    const drop = this.#state.db.prepare('DELETE FROM content_copy WHERE cid = ? AND peer = ?')
    await this.#state.write(() => drop.run(cid.bytes, peer))
  }
}

function toCopy(row: CopyRow): Copy {
  return {
    cid: CID.decode(row.cid),
    peer: row.peer,
    atMs: row.at_ms,
    untilMs: row.until_ms,
    provenMs: row.proven_ms,
    seenMs: row.seen_ms,
  }
}
