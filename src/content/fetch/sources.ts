import { setTimeout as sleep } from 'node:timers/promises'
import type { Libp2p, PeerId, PeerInfo } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Content } from '../../../protocols/content/types.ts'
import type { Policy } from '../../trust/contract.ts'
import type { StepAnswer } from '../errors.ts'
import type { ContentFacts, SourceRouter } from '../router/types.ts'

/** Peers offered to one fetch; more than it can use at once, so that lost ones are replaced. */
const MAX_SOURCES = 64
/** Of these connected ones, so that a node with many peers has room for the providers that the DHT names. */
const MAX_CONNECTED_SOURCES = 48
/** A walk through the DHT ends by itself long before in a small network; in a large one most answers come early. */
const DHT_TIMEOUT_MS = 30_000
/** A provider that cannot be reached shall not hold up the others: a dial over a relay takes some seconds. */
const DIAL_TIMEOUT_MS = 10_000
const CONCURRENT_DIALS = 4
/**
 * A node that knows nobody in the DHT is either alone, and should say so at once, or has just started: then its first
 * peers come within a second or two. The DHT itself would wait for them without end.
 */
const EMPTY_DHT_GRACE_MS = 3_000
const EMPTY_DHT_POLL_MS = 100
/** Most of what is read is held by a connected peer; only what takes longer is worth a walk through the DHT. */
const DHT_HEAD_START_MS = 300

export interface SourceDependencies {
  content: Pick<Content, 'peers' | 'protocols'>
  libp2p: Pick<
    Libp2p,
    'peerId' | 'dial' | 'getConnections' | 'contentRouting' | 'addEventListener' | 'removeEventListener'
  >
  trust: Policy
  /** Says who is asked first, and how many at once; connected peers are asked in any order without it. */
  router?: Pick<SourceRouter, 'rank' | 'report' | 'optimalCount'> | undefined
  /** Whether connected peers and those found in the DHT may be asked at all (`content.steps.peers`). */
  isEnabled: boolean
  /** Whether the DHT knows anybody to ask. */
  hasRoutes: () => boolean
  /** What the DHT is not asked about. */
  isPrivate: (cid: CID) => boolean
}

/**
 * The peers a fetch may ask, as one list that grows: those that are connected and speak the content protocol first, in the
 * order of the router, then the providers that the DHT names, dialled as they are found, and any that connect meanwhile. A provider is named twice:
 * whoever takes from the list then asks it before others that wait. The list ends when the DHT has nothing more to say.
 */
export class PeerSources implements AsyncIterable<PeerId> {
  readonly #dependencies: SourceDependencies
  readonly #root: CID
  readonly #signal: AbortSignal
  readonly #stop = new AbortController()
  readonly #seen = new Set<string>()
  readonly #queue: PeerId[] = []
  #wake: (() => void) | undefined
  #ended = false
  #connected = 0
  #refused = 0
  #dht: { found: number; reached: number; failure?: string; isOver: boolean } = {
    found: 0,
    reached: 0,
    isOver: false,
  }

  /**
   * @param root what providers are looked up by
   * @param facts what is known of what is wanted of it
   */
  constructor(root: CID, signal: AbortSignal, dependencies: SourceDependencies, facts: ContentFacts = {}) {
    this.#root = root
    this.#dependencies = dependencies
    this.#signal = AbortSignal.any([signal, this.#stop.signal])
    if (!dependencies.isEnabled) {
      this.#end()
      return
    }
    for (const peer of this.#ranked(dependencies.content.peers(), facts)) this.#offerConnected(peer)
    dependencies.libp2p.addEventListener('peer:identify', this.#onIdentify)
    this.#signal.addEventListener('abort', () => this.#end(), { once: true })
    void this.#askDht().finally(() => this.#end())
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PeerId> {
    for (;;) {
      const peer = this.#queue.shift()
      if (peer !== undefined) yield peer
      else if (this.#ended) return
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }

  /** Stops looking. */
  close(): void {
    this.#stop.abort()
    this.#end()
  }

  /** What each step had to say, for the message of a failure. */
  answers(): StepAnswer[] {
    if (!this.#dependencies.isEnabled)
      return [{ step: 'peers', answer: 'switched off (content.steps.peers)' }]
    const refused = this.#refused === 0 ? '' : `, ${this.#refused} not trusted`
    const { found, reached, failure, isOver } = this.#dht
    const providers = failure ?? `${found} providers found, ${reached} reached${isOver ? '' : ' so far'}`
    return [
      { step: 'connected peers', answer: `${this.#connected} asked${refused}` },
      { step: 'DHT', answer: providers },
    ]
  }

  readonly #onIdentify = (event: CustomEvent<{ peerId: PeerId; protocols: string[] }>): void => {
    const { peerId, protocols } = event.detail
    if (this.#dependencies.content.protocols.some((protocol) => protocols.includes(protocol)))
      this.#offerConnected(peerId)
  }

  /** All of them, the best first. */
  #ranked(peers: PeerId[], facts: ContentFacts): PeerId[] {
    const { router } = this.#dependencies
    if (router === undefined) return peers
    const byName = new Map(peers.map((peer) => [peer.toString(), peer]))
    const candidates = [...byName.keys()].map((id) => ({ kind: 'peer' as const, id }))
    return router.rank(this.#root, candidates, facts).flatMap(({ id }) => byName.get(id) ?? [])
  }

  #offerConnected(peer: PeerId): void {
    if (this.#connected < MAX_CONNECTED_SOURCES && this.#offer(peer)) this.#connected += 1
  }

  #offer(peer: PeerId): boolean {
    const { libp2p, trust } = this.#dependencies
    const name = peer.toString()
    if (this.#ended || this.#seen.has(name) || this.#seen.size >= MAX_SOURCES || peer.equals(libp2p.peerId))
      return false
    this.#seen.add(name)
    if (!trust.decide(name, 'fetch', { cid: this.#root.toString() }).allowed) {
      this.#refused += 1
      return false
    }
    this.#name(peer)
    return true
  }

  #name(peer: PeerId): void {
    this.#queue.push(peer)
    this.#wake?.()
    this.#wake = undefined
  }

  async #askDht(): Promise<void> {
    const { libp2p } = this.#dependencies
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(DHT_TIMEOUT_MS)])
    const dials = new Set<Promise<void>>()
    if (!(await this.#waitForRoutes())) {
      this.#dht = { ...this.#dht, failure: 'nobody to ask', isOver: true }
      return
    }
    try {
      if (this.#connected > 0) await sleep(DHT_HEAD_START_MS, undefined, { signal })
      // Asked only now: a connected peer may have said so.
      if (this.#dependencies.isPrivate(this.#root)) {
        this.#dht = { ...this.#dht, failure: 'not asked: the content is private', isOver: true }
        return
      }
      for await (const provider of libp2p.contentRouting.findProviders(this.#root, { signal })) {
        if (provider.id.equals(libp2p.peerId)) continue
        this.#dht.found += 1
        if (this.#seen.has(provider.id.toString())) {
          this.#dht.reached += 1
          this.#name(provider.id)
          continue
        }
        if (this.#seen.size >= MAX_SOURCES) break
        while (dials.size >= CONCURRENT_DIALS) await Promise.race(dials)
        const dial = this.#dial(provider).finally(() => dials.delete(dial))
        dials.add(dial)
      }
    } catch (error) {
      // Routers report an empty result as an error; what was found before it still counts.
      if (this.#dht.found === 0) this.#dht.failure = `no provider found (${(error as Error).message})`
    }
    await Promise.all(dials)
    this.#dht.isOver = true
  }

  async #waitForRoutes(): Promise<boolean> {
    for (
      let waitedMs = 0;
      waitedMs < EMPTY_DHT_GRACE_MS && !this.#signal.aborted;
      waitedMs += EMPTY_DHT_POLL_MS
    ) {
      if (this.#dependencies.hasRoutes()) return true
      await sleep(EMPTY_DHT_POLL_MS)
    }
    return this.#dependencies.hasRoutes()
  }

  async #dial(provider: PeerInfo): Promise<void> {
    const { libp2p, trust } = this.#dependencies
    const name = provider.id.toString()
    if (!trust.decide(name, 'fetch', { cid: this.#root.toString() }).allowed) {
      this.#refused += 1
      return
    }
    try {
      // Connected through a relay is connected: libp2p would dial again.
      if (libp2p.getConnections(provider.id).length === 0) {
        await libp2p.dial(provider.id, {
          signal: AbortSignal.any([this.#signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)]),
        })
      }
    } catch {
      return
    }
    this.#dht.reached += 1
    if (this.#offer(provider.id)) this.#name(provider.id)
  }

  #end(): void {
    this.#ended = true
    this.#dependencies.libp2p.removeEventListener('peer:identify', this.#onIdentify)
    this.#wake?.()
    this.#wake = undefined
  }
}
