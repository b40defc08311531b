import type { PeerId } from '@libp2p/interface'
import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { SlabIndex } from '../../../protocols/chunk/types.ts'
import type { ColumnRow, Columns } from '../../storage/columns/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import { type Prover, verdictOf } from '../restore/prove.ts'
import { rendezvousOrder } from '../restore/rules.ts'
import type { Challenges } from './challenges.ts'
import type { Counters } from './counters.ts'
import type { HeldColumns } from './held.ts'
import { MAX_CHALLENGE_MS, MAX_CHALLENGED_TWINS, MAX_PROVEN_TWINS, TRIM_PROOFS } from './limits.ts'

/** Another peer that says to hold the very column that this node holds. */
export interface Twin {
  peer: PeerId
  /** It says that its owner brought it. */
  isOriginal: boolean
}

export interface SurplusOptions {
  columns: Pick<Columns, 'remove'>
  held: Pick<HeldColumns, 'index'>
  prover: Pick<Prover, 'prove'>
  challenges: Challenges
  counters: Counters
  self: string
  /** `vault.repair.grace`: between the first look at which a twin was proven and the one after which this node gives up its own. */
  graceMs: number
  log: Logger
  onRemoved: (row: ColumnRow) => void
  monotonicMs?: () => number
}

/**
 * Gives up a column that is there twice, so that it costs room once. What the owner brought is never given up: peer ids cost nothing,
 * and whoever says to hold a column may have it from here. What a repair or a leaving holder brought gives way to what the
 * owner brought, and of two such the later in rendezvous order gives way. Only after the other has proven several leaves at
 * looks that lie the grace apart, the last of them just now, while this node served none of that slab.
 */
export class Surplus {
  readonly #options: Required<SurplusOptions>
  /** Slab and twin → when the first of the looks in a row was at which it was proven. In memory: a restart only delays. */
  readonly #provenSinceMs = new Map<string, number>()

  constructor(options: SurplusOptions) {
    this.#options = { monotonicMs: () => performance.now(), ...options }
  }

  /** One look at the twins of one column. True: it was given up. */
  async look(row: ColumnRow, twins: readonly Twin[], signal: AbortSignal): Promise<boolean> {
    if (row.purse.kind === 'depositor') return false
    const keepers = this.#keepers(row, twins)
    if (keepers.length === 0) return false
    const index = await this.#options.held.index(row.slab)
    if (index === undefined) return false
    for (const { peer } of keepers) {
      const isProven = await this.#challenge(peer, index, row, signal)
      signal.throwIfAborted()
      if (!this.#note(row, peer, isProven)) continue
      await this.#giveUp(row, peer)
      return true
    }
    return false
  }

  /** Those to whom this node's column gives way. */
  #keepers(row: ColumnRow, twins: readonly Twin[]): Twin[] {
    const { self } = this.#options
    const originals = twins.filter(({ isOriginal }) => isOriginal)
    const rebuilt = new Map(twins.map((twin) => [twin.peer.toString(), twin]))
    for (const { peer } of originals) rebuilt.delete(peer.toString())
    const order = rendezvousOrder(row.slab, [self, ...rebuilt.keys()])
    const earlier = order.slice(0, order.indexOf(self)).flatMap((name) => rebuilt.get(name) ?? [])
    return [...originals, ...earlier].slice(0, MAX_CHALLENGED_TWINS)
  }

  /** Several leaves, each of a segment and a place that the twin cannot foresee. */
  async #challenge(peer: PeerId, index: SlabIndex, row: ColumnRow, signal: AbortSignal): Promise<boolean> {
    const { challenges, prover } = this.#options
    const end = challenges.begin(row.slab)
    const within = AbortSignal.any([signal, AbortSignal.timeout(MAX_CHALLENGE_MS)])
    try {
      for (let proofs = 0; proofs < TRIM_PROOFS; proofs++) {
        const verdict = await verdictOf(prover.prove(peer, index, row.column, within))
        if (verdict !== 'proven') return false
      }
      return true
    } finally {
      end()
    }
  }

  /** True: proven now, and at a look that lies at least the grace back, and never failed between. */
  #note(row: ColumnRow, peer: PeerId, isProven: boolean): boolean {
    const { graceMs, monotonicMs } = this.#options
    const key = `${slabKeyOf(row.slab)}/${peer.toString()}`
    if (!isProven) {
      this.#provenSinceMs.delete(key)
      return false
    }
    const sinceMs = this.#provenSinceMs.get(key)
    if (sinceMs !== undefined) return monotonicMs() - sinceMs >= graceMs
    const [oldest] = this.#provenSinceMs.keys()
    if (this.#provenSinceMs.size >= MAX_PROVEN_TWINS && oldest !== undefined)
      this.#provenSinceMs.delete(oldest)
    this.#provenSinceMs.set(key, monotonicMs())
    return false
  }

  async #giveUp(row: ColumnRow, keeper: PeerId): Promise<void> {
    const { columns, counters, log, onRemoved } = this.#options
    this.#provenSinceMs.delete(`${slabKeyOf(row.slab)}/${keeper.toString()}`)
    if (!(await columns.remove(row.slab))) return
    counters.columnsTrimmed += 1
    log.info(
      { slab: slabKeyOf(row.slab), column: row.column, keeper: keeper.toString() },
      'a surplus column was given up',
    )
    onRemoved(row)
  }
}
