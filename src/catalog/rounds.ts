import type { PeerId } from '@libp2p/interface'
import type { Reconcile, ReconciledSet } from '../../protocols/reconcile/types.ts'
import { forgetOldest } from '../../protocols/shared/forget-oldest.ts'
import { someOf } from '../../protocols/shared/some-of.ts'
import type { Logger } from '../telemetry/types.ts'
import {
  HASTE_MS,
  LEFT_ALONE_MS,
  MAX_SYNC_SESSIONS,
  MAX_WAITING_PEERS,
  ROUND_MS,
  SETTLE_MS,
  SYNC_TIMEOUT_MS,
} from './limits.ts'

export interface RoundsOptions {
  reconcile: Pick<Reconcile, 'run' | 'peers' | 'onPeer'>
  set: ReconciledSet
  /** Text form of this node's peer id: of two that meet, the smaller one begins. */
  self: string
  log: Logger
}

/**
 * When the catalogue is compared, and with whom: with each peer that comes, with one at random every minute, and soon with another
 * one after something came, so that news crosses the network in a few steps. One comparison at a time.
 */
export class Rounds {
  readonly #options: RoundsOptions
  readonly #stop = new AbortController()
  readonly #waiting = new Map<string, PeerId>()
  /** Peers with which a comparison failed, and until when they are left alone. */
  readonly #leftAlone = new Map<string, number>()
  readonly #settling = new Map<string, NodeJS.Timeout>()
  #regular: NodeJS.Timeout | undefined
  #hasty: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #endListening: (() => void) | undefined

  constructor(options: RoundsOptions) {
    this.#options = options
  }

  start(): void {
    const { reconcile } = this.#options
    this.#endListening ??= reconcile.onPeer(({ type, peer }) => {
      if (type === 'connected') this.#connected(peer)
      else this.#disconnected(peer.toString())
    })
    for (const peer of reconcile.peers()) this.#connected(peer)
    this.#planRegular()
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the node stops'))
    this.#endListening?.()
    for (const timer of [this.#regular, this.#hasty, ...this.#settling.values()]) clearTimeout(timer)
    this.#waiting.clear()
    await this.#running
  }

  /** Others may lack what has just come, or have more of it. */
  hasten(): void {
    if (this.#stop.signal.aborted) return
    this.#hasty ??= setTimeout(() => {
      this.#hasty = undefined
      this.#withAnybody()
    }, HASTE_MS).unref()
  }

  #connected(peer: PeerId): void {
    const name = peer.toString()
    // What went wrong before may be over, as after a restart there.
    this.#leftAlone.delete(name)
    if (this.#options.self > name || this.#settling.size >= MAX_WAITING_PEERS) return
    clearTimeout(this.#settling.get(name))
    const settled = (): void => {
      this.#settling.delete(name)
      this.#enqueue(peer)
    }
    this.#settling.set(name, setTimeout(settled, SETTLE_MS).unref())
  }

  #disconnected(name: string): void {
    clearTimeout(this.#settling.get(name))
    this.#settling.delete(name)
    this.#waiting.delete(name)
  }

  #withAnybody(): void {
    const nowMs = performance.now()
    const peers = this.#options.reconcile
      .peers()
      .filter((peer) => (this.#leftAlone.get(peer.toString()) ?? 0) <= nowMs)
    for (const peer of someOf(peers, 1)) this.#enqueue(peer)
  }

  /** Between three quarters of the interval and all of it, so that nodes that started together come apart. */
  #planRegular(): void {
    const inMs = ROUND_MS * (0.75 + Math.random() / 4)
    this.#regular = setTimeout(() => {
      this.#withAnybody()
      this.#planRegular()
    }, inMs).unref()
  }

  #enqueue(peer: PeerId): void {
    if (this.#stop.signal.aborted || this.#waiting.size >= MAX_WAITING_PEERS) return
    this.#waiting.set(peer.toString(), peer)
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async #run(): Promise<void> {
    for (const [name, peer] of this.#waiting) {
      this.#waiting.delete(name)
      if (this.#stop.signal.aborted) return
      await this.#compare(name, peer)
    }
  }

  /** Never fails. */
  async #compare(name: string, peer: PeerId): Promise<void> {
    const { reconcile, set, log } = this.#options
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(SYNC_TIMEOUT_MS)])
    try {
      for (let session = 0; session < MAX_SYNC_SESSIONS; session++) {
        const { isComplete, taken, given } = await reconcile.run(peer, set, { signal })
        if (isComplete || taken + given === 0) return
      }
    } catch (error) {
      this.#leftAlone.delete(name)
      forgetOldest(this.#leftAlone, MAX_WAITING_PEERS)
      this.#leftAlone.set(name, performance.now() + LEFT_ALONE_MS)
      log.debug({ peer: name, error: String(error) }, 'the catalogue was not compared')
    }
  }
}
