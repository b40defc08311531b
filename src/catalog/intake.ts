import { setImmediate as nextTurn } from 'node:timers/promises'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { decodeSignedRecord, isRecordSigned } from '../../protocols/catalog/index.ts'
import { MAX_AHEAD_MS } from '../../protocols/catalog/limits.ts'
import type { CatalogRecord } from '../../protocols/catalog/types.ts'
import type { Outcome } from '../../protocols/reconcile/types.ts'
import { forgetOldest } from '../../protocols/shared/forget-oldest.ts'
import type { StateDatabase } from '../storage/state/types.ts'
import type { Decision, Policy } from '../trust/contract.ts'
import { MAX_CHECKS_PER_STEP, MAX_REMEMBERED_CHECKS, MAX_ROWS_PER_STEP } from './limits.ts'
import type { CatalogStore, Kept } from './store.ts'
import type { Refusal } from './types.ts'

export interface IntakeOptions {
  networkName: string
  state: Pick<StateDatabase, 'writeRelaxed'>
  store: CatalogStore
  trust: Policy
  /** Told of each record that was kept, after the transaction. */
  onTaken: (record: CatalogRecord) => void
  now: () => number
}

/** By these the operator, or the swarm, has decided; a score may rise again, so that such records are kept and not shown. */
const REFUSED: ReadonlySet<string> = new Set<Extract<Decision, { allowed: false }>['reason']>([
  'deny-list',
  'not-on-allow-list',
  'not-a-member',
])

/** Takes records as they come from others: checks each, and keeps what holds. */
export class Intake {
  readonly #options: IntakeOptions
  /** Ids whose signature was found good and which may not be kept yet. */
  readonly #checked = new Set<string>()
  readonly figures = {
    taken: 0,
    invalid: 0,
    withdrawn: 0,
    refused: { denied: 0, expired: 0, early: 0, withdrawn: 0, old: 0, forked: 0, full: 0 } satisfies Record<
      Refusal,
      number
    >,
  }

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** Whether a record that is well formed may be passed on: new here, signed, in its time. Some 0.1 ms. */
  judge(record: CatalogRecord): 'new' | 'known' | 'refused' | 'invalid' {
    if (this.#options.store.has(record.id)) return 'known'
    if (!this.#isSigned(record)) return 'invalid'
    return this.#refusal(record) === undefined ? 'new' : 'refused'
  }

  /** One outcome for each entry. @throws the signal's reason */
  async takeBytes(entries: readonly Uint8Array[], signal: AbortSignal): Promise<Outcome[]> {
    const records = entries.map((bytes) => {
      try {
        return decodeSignedRecord(bytes)
      } catch {
        // Only what breaks the format is thrown there.
        return undefined
      }
    })
    const kept = await this.take(
      records.filter((record) => record !== undefined),
      signal,
    )
    const byRecord = new Map(kept.map((outcome) => [outcome.record, outcome]))
    return records.map((record): Outcome => {
      const verdict = record === undefined ? 'invalid' : (byRecord.get(record)?.verdict ?? 'invalid')
      if (verdict !== 'invalid' && record !== undefined) return { verdict, id: record.id }
      this.figures.invalid += record === undefined ? 1 : 0
      return { verdict: 'invalid' }
    })
  }

  /** Keeps records, in steps between which others have their turn. @throws the signal's reason */
  async take(
    records: readonly CatalogRecord[],
    signal: AbortSignal,
  ): Promise<{ record: CatalogRecord; verdict: Kept['verdict'] | 'invalid' }[]> {
    const outcomes: { record: CatalogRecord; verdict: Kept['verdict'] | 'invalid' }[] = []
    for (let at = 0; at < records.length; at += MAX_CHECKS_PER_STEP) {
      signal.throwIfAborted()
      if (at > 0) await nextTurn()
      const step = records.slice(at, at + MAX_CHECKS_PER_STEP)
      // Before the transaction, and in a turn of their own: signatures take as long as rows.
      const judged = step.map((record) => ({ record, judgement: this.judge(record) }))
      await nextTurn()
      outcomes.push(...this.#keepStep(judged))
    }
    return outcomes
  }

  /** Removes what has expired, in steps. @throws the signal's reason */
  async expire(signal: AbortSignal): Promise<number> {
    const { store, now } = this.#options
    let removed = 0
    for (;;) {
      signal.throwIfAborted()
      const step = this.#write(() => store.expire(now()))
      removed += step
      if (step < MAX_ROWS_PER_STEP) return removed
      await nextTurn()
    }
  }

  #keepStep(
    judged: readonly { record: CatalogRecord; judgement: ReturnType<Intake['judge']> }[],
  ): { record: CatalogRecord; verdict: Kept['verdict'] | 'invalid' }[] {
    const { store, onTaken } = this.#options
    const taken: CatalogRecord[] = []
    const outcomes = this.#write(() =>
      judged.map(({ record, judgement }) => {
        if (judgement !== 'new') {
          const refusal = judgement === 'refused' ? this.#refusal(record) : undefined
          if (refusal !== undefined) this.figures.refused[refusal] += 1
          if (judgement === 'invalid') this.figures.invalid += 1
          return { record, verdict: judgement }
        }
        const kept = store.keep(record)
        if (kept.verdict === 'refused') this.figures.refused[kept.reason] += 1
        if (kept.verdict === 'taken') {
          taken.push(record)
          this.figures.withdrawn += kept.removed
        }
        return { record, verdict: kept.verdict }
      }),
    )
    this.figures.taken += taken.length
    for (const record of taken) {
      this.#checked.delete(nameOf(record))
      onTaken(record)
    }
    return outcomes
  }

  #write<T>(work: () => T): T {
    const { state, store } = this.#options
    try {
      return state.writeRelaxed(work)
    } catch (error) {
      store.rolledBack()
      throw error
    }
  }

  #isSigned(record: CatalogRecord): boolean {
    const name = nameOf(record)
    if (this.#checked.has(name)) return true
    if (!isRecordSigned(record, this.#options.networkName)) return false
    forgetOldest(this.#checked, MAX_REMEMBERED_CHECKS)
    this.#checked.add(name)
    return true
  }

  #refusal(record: CatalogRecord): Refusal | undefined {
    const { trust, now } = this.#options
    if (record.untilMs <= now()) return 'expired'
    if (record.atMs > now() + MAX_AHEAD_MS) return 'early'
    const decision = trust.decide(peerOf(record.publisher), 'catalogue')
    return !decision.allowed && REFUSED.has(decision.reason) ? 'denied' : undefined
  }
}

/** The signature belongs to it: a checked payload says nothing about another signature that came with it. */
function nameOf({ id, signed }: CatalogRecord): string {
  return Buffer.concat([id, signed.signature]).toString('latin1')
}

/** Text form of the peer id of a key. */
export function peerOf(key: Uint8Array): string {
  return peerIdFromPublicKey(publicKeyFromRaw(key)).toString()
}
