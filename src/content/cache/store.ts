import { CID } from 'multiformats/cid'
import type { StateDatabase } from '../../storage/state/types.ts'
import { MAX_ROOTS } from './limits.ts'
import type { CachedRoot } from './model.ts'

interface RootRow {
  cid: Uint8Array
  bytes: number
  heat: number
  heat_ms: number
  last_ms: number
  source: string
}

/** What is known of cached roots, in state.db: losing the last seconds of it costs a worse choice, and nothing else. */
export class CacheStore {
  readonly #state: StateDatabase

  constructor(state: StateDatabase) {
    this.#state = state
  }

  load(): { cid: CID; root: CachedRoot }[] {
    return this.#state.db
      .prepare<[number], RootRow>('SELECT * FROM cached_root ORDER BY last_ms LIMIT ?')
      .all(MAX_ROOTS)
      .map((row) => ({
        cid: CID.decode(row.cid),
        root: {
          bytes: row.bytes,
          heat: { value: row.heat, atMs: row.heat_ms },
          lastMs: row.last_ms,
          source: row.source,
        },
      }))
  }

  /** Roots as they are now; undefined removes. */
  save(changes: readonly (readonly [CID, CachedRoot | undefined])[]): void {
    const { db } = this.#state
    const put = db.prepare('INSERT OR REPLACE INTO cached_root VALUES (?, ?, ?, ?, ?, ?)')
    const remove = db.prepare('DELETE FROM cached_root WHERE cid = ?')
    this.#state.writeRelaxed(() => {
      for (const [cid, root] of changes) {
        if (root === undefined) remove.run(cid.bytes)
        else put.run(cid.bytes, root.bytes, root.heat.value, root.heat.atMs, root.lastMs, root.source)
      }
    })
  }
}
