import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { ed25519Signer, type Signer } from '../../../protocols/chunk/format/index.ts'
import type { SignedBytes } from '../../../protocols/chunk/types.ts'
import { slabSeed } from '../codec/index.ts'
import { CONCURRENT_REQUESTS, REQUEST_TIMEOUT_MS, STATEMENTS_A_REQUEST } from './limits.ts'
import type { OwnerSlab } from './state.ts'

/** One signed statement about a slab, for one holder of it. */
export interface Addressed {
  slab: OwnerSlab
  peer: string
  signed: SignedBytes
}

/** The slab's key, made again from its salt, unless it came with its seed. */
export function signerOf(ownerSecret: Uint8Array, slab: Pick<OwnerSlab, 'salt' | 'seed'>): Signer {
  return ed25519Signer(slab.seed ?? slabSeed(ownerSecret, slab.salt))
}

/**
 * The number of a slab's next lease. Holders refuse one that is not above the last they know, which may be of another machine of
 * this owner, or of this one after the moment that its state was restored to: the time is above both.
 */
export function nextSequence(last: number, nowMs: number): number {
  return Math.max(last + 1, nowMs)
}

/**
 * Brings statements to holders in batches, several holders at once. `onAnswer` hears each answer: a status
 * (protocols/chunk/errors.ts), or undefined where the holder could not be reached.
 *
 * @throws the signal's reason
 */
export async function tellHolders(
  statements: readonly Addressed[],
  options: {
    /** Peers that can be reached: others are not tried. */
    connected: readonly PeerId[]
    send(peer: PeerId, statements: SignedBytes[], signal: AbortSignal): Promise<number[]>
    onAnswer(statement: Addressed, status: number | undefined): void
    signal: AbortSignal
  },
): Promise<void> {
  const { connected, send, onAnswer, signal } = options
  const here = new Set(connected.map((peer) => peer.toString()))
  const byPeer = Map.groupBy(statements, ({ peer }) => peer)
  const queue = byPeer.entries()
  const work = async (): Promise<void> => {
    for (const [peer, own] of queue) {
      for (let at = 0; at < own.length; at += STATEMENTS_A_REQUEST) {
        signal.throwIfAborted()
        const batch = own.slice(at, at + STATEMENTS_A_REQUEST)
        const statuses = here.has(peer) ? await ask(peerIdFromString(peer), batch) : undefined
        for (const [index, statement] of batch.entries()) onAnswer(statement, statuses?.[index])
      }
    }
  }
  const ask = async (peer: PeerId, batch: Addressed[]): Promise<number[] | undefined> => {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
    try {
      return await send(
        peer,
        batch.map(({ signed }) => signed),
        patience,
      )
    } catch {
      signal.throwIfAborted()
      return undefined
    }
  }
  await Promise.all(Array.from({ length: Math.min(CONCURRENT_REQUESTS, byPeer.size) }, work))
}
