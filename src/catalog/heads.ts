import type { KadDHT } from '@libp2p/kad-dht'
import { decodeHead, headKey, isBetterHead, signHead } from '../../protocols/catalog/index.ts'
import type { Head } from '../../protocols/catalog/types.ts'
import type { Signer } from '../../protocols/shared/ed25519.ts'
import { unlessAborted } from '../../protocols/shared/unless-aborted.ts'
import { wait } from '../jobs/async.ts'
import type { Logger } from '../telemetry/types.ts'
import {
  ASK_AGAIN_MS,
  HEAD_DELAY_MS,
  HEAD_INTERVAL_MS,
  HEAD_PUT_TIMEOUT_MS,
  HEAD_RETRY_MS,
  HEAD_SEARCH_TIMEOUT_MS,
  HEAD_SETTLE_MS,
  MAX_HEADS_PER_SEARCH,
} from './limits.ts'

/** The network's DHT, as far as heads need it. */
export interface HeadDht {
  dht: Pick<KadDHT, 'get' | 'put'>
  /** Whether it knows anybody to ask. */
  hasRoutes: () => boolean
}

export interface HeadsOptions {
  networkName: string
  signer: Signer
  network: HeadDht
  /** Where this node's log ends; undefined where it has published nothing. */
  own: () => Pick<Head, 'sequence' | 'record'> | undefined
  log: Logger
  now: () => number
}

/** Finds the heads of logs in the DHT, and tells that of this node's own, now and again. */
export class Heads {
  readonly #options: HeadsOptions
  readonly #stop = new AbortController()
  #wake = new AbortController()
  #dueMs = 0
  #running: Promise<void> | undefined
  /** The best head of this node's own log that others have told of since the start. */
  #heard: Head | undefined
  #asking: Promise<void> | undefined
  #askAgainMs = 0

  constructor(options: HeadsOptions) {
    this.#options = options
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Something was published. */
  changed(): void {
    this.#soon(Number.POSITIVE_INFINITY)
  }

  /** Somebody has come who can be told; what is due later stays so. */
  wake(): void {
    this.#soon(this.#options.now())
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the node stops'))
    this.#wake.abort()
    await this.#running
  }

  /**
   * The best head that the network knows; undefined where there is none. Never fails. That of this node's own log is
   * remembered once it was found, or heard of while others were told: later on the node itself knows where its log ends.
   */
  async find(publisher: Uint8Array, signal: AbortSignal): Promise<Head | undefined> {
    const { signer, network, now } = this.#options
    if (Buffer.compare(publisher, signer.publicKey) !== 0) return this.#search(publisher, signal)
    if (this.#heard === undefined && now() >= this.#askAgainMs && network.hasRoutes()) {
      this.#asking ??= this.#ask()
      // Whoever waits no longer gets what is known by then.
      await unlessAborted(this.#asking, signal).catch(() => {})
    }
    return this.#heard
  }

  async #ask(): Promise<void> {
    const { signer, now } = this.#options
    this.#hear(await this.#search(signer.publicKey, this.#stop.signal))
    this.#askAgainMs = now() + ASK_AGAIN_MS
    this.#asking = undefined
  }

  #hear(head: Head | undefined): void {
    if (head !== undefined && (this.#heard === undefined || isBetterHead(head, this.#heard)))
      this.#heard = head
  }

  async #search(publisher: Uint8Array, signal: AbortSignal): Promise<Head | undefined> {
    const { network, networkName, log } = this.#options
    if (!network.hasRoutes()) return undefined
    const key = headKey(publisher)
    const enough = new AbortController()
    const bounded = AbortSignal.any([
      signal,
      this.#stop.signal,
      enough.signal,
      AbortSignal.timeout(HEAD_SEARCH_TIMEOUT_MS),
    ])
    let settle: NodeJS.Timeout | undefined
    let best: Head | undefined
    let seen = 0
    try {
      for await (const event of network.dht.get(key, { signal: bounded })) {
        // What each peer answers, as it comes: the library ends with the best one only where it could correct the others.
        const value =
          event.name === 'VALUE'
            ? event.value
            : event.name === 'PEER_RESPONSE'
              ? event.record?.value
              : undefined
        if (value === undefined) continue
        seen += 1
        if (seen > MAX_HEADS_PER_SEARCH) break
        const head = readHead(key, value, networkName)
        if (head !== undefined && (best === undefined || isBetterHead(head, best))) best = head
        if (best !== undefined)
          settle ??= setTimeout(() => enough.abort(new Error('found')), HEAD_SETTLE_MS).unref()
      }
    } catch (error) {
      log.debug({ error: String(error) }, 'a search for the head of a log ended early')
    } finally {
      clearTimeout(settle)
    }
    return best
  }

  /** What is due by then becomes due in a moment: more may be published, and who has come is not known as a route yet. */
  #soon(dueByMs: number): void {
    const nowMs = this.#options.now()
    const isSoon = this.#dueMs > nowMs && this.#dueMs <= nowMs + HEAD_DELAY_MS
    if (isSoon || this.#dueMs > dueByMs) return
    this.#dueMs = nowMs + HEAD_DELAY_MS
    this.#wake.abort()
  }

  async #run(): Promise<void> {
    const { network, own, now } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      this.#wake = new AbortController()
      const leftMs = this.#dueMs - now()
      // Without records there is nothing to tell, without routes nobody: whoever publishes, or connects, wakes us.
      if (leftMs > 0 || own() === undefined || !network.hasRoutes()) {
        await wait(leftMs > 0 ? leftMs : HEAD_RETRY_MS, this.#wake.signal)
        continue
      }
      const told = await this.#tell(signal)
      this.#dueMs = now() + (told > 0 ? HEAD_INTERVAL_MS : HEAD_RETRY_MS)
    }
  }

  /** How many peers took it. Never fails. */
  async #tell(signal: AbortSignal): Promise<number> {
    const { network, networkName, signer, own, log, now } = this.#options
    const told = new Set<string>()
    try {
      // A put replaces what others have without comparing: whoever puts looks first.
      const known = await this.#search(signer.publicKey, signal)
      // Where it is ahead, what is published next goes on from there.
      this.#hear(known)
      const head = own()
      if (head === undefined || signal.aborted) return 0
      if (known !== undefined && isBetterHead(known, head)) {
        log.warn(
          { known: known.sequence, own: head.sequence },
          'the network knows more of what this node has published than the node itself',
        )
        return 1
      }
      const value = signHead(signer, networkName, { ...head, atMs: now() })
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(HEAD_PUT_TIMEOUT_MS)])
      for await (const event of network.dht.put(headKey(signer.publicKey), value, { signal: bounded })) {
        if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE' && event.record !== undefined)
          told.add(event.from.toString())
      }
    } catch (error) {
      log.debug({ error: String(error) }, 'not all peers could be told of the head of a log')
    }
    return told.size
  }
}

function readHead(key: Uint8Array, bytes: Uint8Array, networkName: string): Head | undefined {
  try {
    return decodeHead(key, bytes, networkName)
  } catch {
    // What anybody may have put there; the format's decoder throws nothing else.
    return undefined
  }
}
