import type { Stream } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { compare } from './compare.ts'
import {
  EXCHANGE_TIMEOUT_MS,
  MAX_EXCHANGES,
  MAX_KNOWN_ENTRIES,
  MAX_SESSION_ENTRIES,
  SESSION_TIMEOUT_MS,
} from './limits.ts'
import { type AnswerBody, decodeRequest, encodeAnswer, type RequestBody, TAKEN } from './messages.ts'
import { countOf, InvalidEntryError, readEntries, type Served, takeEntries } from './served.ts'
import type { Snapshots } from './snapshot.ts'
import { Turns } from './turns.ts'
import { View } from './view.ts'

export interface AnswererInit {
  trust: Policy & Evidence
  log: Logger
  snapshots: Snapshots
  served: (set: string) => Served | undefined
  /** Whether a session of this peer may begin now. */
  admits: (peer: string) => boolean
  bandwidth?: Bandwidth | undefined
  onMoved: (direction: 'in' | 'out', bytes: number) => void
  onTaken: (verdicts: readonly number[]) => void
}

/** What an open session compares with. */
interface Opened {
  readonly served: Served
  readonly view: View
  readonly refused: ReadonlySet<bigint>
}

/** Ends a session with a status, which is all that the peer hears. */
class EndedError extends Error {
  readonly status: number

  constructor(status: number) {
    super(`ended with status ${status}`)
    this.name = 'EndedError'
    this.status = status
  }
}

/** The answerer's side of one stream, until the asker closes it or asks too much. */
export class Answerer {
  readonly #init: AnswererInit
  readonly #turns: Turns
  readonly #stream: Stream
  readonly #peer: string
  readonly #signal: AbortSignal
  #given = 0
  #known = 0

  constructor(init: AnswererInit, stream: Stream, peer: string, signal: AbortSignal) {
    this.#init = init
    this.#stream = stream
    this.#peer = peer
    const { bandwidth } = init
    this.#turns = new Turns(stream, init.onMoved, bandwidth === undefined ? undefined : { bandwidth, peer })
    this.#signal = AbortSignal.any([signal, AbortSignal.timeout(SESSION_TIMEOUT_MS)])
  }

  /** Resolves when the stream has ended; never rejects. */
  async run(): Promise<void> {
    const { trust, log } = this.#init
    try {
      await this.#answerAll()
      await this.#stream.close({ signal: this.#within() })
    } catch (error) {
      this.#stream.abort(error as Error)
      if (error instanceof ProtocolViolationError)
        trust.report(this.#peer, 'protocol-violation', { protocol: 'reconcile', rule: error.rule })
      log.debug({ peer: this.#peer, error: String(error) }, 'a comparison was not answered to its end')
    }
  }

  async #answerAll(): Promise<void> {
    let opened: Opened | undefined
    for (let count = 0; ; count++) {
      const message = await this.#turns.next(this.#within())
      if (message === undefined) return
      const { open, body } = decodeRequest(message)
      if ((open === undefined) !== count > 0)
        throw new ProtocolViolationError('wrong-open', 'a session is opened once, at its beginning')
      let answer: AnswerBody
      try {
        if (count >= MAX_EXCHANGES) throw new EndedError(Status.budget)
        opened ??= await this.#open(open!)
        answer = await this.#answer(opened, body)
      } catch (error) {
        await this.#turns.take(encodeAnswer({ status: this.#statusOf(error) }), this.#signal)
        return
      }
      await this.#turns.take(encodeAnswer({ status: Status.ok, body: answer }), this.#signal)
    }
  }

  async #open({ set, key }: { set: string; key: Uint8Array }): Promise<Opened> {
    const { trust, admits, snapshots } = this.#init
    if (!trust.decide(this.#peer, 'gossip', { topic: set }).allowed) throw new EndedError(Status.refused)
    if (!admits(this.#peer)) {
      trust.report(this.#peer, 'limit-exceeded', { limit: 'reconcile-rate' })
      throw new EndedError(Status.busy)
    }
    const served = this.#stillServed(set)
    const view = await View.of(await snapshots.of(served.set), key)
    return { served, view, refused: await served.refusals.tags(key) }
  }

  async #answer({ served, view, refused }: Opened, body: RequestBody): Promise<AnswerBody> {
    this.#stillServed(served.set.name)
    switch (body.kind) {
      case 'compare':
        return compare(view, body.cuts)
      case 'fetch':
        return { kind: 'entries', entries: await readEntries(served, view, body.ranks) }
      case 'offer': {
        const offers = [...body.tags.keys()].filter((offer) => !refused.has(body.tags[offer]!))
        return { kind: 'wanted', offers }
      }
      case 'give': {
        this.#given += body.entries.length
        if (this.#given > MAX_SESSION_ENTRIES || this.#known > MAX_KNOWN_ENTRIES)
          throw new EndedError(Status.budget)
        const { trust, onTaken } = this.#init
        const from = { peer: this.#peer, trust, signal: this.#within() }
        const verdicts = await takeEntries(served, body.entries, from)
        this.#known += countOf(verdicts, TAKEN.known)
        onTaken(verdicts)
        return { kind: 'taken', verdicts }
      }
    }
  }

  /** A set that is no longer registered is not read any more. */
  #stillServed(set: string): Served {
    const served = this.#init.served(set)
    if (served === undefined) throw new EndedError(Status.notFound)
    return served
  }

  /** @throws what ends the stream without an answer */
  #statusOf(error: unknown): number {
    if (error instanceof EndedError) return error.status
    if (error instanceof ProtocolViolationError || error instanceof InvalidEntryError) throw error
    if (this.#signal.aborted) throw error
    this.#init.log.warn({ err: error, peer: this.#peer }, 'a set could not be compared')
    return Status.failed
  }

  #within(): AbortSignal {
    return AbortSignal.any([this.#signal, AbortSignal.timeout(EXCHANGE_TIMEOUT_MS)])
  }
}
