import type { PeerId } from '@libp2p/interface'
import type { Reconcile, Reconciled, ReconciledSet } from '../../../protocols/reconcile/types.ts'
import { MAX_SESSIONS_IN_A_ROW } from './limits.ts'

/**
 * Sessions with one peer over one set, each begun when its result is asked for, until both have all, nothing moves any more
 * (the next one would be the same again), or there were too many.
 *
 * @throws as `Reconcile.run`
 */
export async function* sessions(
  service: Pick<Reconcile, 'run'>,
  peer: PeerId,
  set: ReconciledSet,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<Reconciled> {
  for (let count = 0; count < MAX_SESSIONS_IN_A_ROW; count++) {
    const done = await service.run(peer, set, { signal })
    yield done
    if (done.isComplete || done.taken + done.given === 0) return
  }
}
