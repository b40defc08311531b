import type { PeerId } from '@libp2p/interface'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import { someOf } from '../../../protocols/shared/some-of.ts'
import { Status } from '../../../protocols/shared/status.ts'
import { MAX_SUBJECTS, RecommendationsRefusedError } from '../../../protocols/trust/index.ts'
import type { SignedRecommendation, TrustExchange } from '../../../protocols/trust/types.ts'
import { RateLimits } from '../../gossip/rate.ts'
import type { Logger } from '../../telemetry/types.ts'
import {
  ASK_INTERVAL_MS,
  ASK_RATE,
  ASK_TIMEOUT_MS,
  ASKED_ABOUT_NEWCOMERS,
  BUSY_PAUSE_MS,
  MAX_NEWCOMERS,
  MAX_PAGES,
  MAX_PEERS,
  NEWCOMERS_AFTER_MS,
} from './limits.ts'

/** Who is connected, and who comes. */
export interface ConnectedPeers {
  getPeers(): PeerId[]
  addEventListener(type: 'peer:identify', listener: (event: CustomEvent<{ peerId: PeerId }>) => void): void
  removeEventListener(type: 'peer:identify', listener: (event: CustomEvent<{ peerId: PeerId }>) => void): void
}

export interface AskerOptions {
  peers: ConnectedPeers
  exchange: Pick<TrustExchange, 'ask' | 'askAbout'>
  /** Whether what a peer says counts. */
  isHeard: (peer: string) => boolean
  /** Whether so little was seen of a peer that others are asked about it. */
  isNew: (peer: string) => boolean
  hear: (author: PeerId, all: readonly SignedRecommendation[]) => void
  log: Logger
  now: () => number
}

/**
 * Asks trusted peers what they have seen of others: all of it when they connect or become trusted, and now and then; what they know of
 * somebody who just came at once. All that one peer is asked keeps to one rate: over that of the peer, this node would be the worse for it.
 */
export class Asker {
  readonly #options: AskerOptions
  readonly #running = new AbortController()
  /** How far each peer was asked, in its own counter, and when. */
  readonly #asked = new Map<string, { since: bigint; atMs: number }>()
  readonly #waiting = new Map<string, PeerId>()
  readonly #newcomers = new Map<string, PeerId>()
  /** When others were last asked about a peer. */
  readonly #askedAbout = new Map<string, number>()
  /** When a peer said that it has too much to do. */
  readonly #busy = new Map<string, number>()
  readonly #rates: RateLimits
  readonly #onIdentify = ({ detail }: CustomEvent<{ peerId: PeerId }>): void => this.#came(detail.peerId)
  #newcomersTimer: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  #isAsking = false

  constructor(options: AskerOptions) {
    this.#options = options
    this.#rates = new RateLimits(MAX_PEERS, options.now)
  }

  start(): void {
    this.#options.peers.addEventListener('peer:identify', this.#onIdentify)
    this.#timer = setInterval(() => this.askAll(), ASK_INTERVAL_MS).unref()
    this.askAll()
  }

  stop(): void {
    this.#running.abort(new Error('the node stops'))
    this.#options.peers.removeEventListener('peer:identify', this.#onIdentify)
    clearInterval(this.#timer)
    clearTimeout(this.#newcomersTimer)
    this.#waiting.clear()
    this.#newcomers.clear()
  }

  /** Everybody who is connected and heard, and was not asked lately. */
  askAll(): void {
    for (const peer of this.#options.peers.getPeers()) this.#wait(peer)
  }

  #came(peer: PeerId): void {
    this.#wait(peer)
    const name = peer.toString()
    if (!this.#options.isNew(name) || this.#newcomers.size >= MAX_NEWCOMERS) return
    if (this.#isWithin(this.#askedAbout.get(name), ASK_INTERVAL_MS)) return
    this.#newcomers.set(name, peer)
    this.#newcomersTimer ??= setTimeout(() => {
      this.#newcomersTimer = undefined
      void this.#askAboutNewcomers()
    }, NEWCOMERS_AFTER_MS).unref()
  }

  #wait(peer: PeerId): void {
    const name = peer.toString()
    const isEarly = this.#isWithin(this.#asked.get(name)?.atMs, ASK_INTERVAL_MS)
    if (isEarly || this.#running.signal.aborted || !this.#options.isHeard(name)) return
    this.#waiting.set(name, peer)
    forgetOldest(this.#waiting, MAX_PEERS)
    void this.#askWaiting()
  }

  async #askWaiting(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    for (const [name, peer] of this.#waiting) {
      this.#waiting.delete(name)
      await this.#attempt(name, (signal) => this.#askPages(name, peer, signal))
    }
    this.#isAsking = false
  }

  async #askPages(name: string, peer: PeerId, signal: AbortSignal): Promise<void> {
    const { exchange, hear, now } = this.#options
    let since = this.#asked.get(name)?.since ?? 0n
    for (let page = 0; page < MAX_PAGES && this.#mayAsk(name); page += 1) {
      // Before the answer: who does not answer is not asked again at once.
      this.#note(name, { since, atMs: now() })
      const { recommendations, next, more } = await exchange.ask(peer, since, { signal })
      hear(peer, recommendations)
      since = next
      this.#note(name, { since, atMs: now() })
      if (!more) return
    }
  }

  async #askAboutNewcomers(): Promise<void> {
    const { peers, isHeard } = this.#options
    const newcomers = [...this.#newcomers.values()]
    this.#newcomers.clear()
    const knowing = peers.getPeers().filter((peer) => isHeard(peer.toString()))
    let asked = 0
    for (const peer of someOf(knowing, knowing.length)) {
      if (asked >= ASKED_ABOUT_NEWCOMERS) return
      const subjects = newcomers.filter((subject) => !subject.equals(peer))
      if (subjects.length === 0 || !this.#mayAsk(peer.toString())) continue
      asked += 1
      await this.#attempt(peer.toString(), (signal) => this.#askAbout(peer, subjects, signal))
    }
  }

  /** The first request is counted already. */
  async #askAbout(peer: PeerId, subjects: readonly PeerId[], signal: AbortSignal): Promise<void> {
    const { exchange, hear } = this.#options
    for (let from = 0; from < subjects.length; from += MAX_SUBJECTS) {
      if (from > 0 && !this.#mayAsk(peer.toString())) return
      const some = subjects.slice(from, from + MAX_SUBJECTS)
      for (const subject of some) this.#noteAskedAbout(subject.toString())
      const answer = await exchange.askAbout(peer, some, { signal })
      if (answer === undefined) return
      hear(peer, answer)
    }
  }

  #noteAskedAbout(subject: string): void {
    this.#askedAbout.delete(subject)
    forgetOldest(this.#askedAbout, MAX_PEERS)
    this.#askedAbout.set(subject, this.#options.now())
  }

  /** Whether a peer may be asked something now; then it counts as asked. */
  #mayAsk(peer: string): boolean {
    return !this.#isWithin(this.#busy.get(peer), BUSY_PAUSE_MS) && this.#rates.take(peer, ASK_RATE)
  }

  /** A clock that was put back counts as well. */
  #isWithin(atMs: number | undefined, ms: number): boolean {
    return atMs !== undefined && Math.abs(this.#options.now() - atMs) < ms
  }

  #note(name: string, asked: { since: bigint; atMs: number }): void {
    this.#asked.delete(name)
    forgetOldest(this.#asked, MAX_PEERS)
    this.#asked.set(name, asked)
  }

  async #attempt(peer: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const signal = AbortSignal.any([this.#running.signal, AbortSignal.timeout(ASK_TIMEOUT_MS)])
    try {
      await work(signal)
    } catch (error) {
      if (error instanceof RecommendationsRefusedError && error.status === Status.busy) {
        this.#busy.delete(peer)
        forgetOldest(this.#busy, MAX_PEERS)
        this.#busy.set(peer, this.#options.now())
      }
      // It may be of an older version, busy, or gone.
      this.#options.log.debug({ peer, error: String(error) }, 'a peer did not say what it has seen of others')
    }
  }
}
