import { setTimeout as sleep } from 'node:timers/promises'
import type { PeerId } from '@libp2p/interface'
import { decodeDeletions, encodeDeletions, MAX_DELETIONS } from '../../../protocols/chunk/format/index.ts'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { Chunk, SignedBytes } from '../../../protocols/chunk/types.ts'
import { Pacer } from '../../../protocols/shared/pacer.ts'
import type { Gossip } from '../../gossip/index.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Tombstones } from '../contracts.ts'
import { cancelled } from '../restore/errors.ts'
import { ASK_TIMEOUT_MS } from '../restore/limits.ts'
import { type Deletions, DELETIONS_RATE, DELETIONS_TOPIC } from './deletions.ts'
import {
  MAX_TOMBSTONE_COUNTERS,
  STALE_RETRY_MS,
  TOMBSTONE_CONCURRENCY,
  TOMBSTONE_ENOUGH_PEERS,
  TOMBSTONE_PAGES_PER_TURN,
  TOMBSTONE_ROUND_MS,
  TOMBSTONE_TURN_MS,
  TOMBSTONE_TURNS,
} from './limits.ts'
import { TombstoneCounters } from './tombstone-counters.ts'

export interface TombstoneSyncOptions {
  state: Pick<StateDatabase, 'db' | 'writeRelaxed'>
  deletions: Deletions
  gossip: Pick<Gossip, 'publish' | 'subscribe'>
  log: Logger
  /** One round with everybody; at most 10 minutes. */
  roundMs: number
  nowMs: () => number
}

/**
 * Deletions on their way: what gossip brings, and what connected peers have kept meanwhile. Each peer is asked when it
 * connects and then once a round, from where its own counter stood the last time.
 */
export class TombstoneSync implements Tombstones {
  readonly #options: TombstoneSyncOptions
  readonly #counters: TombstoneCounters
  readonly #log: Logger
  readonly #stop = new AbortController()
  readonly #queue = new Map<string, PeerId>()
  readonly #synced = new Set<string>()
  #chunk: Chunk | undefined
  #busy = 0
  #isStale: boolean
  #hasAsked = false
  #ends: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(options: TombstoneSyncOptions & { isStale: boolean }) {
    this.#options = options
    this.#log = options.log
    this.#counters = new TombstoneCounters(options.state, MAX_TOMBSTONE_COUNTERS)
    this.#isStale = options.isStale
  }

  /** True after an absence, until peers have told what was deleted meanwhile. */
  get isStale(): boolean {
    return this.#isStale
  }

  /** Whether those that were there have told what they know since this node started, or woke: before, it repairs nothing. */
  get hasAsked(): boolean {
    return this.#hasAsked
  }

  start(chunk: Chunk): void {
    this.#chunk = chunk
    this.#ends = [
      this.#options.gossip.subscribe(DELETIONS_TOPIC, ({ data, author }) => this.#onGossip(data, author)),
      chunk.onPeer(({ type, peer }) => {
        if (type === 'connected') this.#enqueue(peer)
      }),
    ]
    for (const peer of chunk.peers()) this.#enqueue(peer)
    const roundMs = Math.min(this.#options.roundMs, TOMBSTONE_ROUND_MS)
    this.#timer = setInterval(() => this.#round(), roundMs).unref()
  }

  stop(): void {
    this.#stop.abort()
    clearInterval(this.#timer)
    for (const end of this.#ends) end()
    this.#queue.clear()
  }

  /** This node was away: everybody is asked again, and nothing is served until then if `isStale`. */
  wasAway(isStale: boolean): void {
    this.#isStale ||= isStale
    this.#hasAsked = false
    this.#synced.clear()
    this.#round()
  }

  /** Some peer knows a deletion that this node does not: all are asked. */
  askAll(): void {
    this.#round()
  }

  async spread(deletions: readonly SignedBytes[], signal: AbortSignal): Promise<void> {
    const { deletions: kept, gossip } = this.#options
    const within = AbortSignal.any([signal, this.#stop.signal])
    try {
      for (const deletion of deletions) {
        within.throwIfAborted()
        await kept.own(deletion)
      }
      for (let at = 0, sent = 0; at < deletions.length; at += MAX_DELETIONS, sent += 1) {
        // Over its rate an author's messages are dropped on the way.
        if (sent >= DELETIONS_RATE.burst / 2)
          await sleep(1_000 / DELETIONS_RATE.perSecond, undefined, { signal: within })
        within.throwIfAborted()
        await gossip.publish(DELETIONS_TOPIC, encodeDeletions(deletions.slice(at, at + MAX_DELETIONS)))
      }
    } catch (error) {
      throw within.aborted ? cancelled(error) : error
    }
  }

  async #onGossip(data: Uint8Array, author: string): Promise<void> {
    for (const signed of decodeDeletions(data)) {
      await this.#heard(signed, author)
    }
  }

  /** @throws where the slab did not sign it: whoever hands it on does not check, and nothing more is taken from it */
  async #heard(signed: SignedBytes, peer: string): Promise<void> {
    try {
      await this.#options.deletions.heard(signed, peer)
    } catch (error) {
      if (
        error instanceof ChunkRefusedError &&
        error.status === ChunkStatus.invalid &&
        error.cause !== undefined
      ) {
        throw error
      }
      // No room for another one's deletion, or a clock that differs: no fault of the peer's.
      this.#log.debug({ peer, error: String(error) }, 'a deletion was not kept')
    }
  }

  #round(): void {
    for (const peer of this.#chunk?.peers() ?? []) this.#enqueue(peer)
  }

  #enqueue(peer: PeerId): void {
    if (this.#stop.signal.aborted) return
    this.#queue.set(peer.toString(), peer)
    while (this.#busy < TOMBSTONE_CONCURRENCY && this.#queue.size > 0) void this.#work()
  }

  async #work(): Promise<void> {
    this.#busy += 1
    try {
      for (let next = this.#take(); next !== undefined; next = this.#take()) {
        try {
          await this.#fetchAll(next)
          this.#synced.add(next.toString())
        } catch (error) {
          this.#log.debug({ peer: next.toString(), error: String(error) }, 'a peer gave no tombstones')
          if (this.#isStale) this.#retry(next)
        }
        this.#seeWhetherEnough()
      }
    } finally {
      this.#busy -= 1
    }
    if (this.#busy === 0 && this.#synced.size > 0) this.#hasAsked = true
  }

  /** While nothing is served, a peer that failed is not left until the next round. */
  #retry(peer: PeerId): void {
    setTimeout(() => {
      const isThere = this.#chunk?.peers().some((other) => other.equals(peer)) ?? false
      if (isThere && this.#isStale) this.#enqueue(peer)
    }, STALE_RETRY_MS).unref()
  }

  #take(): PeerId | undefined {
    const [next] = this.#queue
    if (next === undefined || this.#stop.signal.aborted) return undefined
    this.#queue.delete(next[0])
    return next[1]
  }

  #seeWhetherEnough(): void {
    // Those that take their time keep this node from repairing no longer.
    if (this.#synced.size >= TOMBSTONE_ENOUGH_PEERS) this.#hasAsked = true
    if (!this.#isStale) return
    const connected = this.#chunk?.peers().length ?? 0
    const enough = Math.max(1, Math.min(TOMBSTONE_ENOUGH_PEERS, connected))
    if (this.#synced.size < enough) return
    this.#isStale = false
    this.#log.info({ peers: this.#synced.size }, 'caught up with deletions; serving columns')
  }

  /** Who makes up more and more of them is left until the next round; only before anything is served all are waited for. */
  async #fetchAll(peer: PeerId): Promise<void> {
    for (let turn = 0; turn < TOMBSTONE_TURNS; turn++) {
      const isWhole = await this.#fetch(peer)
      if (isWhole || !this.#isStale) return
    }
  }

  /** True: the peer has no more. */
  async #fetch(peer: PeerId): Promise<boolean> {
    const chunk = this.#chunk
    if (chunk === undefined) return true
    const name = peer.toString()
    const pacer = new Pacer()
    const known = this.#counters.get(name)
    // The last one again: a peer that counts anew shows it by not having it there.
    let after = known === undefined ? 0 : known.after - 1
    let toCheck = known?.mark
    const turn = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TOMBSTONE_TURN_MS)])
    for (let page = 0; page < TOMBSTONE_PAGES_PER_TURN; page++) {
      const within = AbortSignal.any([turn, AbortSignal.timeout(ASK_TIMEOUT_MS)])
      const { deletions, next } = await chunk.tombstones(peer, after, within)
      if (toCheck !== undefined) {
        const isSame = deletions[0] !== undefined && this.#counters.isAt(toCheck, deletions[0])
        toCheck = undefined
        if (!isSame) {
          this.#counters.forget(name)
          after = 0
          continue
        }
      }
      for (const signed of deletions) {
        await pacer.breathe()
        await this.#heard(signed, name)
      }
      const last = deletions.at(-1)
      if (last === undefined || next <= after) return true
      this.#counters.set(name, { after: next, last, askedMs: this.#options.nowMs() })
      after = next
    }
    return false
  }
}
