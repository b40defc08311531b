import { hash } from 'node:crypto'
import type { SignedBytes } from '../../../protocols/chunk/types.ts'
import type { StateDatabase } from '../../storage/state/types.ts'

interface Row {
  after: number
  mark: Uint8Array
}

/** How far each peer's deletions are known, in state.db; of too many peers the longest unasked is let go. */
export class TombstoneCounters {
  readonly #state: Pick<StateDatabase, 'db' | 'writeRelaxed'>
  readonly #get
  readonly #set
  readonly #forget
  readonly #forgetOld

  constructor(state: Pick<StateDatabase, 'db' | 'writeRelaxed'>, maxPeers: number) {
    this.#state = state
    const { db } = state
    this.#get = db.prepare<[string], Row>('SELECT after, mark FROM tombstone_counter WHERE peer = ?')
    this.#set = db.prepare<[string, number, Uint8Array, number]>(
      `INSERT INTO tombstone_counter (peer, after, mark, asked_ms) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET after = excluded.after, mark = excluded.mark, asked_ms = excluded.asked_ms`,
    )
    this.#forget = db.prepare<[string]>('DELETE FROM tombstone_counter WHERE peer = ?')
    this.#forgetOld = db.prepare<[]>(
      `DELETE FROM tombstone_counter WHERE peer IN
         (SELECT peer FROM tombstone_counter ORDER BY asked_ms DESC LIMIT -1 OFFSET ${maxPeers})`,
    )
  }

  get(peer: string): Row | undefined {
    return this.#get.get(peer)
  }

  /** Whether this is the deletion that stood at the counter. */
  isAt(mark: Uint8Array, deletion: SignedBytes): boolean {
    return markOf(deletion).equals(mark)
  }

  set(peer: string, { after, last, askedMs }: { after: number; last: SignedBytes; askedMs: number }): void {
    this.#state.writeRelaxed(() => {
      this.#set.run(peer, after, markOf(last), askedMs)
      this.#forgetOld.run()
    })
  }

  forget(peer: string): void {
    this.#state.writeRelaxed(() => this.#forget.run(peer))
  }
}

function markOf({ payload }: SignedBytes): Buffer {
  return hash('sha256', payload, 'buffer')
}
