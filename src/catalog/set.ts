import { encodeSigned } from '../../protocols/catalog/index.ts'
import { MAX_RECORD_BYTES } from '../../protocols/catalog/limits.ts'
import type { ReconciledSet } from '../../protocols/reconcile/types.ts'
import type { Intake } from './intake.ts'
import type { CatalogStore } from './store.ts'

export interface CatalogSetOptions {
  store: CatalogStore
  intake: Intake
  now: () => number
  /** Something came that gossip did not bring: others may lack it too. */
  onTaken: () => void
}

/** The catalogue as anti-entropy sees it: signed records by their ids. */
export function catalogSet({ store, intake, now, onTaken }: CatalogSetOptions): ReconciledSet {
  return {
    name: 'catalog',
    maxEntryBytes: MAX_RECORD_BYTES,
    version: () => store.version,
    ids: (after, limit) => store.ids(after, now(), limit),
    read(id) {
      const signed = store.signedById(id)
      return signed === undefined ? undefined : encodeSigned(signed)
    },
    async take(entries, _peer, { signal }) {
      const outcomes = await intake.takeBytes(entries, signal)
      if (outcomes.some(({ verdict }) => verdict === 'taken')) onTaken()
      return outcomes
    },
  }
}
