import type { PeerId, Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { unlessAborted } from '../shared/unless-aborted.ts'
import type { BitswapInit } from './index.ts'
import { wantKey } from './ledger.ts'
import {
  ASK_AGAIN_MS,
  FIND_AGAIN_MS,
  FIND_PROVIDERS_AFTER_MS,
  MAX_ASKED_PEERS,
  MAX_OWN_WANTS,
  MAX_SEARCHES,
  OLD_WANT_MS,
  OLD_WANT_TICKS,
  REPORT_EVERY_MS,
  TICK_MS,
  UNWANTED_BYTES,
} from './limits.ts'
import { tooManyWants } from './errors.ts'
import { RemotePeer } from './remote-peer.ts'
import { keyOfBlock } from './verify.ts'

export interface WantsInit extends BitswapInit {
  open: (peer: PeerId, signal: AbortSignal) => Promise<Stream>
  /** Connects to some who are said to have the block; they come in by `connected`. */
  search: (cid: CID, signal: AbortSignal) => Promise<void>
  signal: AbortSignal
}

/** A block that this node wants, for all who want it. */
export interface OwnWant {
  readonly key: string
  readonly cid: CID
  readonly bytes: PromiseWithResolvers<Uint8Array>
  /** Aborted when it has ended, one way or another. */
  readonly ended: AbortController
  users: number
  /** Who was asked for the block, and when last. */
  readonly asked: Map<RemotePeer, number>
  /** Who was asked whether it is there. */
  readonly questioned: Map<RemotePeer, number>
  /** Who said that it is, and who that it is not. */
  readonly holders: Set<RemotePeer>
  readonly denied: Set<RemotePeer>
  readonly sinceMs: number
  searchedMs: number
  isSearching: boolean
}

/**
 * What this node wants of others. A block is asked of one peer at a time: of the one that had the last, or of the first of all that says
 * it is there. Another is asked where that one does not send it, so that many seeds do not mean many copies.
 */
export class Wants {
  readonly #init: WantsInit
  readonly #wants = new Map<string, OwnWant>()
  /** Of them, in the order in which they came, those that nobody with room for them has been found for. */
  readonly #queued = new Set<OwnWant>()
  readonly #peers = new Map<string, RemotePeer>()
  #searches = 0
  #ticks = 0
  #ticking: NodeJS.Timeout | undefined
  receivedBlocks = 0
  receivedBytes = 0
  unwantedBytes = 0

  constructor(init: WantsInit) {
    this.#init = init
  }

  get size(): number {
    return this.#wants.size
  }

  get peers(): readonly PeerId[] {
    return [...this.#peers.values()].map(({ peer }) => peer)
  }

  /** @throws ERR_BITSWAP_BUSY; the signal's reason */
  async want(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    const key = wantKey(cid)
    const want = this.#wants.get(key) ?? this.#begin(cid, key)
    want.users += 1
    try {
      return await unlessAborted(want.bytes.promise, signal)
    } finally {
      want.users -= 1
      if (want.users === 0) this.#end(want)
    }
  }

  connected(peer: PeerId): void {
    const name = peer.toString()
    if (this.#peers.has(name)) return
    const { open, bandwidth, isPrivate, signal } = this.#init
    const remote = new RemotePeer({
      peer,
      name,
      open,
      bandwidth,
      isPrivate,
      signal,
      onFailure: (error) => {
        this.#init.log.debug({ peer: name, error: String(error) }, 'bitswap could not ask')
        this.#release(remote)
      },
    })
    this.#peers.set(name, remote)
    for (const want of this.#wants.values()) if (!this.#isExpected(want)) this.#assign(want)
  }

  disconnected(name: string): void {
    const remote = this.#peers.get(name)
    if (remote === undefined) return
    this.#peers.delete(name)
    remote.stop()
    this.#release(remote)
  }

  /** Bytes came from this peer, of whatever. */
  progress(name: string): void {
    this.#peers.get(name)?.progressed()
  }

  /** A block that a peer sent. Who was asked nothing sends what nobody looks at. */
  block(name: string, hashCode: number, bytes: Uint8Array): void {
    const remote = this.#peers.get(name)
    const key = remote === undefined || remote.wasAsked === 0 ? undefined : keyOfBlock(hashCode, bytes)
    const want = key === undefined ? undefined : this.#wants.get(key)
    if (remote === undefined || want === undefined) {
      this.#unwanted(name, remote, bytes.length)
      return
    }
    remote.delivered(bytes.length)
    this.receivedBlocks += 1
    this.receivedBytes += bytes.length
    remote.owesNot(want)
    // A small part of a large message is not to keep all of it in memory.
    want.bytes.resolve(bytes.length * 2 < bytes.buffer.byteLength ? bytes.slice() : bytes)
    this.#end(want)
    if (remote.wasAsked === 0) this.#thank(remote)
    this.#pump()
  }

  presence(name: string, cid: CID, isHeld: boolean): void {
    const remote = this.#peers.get(name)
    const want = this.#wants.get(wantKey(cid))
    if (remote === undefined || want === undefined) return
    if (!want.asked.has(remote) && !want.questioned.has(remote)) return
    if (isHeld) {
      remote.had()
      want.denied.delete(remote)
      want.holders.add(remote)
      if (!this.#isExpected(want)) this.#assign(want)
      return
    }
    want.holders.delete(remote)
    want.denied.add(remote)
    if (!want.asked.delete(remote)) return
    // It goes on knowing that it is wanted, and says so when it comes.
    want.questioned.set(remote, performance.now())
    remote.owesNot(want)
    this.#assign(want)
    this.#pump()
  }

  stop(): void {
    clearInterval(this.#ticking)
    for (const want of this.#wants.values()) {
      want.bytes.promise.catch(() => {})
      want.bytes.reject(new Error('the node stops'))
      want.ended.abort()
    }
    this.#wants.clear()
    this.#queued.clear()
    for (const remote of this.#peers.values()) remote.stop()
    this.#peers.clear()
  }

  #begin(cid: CID, key: string): OwnWant {
    if (this.#wants.size >= MAX_OWN_WANTS) throw tooManyWants()
    const want: OwnWant = {
      key,
      cid,
      bytes: Promise.withResolvers(),
      ended: new AbortController(),
      users: 0,
      asked: new Map(),
      questioned: new Map(),
      holders: new Set(),
      denied: new Set(),
      sinceMs: performance.now(),
      searchedMs: -Infinity,
      isSearching: false,
    }
    this.#wants.set(key, want)
    this.#assign(want)
    this.#ticking ??= setInterval(() => this.#tick(), TICK_MS).unref()
    return want
  }

  #end(want: OwnWant): void {
    if (this.#wants.get(want.key) !== want) return
    this.#wants.delete(want.key)
    this.#queued.delete(want)
    for (const remote of new Set([...want.asked.keys(), ...want.questioned.keys()])) remote.cancel(want)
    want.ended.abort()
    if (this.#wants.size > 0) return
    clearInterval(this.#ticking)
    this.#ticking = undefined
  }

  /** Somebody was asked for the block and sends, if not this one yet. */
  #isExpected(want: OwnWant): boolean {
    for (const [remote, askedMs] of want.asked) if (remote.isSending(askedMs)) return true
    return false
  }

  /** Asks for the block where it is said to be, or likely to be; else whoever is connected whether they have it. */
  #assign(want: OwnWant): void {
    const { trust } = this.#init
    const cid = want.cid.toString()
    this.#queued.delete(want)
    const likely: RemotePeer[] = []
    const others: RemotePeer[] = []
    for (const remote of this.#peers.values()) {
      if (want.asked.has(remote) || want.denied.has(remote) || remote.isOfNoUse) continue
      const isLikely = want.holders.has(remote) || remote.isLead
      if (!isLikely && want.questioned.has(remote)) continue
      if (!trust.decide(remote.name, 'fetch', { cid }).allowed) continue
      ;(isLikely ? likely : others).push(remote)
    }
    const first = least(likely.length === 0 && others.length === 1 ? others : likely)
    if (first?.hasRoom === true) {
      want.asked.set(first, performance.now())
      first.askFor(want)
    } else if (first !== undefined) {
      this.#queued.add(want)
    } else {
      const recent = others.toSorted((one, other) => other.lastBlockMs - one.lastBlockMs)
      for (const remote of recent.slice(0, MAX_ASKED_PEERS)) {
        want.questioned.set(remote, performance.now())
        remote.askWhether(want)
      }
    }
  }

  /** Somebody may have room for what waits. */
  #pump(): void {
    for (const want of this.#queued) {
      this.#assign(want)
      if (this.#queued.has(want)) return
    }
  }

  /** Nothing is to be had from this peer now, of all that it was asked for. */
  #release(remote: RemotePeer): void {
    const owed = remote.releaseAll()
    for (const want of owed) {
      want.asked.delete(remote)
      want.questioned.delete(remote)
      want.holders.delete(remote)
      want.denied.delete(remote)
      if (this.#wants.get(want.key) === want && !this.#isExpected(want)) this.#assign(want)
    }
    this.#pump()
  }

  #tick(): void {
    const now = performance.now()
    this.#ticks += 1
    for (const want of this.#wants.values()) {
      // What nobody has had for a while is looked at less often: there may be thousands of wants, and hundreds of peers.
      if (now - want.sinceMs > OLD_WANT_MS && this.#ticks % OLD_WANT_TICKS !== 0) continue
      if (this.#queued.has(want) || this.#isExpected(want)) continue
      for (const remote of want.asked.keys()) this.#stalled(remote)
      this.#assign(want)
      this.#askAgain(want, now)
      if (now - want.sinceMs >= FIND_PROVIDERS_AFTER_MS) this.#search(want, now)
    }
    this.#pump()
  }

  #stalled(remote: RemotePeer): void {
    if (!remote.stalled()) return
    this.#init.trust.report(remote.name, 'transfer-failed', { protocol: 'bitswap', reason: 'stalled' })
  }

  /** A peer may have lost the question, or have come to have what it had not. */
  #askAgain(want: OwnWant, now: number): void {
    for (const [remote, askedMs] of want.asked) {
      if (now - askedMs < ASK_AGAIN_MS) continue
      want.asked.set(remote, now)
      remote.askFor(want)
    }
    for (const [remote, askedMs] of want.questioned) {
      if (now - askedMs < FIND_AGAIN_MS) continue
      want.questioned.set(remote, now)
      want.denied.delete(remote)
      remote.askWhether(want)
    }
  }

  #search(want: OwnWant, now: number): void {
    if (want.isSearching || now - want.searchedMs < FIND_AGAIN_MS || this.#searches >= MAX_SEARCHES) return
    want.isSearching = true
    want.searchedMs = now
    this.#searches += 1
    void this.#init
      .search(want.cid, want.ended.signal)
      .catch(() => {})
      .finally(() => {
        want.isSearching = false
        this.#searches -= 1
      })
  }

  #thank(remote: RemotePeer): void {
    const { bytes, durationMs } = remote.takeAccount()
    if (bytes > 0) this.#init.trust.report(remote.name, 'transfer-served', { bytes, durationMs })
  }

  #unwanted(name: string, remote: RemotePeer | undefined, bytes: number): void {
    this.unwantedBytes += bytes
    if (remote?.unwanted(bytes, UNWANTED_BYTES, REPORT_EVERY_MS) !== true) return
    this.#init.trust.report(name, 'limit-exceeded', { protocol: 'bitswap', limit: 'unwanted' })
  }
}

/** The one that owes least, measured by how fast it sends. */
function least(remotes: readonly RemotePeer[]): RemotePeer | undefined {
  let best: RemotePeer | undefined
  for (const remote of remotes) {
    if (best === undefined || remote.load < best.load) best = remote
  }
  return best
}
