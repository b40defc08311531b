import type { PeerId, Stream } from '@libp2p/interface'
import { LRUCache } from 'lru-cache'
import type { CID } from 'multiformats/cid'
import { FairSlots } from '../shared/fair-slots.ts'
import type { BitswapInit } from './index.ts'
import { Ledger, type Want, wantKey } from './ledger.ts'
import {
  ANSWER_BYTES,
  LOOKED_UP_AT_ONCE,
  MAX_ANSWERS,
  MAX_STALLED_PEERS,
  MAX_WANTS,
  REPORT_EVERY_MS,
  SMALL_BLOCK_BYTES,
  STALLED_FOR_MS,
} from './limits.ts'
import { MessageBuilder, type WantEntry } from './message.ts'
import { type Outgoing, Sender } from './sender.ts'

export interface ServerInit extends BitswapInit {
  /** On a connection that is open: nobody is dialled to be answered. */
  open: (peer: PeerId, signal: AbortSignal) => Promise<Stream>
  signal: AbortSignal
}

interface Client {
  readonly peer: PeerId
  readonly name: string
  readonly ledger: Ledger
  readonly sender: Sender
  readonly gone: AbortController
  reportedMs: number
}

/** The blocks of one answer. */
interface Loaded {
  readonly wants: Want[]
  bytes: number
}

/**
 * Answers what peers want. Wants are small and many are kept; blocks are loaded for one answer at a time, and answers are bounded for
 * all peers together, so that no list of wants, however long, makes this node hold more than MAX_ANSWERS of them.
 */
export class Server {
  readonly #init: ServerInit
  readonly #clients = new Map<string, Client>()
  /** Who waits for a block that is not here, by its key. */
  readonly #waiting = new Map<string, Set<Client>>()
  readonly #slots = new FairSlots(MAX_ANSWERS, 1)
  readonly #stalled = new LRUCache<string, true>({ max: MAX_STALLED_PEERS, ttl: STALLED_FOR_MS })
  sentBlocks = 0
  sentBytes = 0

  constructor(init: ServerInit) {
    this.#init = init
  }

  /** Of all peers. */
  get wants(): number {
    let count = 0
    for (const { ledger } of this.#clients.values()) count += ledger.size
    return count
  }

  get answersInMemory(): number {
    return this.#slots.held
  }

  receive(peer: PeerId, name: string, entry: WantEntry): void {
    const key = wantKey(entry.cid)
    const known = this.#clients.get(name)
    if (entry.isCancel) {
      known?.ledger.cancel(key)
      return
    }
    if (this.#stalled.has(name)) return
    const client = known ?? this.#begin(peer, name)
    const { ledger } = client
    if (!ledger.change(key, entry)) {
      if (this.#hasRoomFor(client)) ledger.add(key, entry)
      else if (entry.sendDontHave) ledger.refuse(key, entry.cid)
      else return
    }
    client.sender.wake()
  }

  /** The block is held from now on. */
  arrived(cid: CID): void {
    if (this.#waiting.size === 0) return
    const key = wantKey(cid)
    const clients = this.#waiting.get(key)
    if (clients === undefined) return
    for (const client of clients) {
      // Another "not here" would say that it has come.
      if (!this.#maySend(client, cid)) continue
      clients.delete(client)
      client.ledger.arrived(key)
      client.sender.wake()
    }
    if (clients.size === 0) this.#waiting.delete(key)
  }

  /** The peer is not connected any more. */
  drop(name: string): void {
    const client = this.#clients.get(name)
    if (client === undefined) return
    this.#clients.delete(name)
    client.ledger.clear()
    client.gone.abort(new Error('the peer is gone'))
  }

  stop(): void {
    for (const name of this.#clients.keys()) this.drop(name)
  }

  #begin(peer: PeerId, name: string): Client {
    const { open, bandwidth, signal } = this.#init
    const gone = new AbortController()
    const client: Client = {
      peer,
      name,
      ledger: new Ledger((want) => this.#forgotten(client, want)),
      gone,
      reportedMs: -Infinity,
      sender: new Sender({
        next: (ended) => this.#next(client, ended),
        open: (ended) => open(peer, ended),
        onFailure: (error, isStalled) => this.#failed(client, error, isStalled),
        bandwidth,
        flow: { direction: 'out', peer: name, protocol: 'bitswap' },
        signal: AbortSignal.any([signal, gone.signal]),
      }),
    }
    this.#clients.set(name, client)
    return client
  }

  #hasRoomFor(client: Client): boolean {
    const { ledger } = client
    const isOver = this.wants >= MAX_WANTS && ledger.size >= MAX_WANTS / this.#clients.size
    if (!ledger.isFull && !isOver) return true
    const now = performance.now()
    // That all together want too much is nobody's doing.
    if (ledger.isFull && now - client.reportedMs >= REPORT_EVERY_MS) {
      client.reportedMs = now
      this.#init.trust.report(client.name, 'limit-exceeded', { protocol: 'bitswap', limit: 'wants' })
    }
    return false
  }

  /** An answer, in memory until it is sent. */
  async #next(client: Client, signal: AbortSignal): Promise<Outgoing | undefined> {
    await this.#slots.acquire(client.name, signal)
    let isHeld = true
    const release = (): void => {
      if (isHeld) this.#slots.release(client.name)
      isHeld = false
    }
    try {
      const message = new MessageBuilder()
      const sent: Loaded = { wants: [], bytes: 0 }
      // Until there is something to say: what is not here may not be worth an answer.
      while (message.byteLength === 0) {
        const refused = client.ledger.takeRefused(LOOKED_UP_AT_ONCE)
        for (const cid of refused) message.presence(cid, false)
        const fresh = client.ledger.takeFresh(LOOKED_UP_AT_ONCE)
        await this.#lookUp(client, fresh, message)
        const before = sent.wants.length
        await this.#load(client, sent, message, signal)
        signal.throwIfAborted()
        if (refused.length === 0 && fresh.length === 0 && sent.wants.length === before) break
      }
      if (message.byteLength === 0) {
        release()
        return undefined
      }
      return { message: message.finish(), settle: (isSent) => this.#settled(client, sent, isSent, release) }
    } catch (error) {
      release()
      throw error
    }
  }

  async #lookUp(client: Client, fresh: readonly Want[], message: MessageBuilder): Promise<void> {
    if (fresh.length === 0) return
    const { blocks } = this.#init
    const allowed = fresh.filter(({ cid }) => this.#maySend(client, cid))
    const held = await blocks.hasMany(allowed.map(({ cid }) => cid))
    const here = new Set(allowed.filter((_, index) => held[index] === true))
    // At once: a block that comes after the question was answered is to find who waits for it.
    for (const want of fresh) if (!here.has(want)) this.#missing(client, want, message)
    for (const want of here) {
      if (want.wantsBlock || ((await blocks.size(want.cid)) ?? Infinity) <= SMALL_BLOCK_BYTES)
        client.ledger.ready(want)
      else message.presence(want.cid, true)
    }
  }

  async #load(client: Client, sent: Loaded, message: MessageBuilder, signal: AbortSignal): Promise<void> {
    const { blocks } = this.#init
    while (message.byteLength < ANSWER_BYTES) {
      const want = client.ledger.takeReady()
      if (want === undefined) return
      // What is denied or private by now is not sent, however long it has been waiting here.
      const bytes = this.#maySend(client, want.cid) ? await blocks.get(want.cid, { signal }) : undefined
      if (bytes === undefined) {
        this.#missing(client, want, message)
        continue
      }
      message.block(want.cid, bytes)
      sent.wants.push(want)
      sent.bytes += bytes.length
    }
  }

  #settled(client: Client, sent: Loaded, isSent: boolean, release: () => void): void {
    release()
    if (isSent) {
      this.sentBlocks += sent.wants.length
      this.sentBytes += sent.bytes
    } else if (!client.gone.signal.aborted) client.ledger.putBack(sent.wants)
  }

  /** What may not be given away is as if it were not here. */
  #maySend(client: Client, cid: CID): boolean {
    const { trust, isPrivate } = this.#init
    if (isPrivate(cid)) return false
    return trust.decide(client.name, 'serve-bitswap', { cid: cid.toString() }).allowed
  }

  #missing(client: Client, want: Want, message: MessageBuilder): void {
    if (want.sendDontHave) message.presence(want.cid, false)
    if (client.gone.signal.aborted) return
    client.ledger.wait(want)
    const clients = this.#waiting.get(want.key) ?? new Set()
    clients.add(client)
    this.#waiting.set(want.key, clients)
  }

  #forgotten(client: Client, { key }: Want): void {
    const clients = this.#waiting.get(key)
    clients?.delete(client)
    if (clients?.size === 0) this.#waiting.delete(key)
  }

  #failed(client: Client, error: Error, isStalled: boolean): void {
    const { trust, log } = this.#init
    log.debug({ peer: client.name, error: String(error) }, 'bitswap could not answer')
    client.ledger.clear()
    if (!isStalled) return
    this.#stalled.set(client.name, true)
    trust.report(client.name, 'limit-exceeded', { protocol: 'bitswap', limit: 'stalled' })
  }
}
