import type { SlabId } from '../../../protocols/chunk/types.ts'
import type { StateDatabase } from '../../storage/state/types.ts'

/** Who proved a column, and when. */
export interface ProvenColumn {
  column: number
  peer: string
  provenMs: number
}

export type ProofChange =
  | { slab: SlabId; column: number; peer: string; provenMs: number }
  /** What it proved before does not hold any more: it has it not, or lied. */
  | { slab: SlabId; column: number; peer: string; provenMs: null }

/**
 * The last proof of each column of what this node measures, in state.db, so that a restart does not begin with an audit of
 * everything. All of it can be measured again: writes are relaxed.
 */
export class ProofStore {
  readonly #state: Pick<StateDatabase, 'db' | 'writeRelaxed'>
  readonly #statements

  constructor(state: Pick<StateDatabase, 'db' | 'writeRelaxed'>) {
    this.#state = state
    const { db } = state
    this.#statements = {
      ofSlab: db.prepare<[SlabId], { column_number: number; peer: string; proven_ms: number }>(
        'SELECT column_number, peer, proven_ms FROM column_proof WHERE slab = ?',
      ),
      put: db.prepare<[SlabId, number, string, number]>(
        `INSERT INTO column_proof (slab, column_number, peer, proven_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET proven_ms = excluded.proven_ms`,
      ),
      remove: db.prepare<[SlabId, number, string]>(
        'DELETE FROM column_proof WHERE slab = ? AND column_number = ? AND peer = ?',
      ),
      forget: db.prepare<[number, number]>(
        `DELETE FROM column_proof WHERE (slab, column_number, peer) IN
         (SELECT slab, column_number, peer FROM column_proof WHERE proven_ms < ? LIMIT ?)`,
      ),
    }
  }

  ofSlab(slab: SlabId): ProvenColumn[] {
    return this.#statements.ofSlab
      .all(slab)
      .map(({ column_number, peer, proven_ms }) => ({ column: column_number, peer, provenMs: proven_ms }))
  }

  write(changes: readonly ProofChange[]): void {
    if (changes.length === 0) return
    this.#state.writeRelaxed(() => {
      for (const { slab, column, peer, provenMs } of changes) {
        if (provenMs === null) this.#statements.remove.run(slab, column, peer)
        else this.#statements.put.run(slab, column, peer, provenMs)
      }
    })
  }

  /** Removes at most `limit` proofs from before `beforeMs`; returns how many. */
  forget(beforeMs: number, limit: number): number {
    return this.#state.writeRelaxed(() => this.#statements.forget.run(beforeMs, limit).changes)
  }
}
