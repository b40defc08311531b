import { randomBytes } from 'node:crypto'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Found, SlabId } from '../../../protocols/chunk/types.ts'
import { Wakeup } from '../../../protocols/shared/wakeup.ts'
import { unlessAborted } from '../../../protocols/shared/unless-aborted.ts'
import { abortable, wait } from '../../jobs/async.ts'
import type { ColumnAt, LocateOptions } from '../contracts.ts'
import { groupCid, slabKeyOf } from '../../../protocols/chunk/format/index.ts'

import type { LocatorDependencies } from './index.ts'
import {
  CONCURRENT_DIALS,
  CONCURRENT_QUESTIONS,
  CONNECTED_DHT_GRACE_MS,
  CONNECTED_HEAD_START_MS,
  DHT_HEAD_START_MS,
  DHT_TIMEOUT_MS,
  DIAL_TIMEOUT_MS,
  EMPTY_DHT_GRACE_MS,
  EMPTY_DHT_POLL_MS,
  HAVE_TIMEOUT_MS,
  HINTS_HEAD_START_MS,
  MAX_ADDRESSES_PER_FOUND,
  MAX_FOUND,
  MAX_HINTS,
  MAX_HOPS,
  MAX_PEERS_PER_SEARCH,
  MAX_PROVIDERS,
  MAX_SEARCH_MS,
  MAX_SLABS_PER_HAVE,
  MAX_SLABS_PER_QUERY,
  QUERY_FAN_OUT,
  QUERY_HOP_TIMEOUT_MS,
} from './limits.ts'
import { Slots } from './slots.ts'
import { someOf } from '../../../protocols/shared/some-of.ts'

/**
 * One search for the holders of some slabs of a group. Four ways, each beginning when those before it are slow or done:
 * hints, connected peers, providers that the DHT names, queries that peers pass on. Whatever a way brings up is only a
 * peer to ask: it counts once the peer itself says what it holds.
 */
export class HolderSearch {
  readonly #deps: LocatorDependencies
  readonly #slabs: readonly SlabId[]
  readonly #wanted: ReadonlySet<string>
  readonly #group: SlabId
  readonly #hints: readonly string[]
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  /** Aborts as well when the search has taken long enough. */
  readonly #work: AbortSignal
  readonly #wakeup = new Wakeup()
  readonly #queue: ColumnAt[] = []
  readonly #asked = new Set<string>()
  readonly #told = new Set<string>()
  readonly #questions = new Slots(CONCURRENT_QUESTIONS)
  readonly #dials = new Slots(CONCURRENT_DIALS)
  /** Questions and dials under way. */
  readonly #pending = new Set<Promise<void>>()
  #isOver = false

  constructor(deps: LocatorDependencies, slabs: readonly SlabId[], options: LocateOptions) {
    this.#deps = deps
    this.#slabs = slabs
    this.#wanted = new Set(slabs.map(slabKeyOf))
    this.#group = options.group
    this.#hints = (options.hints ?? []).slice(0, MAX_HINTS)
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal])
    this.#work = AbortSignal.any([this.#signal, AbortSignal.timeout(MAX_SEARCH_MS)])
  }

  async *results(): AsyncGenerator<ColumnAt> {
    if (this.#slabs.length === 0) return
    const stopListening = this.#deps.chunk.onPeer((event) => {
      if (event.type === 'connected') void this.#ask(event.peer)
    })
    void this.#run()
    try {
      for (;;) {
        const next = this.#queue.shift()
        if (next !== undefined) yield next
        else if (this.#isOver) return
        else await this.#wakeup.wait(this.#signal)
      }
    } finally {
      stopListening()
      this.#stop.abort()
    }
  }

  async #run(): Promise<void> {
    const hints = this.#askHints()
    await this.#unlessDone(hints, this.#hints.length === 0 ? 0 : HINTS_HEAD_START_MS)
    const connected = Promise.all([hints, ...this.#deps.chunk.peers().map((peer) => this.#ask(peer))])
    await this.#unlessDone(connected, CONNECTED_HEAD_START_MS)
    const dht = this.#askDht().catch((error: unknown) => {
      this.#deps.log.debug({ error: String(error) }, 'the DHT did not answer a search for holders')
    })
    await this.#unlessDone(dht, DHT_HEAD_START_MS)
    await Promise.all([connected, dht, this.#askOthers()])
    // A peer that was found late may have led to further ones.
    while (this.#pending.size > 0) await Promise.all(this.#pending)
    this.#isOver = true
    this.#wakeup.notify()
  }

  async #unlessDone(work: Promise<unknown>, headStartMs: number): Promise<void> {
    const over = new AbortController()
    try {
      await Promise.race([work, wait(headStartMs, AbortSignal.any([this.#work, over.signal]))])
    } finally {
      over.abort()
    }
  }

  async #askHints(): Promise<void> {
    await Promise.all(
      this.#hints.map(async (text) => {
        const peer = parsedPeer(text)
        if (peer !== undefined) await this.#reach(peer, [])
      }),
    )
  }

  async #askDht(): Promise<void> {
    const { libp2p } = this.#deps
    if (!(await this.#waitForRoutes())) return
    const signal = AbortSignal.any([this.#work, AbortSignal.timeout(DHT_TIMEOUT_MS)])
    const reached: Promise<void>[] = []
    try {
      const providers = libp2p.contentRouting.findProviders(groupCid(this.#group), { signal })
      for await (const provider of abortable(providers, signal)) {
        // Its addresses are in the peer store by now.
        reached.push(this.#reach(provider.id, []))
        if (reached.length >= MAX_PROVIDERS) break
      }
    } catch {
      // Routers report an empty result as an error; what was found before it still counts.
    }
    await Promise.all(reached)
  }

  async #waitForRoutes(): Promise<boolean> {
    const { hasRoutes, libp2p } = this.#deps
    // Whoever is connected and has no routes after a moment takes no part in the DHT.
    const graceMs = libp2p.getPeers().length > 0 ? CONNECTED_DHT_GRACE_MS : EMPTY_DHT_GRACE_MS
    for (let waitedMs = 0; waitedMs < graceMs; waitedMs += EMPTY_DHT_POLL_MS) {
      if (this.#work.aborted || hasRoutes()) break
      await wait(EMPTY_DHT_POLL_MS, this.#work)
    }
    return !this.#work.aborted && hasRoutes()
  }

  /** Sends a query to a few peers, who pass it on. */
  async #askOthers(): Promise<void> {
    if (this.#work.aborted) return
    const { chunk, libp2p } = this.#deps
    const others = chunk.peers().filter((peer) => !peer.equals(libp2p.peerId) && this.#mayAsk(peer))
    const peers = someOf(others, QUERY_FAN_OUT)
    const query = {
      id: randomBytes(16),
      slabs: someOf(this.#slabs, MAX_SLABS_PER_QUERY),
      hopsLeft: MAX_HOPS - 1,
    }
    const signal = AbortSignal.any([this.#work, AbortSignal.timeout(QUERY_HOP_TIMEOUT_MS * (MAX_HOPS + 1))])
    await Promise.all(
      peers.map(async (peer) => {
        const found = await chunk.locate(peer, query, signal).catch((): Found[] => [])
        await Promise.all(found.slice(0, MAX_FOUND).map((entry) => this.#follow(entry)))
      }),
    )
  }

  async #follow({ slab, peer: text, addresses }: Found): Promise<void> {
    const peer = parsedPeer(text)
    if (peer === undefined || !this.#wanted.has(slabKeyOf(slab))) return
    await this.#reach(peer, addresses.slice(0, MAX_ADDRESSES_PER_FOUND))
  }

  /** Connects to the peer where that is needed, then asks it. */
  async #reach(peer: PeerId, addresses: readonly string[]): Promise<void> {
    const { libp2p } = this.#deps
    if (this.#asked.has(peer.toString()) || !this.#mayAsk(peer)) return
    if (!peer.equals(libp2p.peerId) && libp2p.getConnections(peer).length === 0) {
      const isReached = await this.#dials.run(this.#work, async () => {
        if (libp2p.getConnections(peer).length > 0) return true
        const signal = AbortSignal.any([this.#work, AbortSignal.timeout(DIAL_TIMEOUT_MS)])
        const targets = addresses.flatMap((address) => dialTarget(address, peer))
        // libp2p itself does not give up a dial at once when its signal aborts.
        await unlessAborted(libp2p.dial(targets.length > 0 ? targets : peer, { signal }), signal)
        return true
      })
      if (isReached !== true) return
    }
    await this.#ask(peer)
  }

  #mayAsk(peer: PeerId): boolean {
    const { libp2p, trust } = this.#deps
    // What this node holds itself counts where `chunk` gives it (local-holder.ts).
    if (peer.equals(libp2p.peerId)) return this.#deps.chunk.peers().some((other) => other.equals(peer))
    return trust.decide(peer.toString(), 'fetch').allowed
  }

  async #ask(peer: PeerId): Promise<void> {
    const name = peer.toString()
    if (this.#work.aborted || this.#isOver) return
    if (this.#asked.has(name) || this.#asked.size >= MAX_PEERS_PER_SEARCH || !this.#mayAsk(peer)) return
    this.#asked.add(name)
    const question = this.#questions.run(this.#work, () => this.#have(peer)).then(() => {})
    this.#pending.add(question)
    await question
    this.#pending.delete(question)
  }

  async #have(peer: PeerId): Promise<void> {
    for (let from = 0; from < this.#slabs.length; from += MAX_SLABS_PER_HAVE) {
      const batch = this.#slabs.slice(from, from + MAX_SLABS_PER_HAVE)
      const signal = AbortSignal.any([this.#work, AbortSignal.timeout(HAVE_TIMEOUT_MS)])
      for (const { slab, column, indexHash } of await this.#deps.chunk.have(peer, batch, signal)) {
        const key = `${slabKeyOf(slab)}/${peer.toString()}`
        if (!this.#wanted.has(slabKeyOf(slab)) || this.#told.has(key)) continue
        this.#told.add(key)
        this.#queue.push({ slab, column, indexHash, peer })
      }
      this.#wakeup.notify()
    }
  }
}

function parsedPeer(text: string): PeerId | undefined {
  try {
    return peerIdFromString(text)
  } catch {
    return undefined
  }
}

function dialTarget(address: string, peer: PeerId): ReturnType<typeof multiaddr>[] {
  try {
    return [multiaddr(address).encapsulate(`/p2p/${peer.toString()}`)]
  } catch {
    return []
  }
}
