import { createHash } from 'node:crypto'
import type { Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { CID } from 'multiformats/cid'
import { KeepRefusedError } from '../../../protocols/keep/index.ts'
import type { Keep } from '../../../protocols/keep/types.ts'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Evidence, Policy, Scores } from '../../trust/contract.ts'
import { type Copy, CopyStore } from './copy-store.ts'
import { ASKS_PER_ROUND, MAX_REMEMBERED_REFUSALS, REFUSED_FOR_MS, SHORT_RETRY_MS } from './limits.ts'
import { probe, type ProberOptions } from './prober.ts'

export interface CopiesConfig {
  /** What others are asked to promise; asked again when a third of it is left. */
  termMs: number
  /** How often a holder is asked whether it has its copy. */
  probeIntervalMs: number
  /** How long a holder may be silent before another takes its place. */
  graceMs: number
}

export interface CopiesOptions extends Omit<ProberOptions, 'keep'> {
  config: CopiesConfig
  keep: Keep
  libp2p: Pick<Libp2p, 'getPeers'>
  state: StateDatabase
  trust: Policy & Scores & Evidence
  /** Bytes of a DAG of this node. */
  sizeOf: (cid: CID, signal: AbortSignal) => Promise<number>
  log: Logger
}

/** What a root should have. */
export interface Wanted {
  cid: CID
  copies: number
  minScore: number
}

export interface Round {
  /** Copies that are promised, by peers that still answer. */
  promised: number
  /** When to look again. */
  againAtMs: number
}

/** Keeps copies of own content at other nodes: probes those there are, renews them, replaces those that vanished. */
export class Copies {
  readonly #options: CopiesOptions
  readonly store: CopyStore
  /** Until when a peer is not asked again, by peer; and by root and peer. */
  readonly #refusals = new Map<string, number>()
  readonly counts = { lostCopies: 0, refusedAsks: 0 }

  constructor(options: CopiesOptions) {
    this.#options = options
    this.store = new CopyStore(options.state)
  }

  get graceMs(): number {
    return this.#options.config.graceMs
  }

  /** Looks after one root, once. */
  async look({ cid, copies, minScore }: Wanted, signal: AbortSignal): Promise<Round> {
    const { now, config } = this.#options
    const good: Copy[] = []
    for (const copy of this.store.of(cid)) {
      if (await this.#isGood(copy, minScore, signal)) good.push(copy)
      else await this.#lose(copy)
    }
    const current = new Set(good.map(({ peer }) => peer))
    good.splice(0, good.length, ...this.store.of(cid).filter(({ peer }) => current.has(peer)))
    // More than wanted, after a policy asks for less or a lost holder came back: the last to come is let go.
    for (const copy of good.splice(copies)) await this.giveBack(copy, signal)
    const renewed = await this.#renew(good, signal)
    const missing = copies - renewed.length
    const found = missing > 0 ? await this.#find({ cid, copies: missing, minScore }, renewed, signal) : 0
    const isProven =
      found === 0 && renewed.every(({ provenMs, seenMs }) => provenMs !== null && provenMs >= seenMs)
    // What was just promised is looked at soon: whoever has it within a minute has it, and a silent one is out after the grace.
    const againMs = isProven
      ? config.probeIntervalMs
      : Math.min(config.probeIntervalMs, SHORT_RETRY_MS, config.graceMs)
    return { promised: renewed.length + found, againAtMs: now() + againMs }
  }

  /** The peer need not keep it any more. It is told where it can be; a promise ends by itself otherwise. */
  async giveBack(copy: Pick<Copy, 'cid' | 'peer'>, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.keep.release(peerIdFromString(copy.peer), copy.cid, { signal })
    } catch (error) {
      signal.throwIfAborted()
      this.#options.log.debug({ peer: copy.peer, error: String(error) }, 'a promise could not be given back')
    }
    await this.store.drop(copy)
  }

  async #isGood(copy: Copy, minScore: number, signal: AbortSignal): Promise<boolean> {
    const { trust, config, now } = this.#options
    const nowMs = now()
    if (copy.untilMs <= nowMs || trust.score(copy.peer) < minScore) return false
    if (!trust.decide(copy.peer, 'entrust', { cid: copy.cid.toString() }).allowed) return false
    const isDue = copy.provenMs === null || nowMs - copy.seenMs >= config.probeIntervalMs / 2
    if (!isDue) return true
    const result = await probe(copy, this.#options, signal)
    if (result === 'silent') return now() - copy.seenMs < config.graceMs
    if (result === 'gone') {
      trust.report(copy.peer, 'receipt-broken', { cid: copy.cid.toString() })
      this.#refuse(`${copy.cid.toString()} ${copy.peer}`)
      return false
    }
    this.store.seen(copy, now(), result === 'proven')
    return true
  }

  async #lose(copy: Copy): Promise<void> {
    this.counts.lostCopies += 1
    this.#options.log.info({ cid: copy.cid.toString(), peer: copy.peer }, 'a copy is lost and is replaced')
    await this.store.drop(copy)
  }

  /** Those whose time is running out promise anew, or are replaced. */
  async #renew(copies: Copy[], signal: AbortSignal): Promise<Copy[]> {
    const { config, now } = this.#options
    const kept: Copy[] = []
    for (const copy of copies) {
      const isLate = copy.untilMs - now() < config.termMs / 3
      if (
        !isLate ||
        (await this.#ask(peerIdFromString(copy.peer), copy.cid, signal)) ||
        copy.untilMs > now() + config.graceMs
      )
        kept.push(copy)
      else await this.#lose(copy)
    }
    return kept
  }

  async #find({ cid, copies, minScore }: Wanted, taken: Copy[], signal: AbortSignal): Promise<number> {
    let found = 0
    let asked = 0
    for (const peer of this.#candidates(cid, minScore, taken)) {
      if (found >= copies || asked >= ASKS_PER_ROUND) break
      asked += 1
      if (await this.#ask(peer, cid, signal)) found += 1
    }
    return found
  }

  /** Connected peers that may be asked: trusted ones first, alike ones in an order of the root's own, which spreads roots evenly. */
  #candidates(cid: CID, minScore: number, taken: Copy[]): PeerId[] {
    const { libp2p, trust, now } = this.#options
    const has = new Set(taken.map(({ peer }) => peer))
    const text = cid.toString()
    return libp2p
      .getPeers()
      .map((peer) => ({ peer, name: peer.toString() }))
      .filter(
        ({ name }) =>
          !has.has(name) &&
          (this.#refusals.get(name) ?? 0) <= now() &&
          (this.#refusals.get(`${text} ${name}`) ?? 0) <= now() &&
          trust.decide(name, 'entrust', { cid: text }).allowed,
      )
      .map((candidate) => ({
        ...candidate,
        score: trust.score(candidate.name),
        place: createHash('sha256').update(cid.multihash.bytes).update(candidate.name).digest('base64'),
      }))
      .filter(({ score }) => score >= minScore)
      .toSorted((a, b) => b.score - a.score || (a.place < b.place ? -1 : 1))
      .map(({ peer }) => peer)
  }

  async #ask(peer: PeerId, cid: CID, signal: AbortSignal): Promise<boolean> {
    const { keep, config, sizeOf, now, log } = this.#options
    const name = peer.toString()
    try {
      const sizeBytes = await sizeOf(cid, signal)
      const what = { cid, sizeBytes, untilMs: now() + config.termMs }
      await this.store.put(await keep.ask(peer, what, { signal }), now())
      return true
    } catch (error) {
      signal.throwIfAborted()
      this.counts.refusedAsks += 1
      // A refusal may be for this root alone; a peer that does not answer is asked for none.
      this.#refuse(error instanceof KeepRefusedError ? `${cid.toString()} ${name}` : name)
      log.debug({ peer: name, cid: cid.toString(), error: String(error) }, 'a peer does not keep a copy')
      return false
    }
  }

  #refuse(key: string): void {
    this.#refusals.delete(key)
    forgetOldest(this.#refusals, MAX_REMEMBERED_REFUSALS)
    this.#refusals.set(key, this.#options.now() + REFUSED_FOR_MS)
  }
}
