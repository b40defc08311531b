import { Pacer } from '../shared/pacer.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import type { Evidence } from '../../src/trust/contract.ts'
import { MAX_BATCH_BYTES, MAX_ENTRY_BYTES } from './limits.ts'
import { TAKEN } from './messages.ts'
import type { Refusals } from './refusals.ts'
import type { Outcome, ReconciledSet } from './types.ts'
import type { View } from './view.ts'

/** A registered set, and what is remembered beside it. */
export interface Served {
  readonly set: ReconciledSet
  readonly refusals: Refusals
}

/** What protobuf puts around an entry in a message. */
const ENTRY_OVERHEAD_BYTES = 4

/**
 * Entries at these ranks, from the first one, as many as one message has room for: always one, and an empty one in place
 * of what is gone.
 */
export async function readEntries(
  { set }: Served,
  view: View,
  ranks: readonly number[],
): Promise<Uint8Array[]> {
  const pacer = new Pacer()
  const entries: Uint8Array[] = []
  let bytes = 0
  for (const rank of ranks) {
    await pacer.breathe()
    const entry = (rank < view.count ? await set.read(view.id(rank)) : undefined) ?? new Uint8Array(0)
    if (entry.byteLength > Math.min(set.maxEntryBytes, MAX_ENTRY_BYTES))
      throw new RangeError(`an entry of "${set.name}" has ${entry.byteLength} bytes`)
    bytes += entry.byteLength + ENTRY_OVERHEAD_BYTES
    if (bytes > MAX_BATCH_BYTES) break
    entries.push(entry)
  }
  return entries
}

/**
 * Hands a peer's entries to their set, remembers what it refused, and says on the wire's terms what became of each.
 *
 * @throws ProtocolViolationError where one was invalid or too long, which was reported; what `take` throws
 */
export async function takeEntries(
  { set, refusals }: Served,
  entries: readonly Uint8Array[],
  { peer, trust, signal }: { peer: string; trust: Evidence; signal: AbortSignal },
): Promise<number[]> {
  if (entries.some(({ byteLength }) => byteLength > set.maxEntryBytes))
    throw new ProtocolViolationError('oversize-entry', 'an entry longer than its set allows')
  const outcomes: readonly Outcome[] = await set.take(entries, peer, { signal })
  if (outcomes.length !== entries.length)
    throw new RangeError(`"${set.name}" has not said what became of each entry`)
  const verdicts: number[] = []
  for (const outcome of outcomes) {
    if (outcome.verdict === 'invalid') {
      trust.report(peer, 'message-invalid', { topic: set.name, reason: 'content' })
      throw new InvalidEntryError()
    }
    if (outcome.verdict === 'refused') refusals.add(outcome.id)
    verdicts.push(TAKEN[outcome.verdict])
  }
  const taken = countOf(verdicts, TAKEN.taken)
  if (taken > 0) trust.report(peer, 'message-valid', { topic: set.name, entries: taken })
  return verdicts
}

export function countOf(verdicts: readonly number[], verdict: number): number {
  return verdicts.filter((given) => given === verdict).length
}

/** Ends a session; what it says of the peer is reported already. */
export class InvalidEntryError extends Error {
  constructor() {
    super('the peer gave what nobody should hold')
    this.name = 'InvalidEntryError'
  }
}
