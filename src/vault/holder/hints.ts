import { peerIdFromString } from '@libp2p/peer-id'
import type { Hint } from '../../../protocols/chunk/types.ts'
import { RateLimits } from '../../gossip/rate.ts'
import type { Columns } from '../../storage/columns/types.ts'
import type { Cohort } from './cohort.ts'
import { HINT_RATE, MAX_CO_HOLDERS, MAX_RATED_PEERS } from './limits.ts'

/** What others say of who holds the other columns: taken for groups that are held here, at a bounded rate, never as proof. */
export class Hints {
  readonly #columns: Pick<Columns, 'ofGroup'>
  readonly #cohort: Cohort
  readonly #rates = new RateLimits(MAX_RATED_PEERS, () => performance.now())

  constructor(columns: Pick<Columns, 'ofGroup'>, cohort: Cohort) {
    this.#columns = columns
    this.#cohort = cohort
  }

  take({ group, peers }: Hint, from: string): void {
    if (this.#columns.ofGroup(group).length === 0) return
    if (!this.#rates.take(from, HINT_RATE)) return
    this.#cohort.told(group, peers.filter(isPeer).slice(0, MAX_CO_HOLDERS))
  }
}

function isPeer(name: string): boolean {
  try {
    return peerIdFromString(name).toString() === name
  } catch {
    return false
  }
}
