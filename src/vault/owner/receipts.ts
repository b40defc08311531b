import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, SlabId } from '../../../protocols/chunk/types.ts'
import type { Evidence } from '../../trust/contract.ts'
import { forEachBounded } from '../restore/pool.ts'
import { CONCURRENT_REQUESTS, REQUEST_TIMEOUT_MS, ROWS_A_QUERY } from './limits.ts'
import type { OwnerColumn, OwnerState } from './state.ts'

/** Of what stands in the place of a receipt where somebody merely claims to hold the column. */
const CLAIM_BYTES = 1

export interface ReceiptCheckDependencies {
  state: OwnerState
  chunk: Pick<Chunk, 'peers' | 'have'>
  trust: Evidence
}

/** Whether a column is more than a claim: its holder signed for it, and for longer than until now. */
export function isPromised({ receipt, untilMs }: OwnerColumn, nowMs: number): boolean {
  return receipt !== null && receipt.length > CLAIM_BYTES && untilMs > nowMs
}

/**
 * Asks connected holders whether they still have what they gave receipts for: one that owns up to having it no longer passes every
 * audit, since only who says to hold a column is challenged. Each loss is told of once. Returns how many there were.
 *
 * @throws the signal's reason
 */
export async function checkReceipts(
  { state, chunk, trust }: ReceiptCheckDependencies,
  signal: AbortSignal,
): Promise<number> {
  let broken = 0
  await forEachBounded(chunk.peers(), CONCURRENT_REQUESTS, async (peer) => {
    const name = peer.toString()
    for (let after: SlabId = new Uint8Array(); ; ) {
      signal.throwIfAborted()
      const promised = state.promisedBy(name, after, Date.now(), ROWS_A_QUERY)
      const last = promised.at(-1)
      if (last === undefined) return
      after = last.slab
      const slabs = promised.map(({ slab }) => slab)
      const patience = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
      const held = await chunk.have(peer, slabs, patience).catch(() => undefined)
      // Whoever does not answer, or not now, has said nothing.
      if (held === undefined) return
      const has = new Set(held.map(({ slab, column }) => `${slabKeyOf(slab)} ${column}`))
      for (const { slab, column } of promised) {
        const key = slabKeyOf(slab)
        if (has.has(`${key} ${column}`)) continue
        broken += 1
        state.database.writeRelaxed(() => state.setGone(slab, name))
        trust.report(name, 'receipt-broken', { slab: key, column, reason: 'not-held' })
      }
    }
  })
  return broken
}
