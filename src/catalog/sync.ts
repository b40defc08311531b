import { peerIdFromString } from '@libp2p/peer-id'
import type { Reconcile, ReconciledSet } from '../../protocols/reconcile/types.ts'
import { sessions } from '../gossip/convergence/sessions.ts'
import type { Logger } from '../telemetry/types.ts'
import { SYNC_TIMEOUT_MS } from './limits.ts'
import type { Synced } from './types.ts'

export interface SyncOptions {
  reconcile: Pick<Reconcile, 'run'>
  set: ReconciledSet
  /** Peers to compare with, in this order. */
  peers: readonly string[]
  /** Asked after each peer that could be asked: whether that is enough. */
  isEnough: () => boolean
  signal: AbortSignal
  log: Logger
}

/** Compares the catalogue with one peer after the other, for as long as a client waits. @throws the signal's reason */
export async function syncWith(options: SyncOptions): Promise<Omit<Synced, 'publisher'>> {
  const { peers, isEnough, signal, log } = options
  const result = { peers: 0, failed: 0, taken: 0, given: 0 }
  const deadline = AbortSignal.timeout(SYNC_TIMEOUT_MS)
  for (const peer of peers) {
    if (deadline.aborted) break
    try {
      await compareWith(peer, options, result, AbortSignal.any([signal, deadline]))
      result.peers += 1
      if (isEnough()) break
    } catch (error) {
      signal.throwIfAborted()
      log.debug({ peer, error: String(error) }, 'the catalogue could not be compared')
      result.failed += 1
    }
  }
  return result
}

/** Until both have all, or one refuses the rest; adds up what came and went. */
async function compareWith(
  peer: string,
  { reconcile, set }: SyncOptions,
  result: { taken: number; given: number },
  signal: AbortSignal,
): Promise<void> {
  for await (const { taken, given } of sessions(reconcile, peerIdFromString(peer), set, { signal })) {
    result.taken += taken
    result.given += given
  }
}
