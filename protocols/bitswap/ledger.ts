import type { CID } from 'multiformats/cid'
import { forgetOldest } from '../shared/forget-oldest.ts'
import { MAX_REFUSALS_PER_PEER, MAX_WAITING_PER_PEER, MAX_WANTS_PER_PEER } from './limits.ts'
import type { WantEntry } from './message.ts'

/** Blocks are known by multihash: that of the CID as a text for maps. */
export function wantKey(cid: CID): string {
  return multihashKey(cid.multihash.bytes)
}

export function multihashKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** What a peer wants, kept apart from what it is asked. */
export interface Want {
  readonly key: string
  readonly cid: CID
  priority: number
  wantsBlock: boolean
  sendDontHave: boolean
}

/**
 * What one peer wants of this node, in three heaps: nobody has looked for it yet, it is here and to be sent, and it is not here. Names
 * alone: no block is loaded before its turn.
 */
export class Ledger {
  readonly #fresh = new Map<string, Want>()
  readonly #ready = new Map<string, Want>()
  readonly #waiting = new Map<string, Want>()
  readonly #refused = new Map<string, CID>()
  readonly #onForgotten: (want: Want) => void

  /** `onForgotten` hears of wants for what is not here that are kept no longer. */
  constructor(onForgotten: (want: Want) => void) {
    this.#onForgotten = onForgotten
  }

  get size(): number {
    return this.#fresh.size + this.#ready.size + this.#waiting.size
  }

  get isFull(): boolean {
    return this.size >= MAX_WANTS_PER_PEER
  }

  /** A want that is known already is changed where that asks for more. True where there is something to do. */
  change(key: string, entry: WantEntry): boolean {
    const known = this.#fresh.get(key) ?? this.#ready.get(key) ?? this.#waiting.get(key)
    if (known === undefined) return false
    known.priority = entry.priority
    known.wantsBlock ||= entry.wantsBlock
    known.sendDontHave ||= entry.sendDontHave
    // Whoever asks again may have forgotten the answer.
    if (this.#waiting.delete(key)) {
      this.#onForgotten(known)
      this.#fresh.set(key, known)
    }
    return true
  }

  add(key: string, { cid, priority, wantsBlock, sendDontHave }: WantEntry): void {
    this.#fresh.set(key, { key, cid, priority, wantsBlock, sendDontHave })
  }

  cancel(key: string): void {
    this.#fresh.delete(key)
    this.#ready.delete(key)
    this.#refused.delete(key)
    const waiting = this.#waiting.get(key)
    if (waiting === undefined) return
    this.#waiting.delete(key)
    this.#onForgotten(waiting)
  }

  /** There is no room for this one: all that is done is to say so. */
  refuse(key: string, cid: CID): void {
    forgetOldest(this.#refused, MAX_REFUSALS_PER_PEER)
    this.#refused.set(key, cid)
  }

  takeRefused(count: number): CID[] {
    return taken(this.#refused, count)
  }

  /** In the order in which they came, or where the peer says so, in that of their priorities. */
  takeFresh(count: number): Want[] {
    return taken(this.#fresh, count).toSorted((one, other) => other.priority - one.priority)
  }

  ready(want: Want): void {
    this.#ready.set(want.key, want)
  }

  takeReady(): Want | undefined {
    return taken(this.#ready, 1)[0]
  }

  /** Of those that were taken: to be sent again, before all others. */
  putBack(wants: readonly Want[]): void {
    const others = [...this.#ready]
    this.#ready.clear()
    for (const want of wants) this.#ready.set(want.key, want)
    for (const [key, want] of others) this.#ready.set(key, want)
  }

  wait(want: Want): void {
    if (this.#waiting.size >= MAX_WAITING_PER_PEER) {
      const [oldest] = taken(this.#waiting, 1)
      if (oldest !== undefined) this.#onForgotten(oldest)
    }
    this.#waiting.set(want.key, want)
  }

  /** The block has come. */
  arrived(key: string): void {
    const want = this.#waiting.get(key)
    if (want === undefined) return
    this.#waiting.delete(key)
    this.#fresh.set(key, want)
  }

  clear(): void {
    for (const want of this.#waiting.values()) this.#onForgotten(want)
    for (const heap of [this.#fresh, this.#ready, this.#waiting, this.#refused]) heap.clear()
  }
}

function taken<Value>(heap: Map<string, Value>, count: number): Value[] {
  const values: Value[] = []
  for (const [key, value] of heap) {
    if (values.length >= count) break
    heap.delete(key)
    values.push(value)
  }
  return values
}
