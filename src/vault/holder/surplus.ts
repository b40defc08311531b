import type { PeerId } from '@libp2p/interface'
import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { ColumnRow, Columns } from '../../storage/columns/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import { type Prover, verdictOf } from '../restore/prove.ts'
import { rendezvousOrder } from '../restore/rules.ts'
import type { Counters } from './counters.ts'
import type { HeldColumns } from './held.ts'
import { TRIM_PROOFS } from './limits.ts'

export interface SurplusOptions {
  columns: Pick<Columns, 'remove'>
  held: Pick<HeldColumns, 'index'>
  prover: Prover
  counters: Counters
  self: PeerId
  log: Logger
  onRemoved: (row: ColumnRow) => void
}

/**
 * Gives up this node's column where an earlier peer in rendezvous order holds it as well, once that one has just proven it,
 * several leaves of it. The earliest never gives up, so that one always stays.
 */
export async function trimSurplus(
  options: SurplusOptions,
  row: ColumnRow,
  others: readonly PeerId[],
  signal: AbortSignal,
): Promise<boolean> {
  const { columns, held, prover, counters, self, log, onRemoved } = options
  const order = rendezvousOrder(row.slab, [self.toString(), ...others.map((peer) => peer.toString())])
  const earlier = order.slice(0, order.indexOf(self.toString()))
  if (earlier.length === 0) return false
  const index = await held.index(row.slab)
  if (index === undefined) return false
  for (const name of earlier) {
    const peer = others.find((other) => other.toString() === name)
    if (peer === undefined) continue
    let proofs = 0
    while (proofs < TRIM_PROOFS) {
      const verdict = await verdictOf(prover.prove(peer, index, row.column, signal))
      signal.throwIfAborted()
      if (verdict !== 'proven') break
      proofs += 1
    }
    if (proofs < TRIM_PROOFS) continue
    if (await columns.remove(row.slab)) {
      counters.columnsTrimmed += 1
      log.info(
        { slab: slabKeyOf(row.slab), column: row.column, keeper: name },
        'a surplus column was given up',
      )
      onRemoved(row)
    }
    return true
  }
  return false
}
