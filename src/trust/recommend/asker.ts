import type { PeerId } from '@libp2p/interface'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import { MAX_SUBJECTS } from '../../../protocols/trust/index.ts'
import type { SignedRecommendation, TrustExchange } from '../../../protocols/trust/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import {
  ASK_INTERVAL_MS,
  ASK_TIMEOUT_MS,
  ASKED_ABOUT_NEWCOMERS,
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
 * somebody who just came at once. One peer is asked at a time.
 */
export class Asker {
  readonly #options: AskerOptions
  readonly #running = new AbortController()
  /** How far each peer was asked, in its own counter, and when. */
  readonly #asked = new Map<string, { since: bigint; atMs: number }>()
  readonly #waiting = new Map<string, PeerId>()
  readonly #newcomers = new Map<string, PeerId>()
  readonly #onIdentify = ({ detail }: CustomEvent<{ peerId: PeerId }>): void => this.#came(detail.peerId)
  #newcomersTimer: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  #isAsking = false

  constructor(options: AskerOptions) {
    this.#options = options
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
    this.#newcomers.set(name, peer)
    this.#newcomersTimer ??= setTimeout(() => {
      this.#newcomersTimer = undefined
      void this.#askAboutNewcomers()
    }, NEWCOMERS_AFTER_MS).unref()
  }

  #wait(peer: PeerId): void {
    const { isHeard, now } = this.#options
    const name = peer.toString()
    const askedMs = this.#asked.get(name)?.atMs
    const isLate = askedMs === undefined || Math.abs(now() - askedMs) >= ASK_INTERVAL_MS
    if (!isLate || this.#running.signal.aborted || !isHeard(name)) return
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
    // Before the answer: who does not answer is not asked again at once.
    this.#note(name, { since, atMs: now() })
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const { recommendations, next, more } = await exchange.ask(peer, since, { signal })
      hear(peer, recommendations)
      since = next
      this.#note(name, { since, atMs: now() })
      if (!more) return
    }
  }

  async #askAboutNewcomers(): Promise<void> {
    const { peers, exchange, isHeard, hear } = this.#options
    const newcomers = [...this.#newcomers]
    this.#newcomers.clear()
    const knowing = peers
      .getPeers()
      .filter((peer) => isHeard(peer.toString()))
      .slice(0, ASKED_ABOUT_NEWCOMERS)
    for (const peer of knowing) {
      await this.#attempt(peer.toString(), async (signal) => {
        const subjects = newcomers.map(([, subject]) => subject).filter((subject) => !subject.equals(peer))
        for (let from = 0; from < subjects.length; from += MAX_SUBJECTS) {
          const some = subjects.slice(from, from + MAX_SUBJECTS)
          const answer = await exchange.askAbout(peer, some, { signal })
          if (answer === undefined) return
          hear(peer, answer)
        }
      })
    }
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
      // It may be of an older version, busy, or gone.
      this.#options.log.debug({ peer, error: String(error) }, 'a peer did not say what it has seen of others')
    }
  }
}
