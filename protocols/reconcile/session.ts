import { randomBytes } from 'node:crypto'
import type { Evidence } from '../../src/trust/contract.ts'
import { Status } from '../shared/status.ts'
import { Comparison } from './comparison.ts'
import { reconcileRefused, reconcileUnsupported } from './errors.ts'
import {
  EXCHANGE_TIMEOUT_MS,
  KEY_BYTES,
  MAX_BATCH_ENTRIES,
  MAX_EXCHANGES,
  MAX_KNOWN_ENTRIES,
  MAX_OFFERED,
} from './limits.ts'
import { type AnswerBody, decodeAnswer, encodeRequest, type RequestBody, TAKEN } from './messages.ts'
import { countOf, readEntries, type Served, takeEntries } from './served.ts'
import type { Snapshot } from './snapshot.ts'
import type { Turns } from './turns.ts'
import { View } from './view.ts'

/** The answer that belongs to a kind of request. */
interface Answers {
  compare: AnswerBody & { kind: 'compared' }
  fetch: AnswerBody & { kind: 'entries' }
  offer: AnswerBody & { kind: 'wanted' }
  give: AnswerBody & { kind: 'taken' }
}

export interface SessionInit {
  turns: Turns
  served: Served
  snapshot: Snapshot
  /** Text form of the peer id at the other end. */
  peer: string
  trust: Evidence
  signal: AbortSignal
}

/** The asker's side of one stream: finds the difference, brings what is missing here, then what is missing there. */
export class Session {
  readonly #init: SessionInit
  readonly #key = randomBytes(KEY_BYTES)
  #exchanges = 0
  readonly #counts = { taken: 0, refused: 0, given: 0 }

  constructor(init: SessionInit) {
    this.#init = init
  }

  /** What was done so far, also of a session that broke off. */
  get counts(): { taken: number; refused: number; given: number; exchanges: number } {
    return { ...this.#counts, exchanges: this.#exchanges }
  }

  /**
   * True: both sides have the same now, but for what either refused.
   *
   * @throws ProtocolViolationError, ERR_RECONCILE_UNSUPPORTED, ERR_RECONCILE_REFUSED, what the stream and the set throw
   */
  async run(): Promise<boolean> {
    const { snapshot, served } = this.#init
    const view = await View.of(snapshot, this.#key)
    const refused = await served.refusals.tags(this.#key)
    const comparison = new Comparison(view, {
      isRefused: (tag) => refused.has(tag),
      turn: Math.random(),
    })
    for (let cuts = comparison.next(); cuts !== undefined; cuts = comparison.next()) {
      if (this.#isSpent()) return false
      comparison.take(await this.#ask({ kind: 'compare', cuts }))
    }
    const isFetched = await this.#fetch(comparison.lacking)
    const isGiven = await this.#give(view, comparison.spare)
    return comparison.isWhole && isFetched && isGiven
  }

  async #fetch(lacking: readonly number[]): Promise<boolean> {
    const { served, ...init } = this.#init
    let known = 0
    for (let at = 0; at < lacking.length; ) {
      if (this.#isSpent() || known > MAX_KNOWN_ENTRIES) return false
      const ranks = lacking.slice(at, at + MAX_BATCH_ENTRIES)
      const { entries } = await this.#ask({ kind: 'fetch', ranks })
      at += entries.length
      const there = entries.filter(({ byteLength }) => byteLength > 0)
      if (there.length === 0) continue
      const verdicts = await takeEntries(served, there, init)
      this.#counts.taken += countOf(verdicts, TAKEN.taken)
      this.#counts.refused += countOf(verdicts, TAKEN.refused)
      known += countOf(verdicts, TAKEN.known)
    }
    return true
  }

  async #give(view: View, spare: readonly number[]): Promise<boolean> {
    for (let at = 0; at < spare.length; at += MAX_OFFERED) {
      if (this.#isSpent()) return false
      const offered = spare.slice(at, at + MAX_OFFERED)
      const tags = offered.map((rank) => view.tag(rank))
      const { offers } = await this.#ask({ kind: 'offer', tags })
      if (
        !(await this.#giveRanks(
          view,
          offers.map((offer) => offered[offer]!),
        ))
      )
        return false
    }
    return true
  }

  async #giveRanks(view: View, ranks: readonly number[]): Promise<boolean> {
    for (let at = 0; at < ranks.length; ) {
      if (this.#isSpent()) return false
      const read = await readEntries(this.#init.served, view, ranks.slice(at, at + MAX_BATCH_ENTRIES))
      at += read.length
      const entries = read.filter(({ byteLength }) => byteLength > 0)
      if (entries.length === 0) continue
      const { verdicts } = await this.#ask({ kind: 'give', entries })
      this.#counts.given += countOf(verdicts, TAKEN.taken)
    }
    return true
  }

  /** Whether the next one goes on: this one has asked as much as one may. */
  #isSpent(): boolean {
    return this.#exchanges >= MAX_EXCHANGES
  }

  async #ask<Kind extends RequestBody['kind']>(body: RequestBody & { kind: Kind }): Promise<Answers[Kind]> {
    const { turns, served, peer, signal } = this.#init
    const { name } = served.set
    const open = this.#exchanges === 0 ? { open: { set: name, key: this.#key } } : {}
    this.#exchanges += 1
    await turns.take(encodeRequest({ ...open, body }), signal)
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(EXCHANGE_TIMEOUT_MS)])
    const message = await turns.next(bounded)
    if (message === undefined) throw new Error('closed before an answer')
    const answer = decodeAnswer(message, body)
    if (answer.status === Status.notFound) throw reconcileUnsupported(peer, name)
    if (answer.body === undefined) throw reconcileRefused(peer, name, answer.status)
    return answer.body as Answers[Kind]
  }
}
