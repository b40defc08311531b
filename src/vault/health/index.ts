/**
 * Measured health: not what was stored, but what was proven to be there.
 *
 * @example
 * const proofs = new ProofStore(state)
 * const meter = new HealthMeter({ chunk, locator, manifests, proofs, trust, intervalMs, rate: new ByteRate(), log })
 * const health = createHealth(meter, intervalMs)
 * await health(link, { signal, fresh: true })
 * const audits = new AuditScheduler({ meter, proofs, intervalMs, objects, onHealth, log })
 */
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { VaultService } from '../types.ts'
import { ASKED_BYTES_PER_SECOND } from './limits.ts'
import type { HealthMeter } from './meter.ts'

/** The vault service's `health`: old proofs are renewed first; `fresh`: all are, and nothing else counts. */
export function createHealth(meter: HealthMeter, intervalMs: number): VaultService['health'] {
  return async (link, { signal, fresh = false }) => {
    try {
      return await meter.ofLink(link, {
        signal,
        maxAgeMs: fresh ? 0 : intervalMs,
        isFresh: fresh,
        bytesPerSecond: ASKED_BYTES_PER_SECOND,
      })
    } catch (error) {
      if (!signal.aborted) throw error
      throw new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the operation was cancelled', { cause: error })
    }
  }
}

export { HealthMeter } from './meter.ts'
export { ProofStore } from './proofs.ts'
export type { AuditSchedulerOptions } from './scheduler.ts'
export { AuditScheduler } from './scheduler.ts'
