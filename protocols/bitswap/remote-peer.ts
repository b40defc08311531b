import type { PeerId, Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Bandwidth } from '../shared/bandwidth.ts'
import {
  ASK_AGAIN_MS,
  BLOCK_STALL_MS,
  IN_FLIGHT_MS,
  LEAD_FOR_MS,
  MAX_IN_FLIGHT,
  MIN_IN_FLIGHT,
  REPORT_EVERY_MS,
  SLOW_BLOCK_MS,
  WANTS_PER_MESSAGE,
} from './limits.ts'
import { MessageBuilder, type WantEntry } from './message.ts'
import { type Outgoing, Sender } from './sender.ts'
import type { OwnWant } from './wants.ts'

/** How much of a new measurement goes into an average. */
const SHARE = 0.2

export interface RemotePeerInit {
  peer: PeerId
  name: string
  open: (peer: PeerId, signal: AbortSignal) => Promise<Stream>
  bandwidth: Bandwidth | undefined
  isPrivate: (cid: CID) => boolean
  signal: AbortSignal
  /** It cannot be told what is wanted. */
  onFailure: (error: Error) => void
}

/** A connected peer that speaks Bitswap: what it was asked, what is to be told to it, and how it has done so far. */
export class RemotePeer {
  readonly peer: PeerId
  readonly name: string
  readonly #init: RemotePeerInit
  readonly #sender: Sender
  readonly #gone = new AbortController()
  readonly #outgoing = new Map<string, WantEntry>()
  /** Keys of wants that it has been told of and not been told to forget. */
  readonly #said = new Set<string>()
  /** It was asked for these blocks. */
  readonly #owed = new Set<OwnWant>()
  /** It was asked something about these, for a block or whether it is there. */
  readonly #told = new Set<OwnWant>()
  #lastBlockMs = -Infinity
  #lastHadMs = -Infinity
  #lastBytesMs = -Infinity
  #failedMs = -Infinity
  #blockBytes = 0
  #bytesPerMs = 0
  /** Since it began to owe something. */
  #account = { bytes: 0, sinceMs: 0 }
  #unwantedBytes = 0
  #reportedMs = -Infinity
  #stalledMs = -Infinity

  constructor(init: RemotePeerInit) {
    this.#init = init
    this.peer = init.peer
    this.name = init.name
    this.#sender = new Sender({
      next: async () => this.#next(),
      open: (signal) => init.open(init.peer, signal),
      onFailure: (error) => {
        this.#outgoing.clear()
        this.#failedMs = performance.now()
        init.onFailure(error)
      },
      bandwidth: init.bandwidth,
      flow: { direction: 'out', peer: init.name, protocol: 'bitswap' },
      signal: AbortSignal.any([init.signal, this.#gone.signal]),
    })
  }

  /** When it sent a block last. */
  get lastBlockMs(): number {
    return this.#lastBlockMs
  }

  /** So many questions it was asked that it has not been told to forget. */
  get wasAsked(): number {
    return this.#told.size
  }

  /** Something comes from it, and a whole block now and then. `askedMs` is when it was asked for one. */
  isSending(askedMs: number): boolean {
    const now = performance.now()
    return (
      now - Math.max(askedMs, this.#lastBytesMs) < BLOCK_STALL_MS &&
      now - Math.max(askedMs, this.#lastBlockMs) < SLOW_BLOCK_MS
    )
  }

  /** It owes blocks and sends none, or cannot be reached. */
  get isOfNoUse(): boolean {
    if (performance.now() - this.#failedMs < ASK_AGAIN_MS) return true
    return this.#owed.size > 0 && !this.isSending(this.#account.sinceMs)
  }

  /** It had what was wanted lately, so that it may well have the next one too. */
  get isLead(): boolean {
    return performance.now() - Math.max(this.#lastBlockMs, this.#lastHadMs) < LEAD_FOR_MS
  }

  get hasRoom(): boolean {
    const blocks = this.#blockBytes === 0 ? 0 : (this.#bytesPerMs * IN_FLIGHT_MS) / this.#blockBytes
    return this.#owed.size < Math.min(MAX_IN_FLIGHT, Math.max(MIN_IN_FLIGHT, blocks))
  }

  /** How long it takes to send all that it owes, in milliseconds; a peer of which nothing is known is taken for a fast one. */
  get load(): number {
    const blockMs = this.#bytesPerMs === 0 ? 1 : this.#blockBytes / this.#bytesPerMs
    return (this.#owed.size + 1) * blockMs
  }

  askFor(want: OwnWant): void {
    if (this.#owed.size === 0) this.#account = { bytes: 0, sinceMs: performance.now() }
    this.#owed.add(want)
    this.#told.add(want)
    this.#tell(want, { wantsBlock: true })
  }

  askWhether(want: OwnWant): void {
    this.#told.add(want)
    this.#tell(want, { wantsBlock: false })
  }

  /** The want has ended: nothing is to be sent any more. */
  cancel(want: OwnWant): void {
    this.#owed.delete(want)
    if (this.#told.delete(want)) this.#tell(want, { isCancel: true })
  }

  /** It has sent the block, or has said that it will not. */
  owesNot(want: OwnWant): void {
    this.#owed.delete(want)
  }

  /** All that it was asked, which it is not any more. */
  releaseAll(): OwnWant[] {
    const told = [...this.#told]
    this.#owed.clear()
    this.#told.clear()
    this.#said.clear()
    this.#outgoing.clear()
    this.#lastHadMs = -Infinity
    this.#lastBlockMs = -Infinity
    return told
  }

  delivered(bytes: number): void {
    const now = performance.now()
    const elapsedMs = Math.max(0.1, now - Math.max(this.#lastBlockMs, this.#account.sinceMs))
    this.#lastBlockMs = now
    this.#account.bytes += bytes
    this.#blockBytes = this.#blockBytes === 0 ? bytes : mixed(this.#blockBytes, bytes)
    // Many blocks come in one message: the time of a message is that of its first, so the sums are averaged, not the rates.
    this.#sumBytes = this.#sumBytes * (1 - SHARE / 4) + bytes
    this.#sumMs = this.#sumMs * (1 - SHARE / 4) + elapsedMs
    this.#bytesPerMs = this.#sumBytes / this.#sumMs
  }

  #sumBytes = 0
  #sumMs = 0

  progressed(): void {
    this.#lastBytesMs = performance.now()
  }

  had(): void {
    this.#lastHadMs = performance.now()
  }

  /** It owes blocks and sends none: it leads no longer. True where that is worth saying again. */
  stalled(): boolean {
    const now = performance.now()
    this.#lastHadMs = -Infinity
    this.#lastBlockMs = -Infinity
    this.#lastBytesMs = -Infinity
    if (now - this.#stalledMs < REPORT_EVERY_MS) return false
    this.#stalledMs = now
    return true
  }

  /** What it has sent since it began to owe something. */
  takeAccount(): { bytes: number; durationMs: number } {
    const { bytes, sinceMs } = this.#account
    const now = performance.now()
    this.#account = { bytes: 0, sinceMs: now }
    return { bytes, durationMs: Math.round(now - sinceMs) }
  }

  /** It sent what nobody wants. True where that has become too much. */
  unwanted(bytes: number, mostBytes: number, everyMs: number): boolean {
    this.#unwantedBytes += bytes
    const now = performance.now()
    if (this.#unwantedBytes < mostBytes || now - this.#reportedMs < everyMs) return false
    this.#unwantedBytes = 0
    this.#reportedMs = now
    return true
  }

  stop(): void {
    this.#gone.abort(new Error('the peer is gone'))
  }

  #tell(want: OwnWant, { wantsBlock = true, isCancel = false }: Partial<WantEntry>): void {
    const { key, cid } = want
    this.#outgoing.delete(key)
    // What has not been said need not be taken back.
    if (isCancel && !this.#said.delete(key)) return
    this.#outgoing.set(key, { cid, priority: 1, isCancel, wantsBlock, sendDontHave: !isCancel })
    this.#sender.wake()
  }

  #next(): Outgoing | undefined {
    const entries = [...this.#outgoing].slice(0, WANTS_PER_MESSAGE)
    if (entries.length === 0) return undefined
    for (const [key, { isCancel }] of entries) {
      this.#outgoing.delete(key)
      if (!isCancel) this.#said.add(key)
    }
    const message = new MessageBuilder()
    // What has become private since is not asked for, nor taken back.
    message.wants(entries.map(([, entry]) => entry).filter(({ cid }) => !this.#init.isPrivate(cid)))
    return {
      message: message.finish(),
      settle: (isSent) => {
        if (isSent || this.#gone.signal.aborted) return
        // Before what has been said since, which may take it back.
        const since = [...this.#outgoing]
        this.#outgoing.clear()
        for (const [key, entry] of [...entries, ...since]) this.#outgoing.set(key, entry)
      },
    }
  }
}

function mixed(average: number, value: number): number {
  return average * (1 - SHARE) + value * SHARE
}
