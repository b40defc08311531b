import type { PeerId } from '@libp2p/interface'
import { LRUCache } from 'lru-cache'
import type { Capacity, Chunk } from '../../../protocols/chunk/types.ts'
import {
  CAPACITY_FRESH_MS,
  CAPACITY_REMEMBERED,
  CAPACITY_SILENT_MS,
  CAPACITY_STALE_MS,
  CAPACITY_TIMEOUT_MS,
  SURVEY_CONCURRENCY,
} from './limits.ts'

interface Answer {
  capacity: Capacity
  atMs: number
}

/** What connected peers offer, asked again when it is older than a few seconds. */
export class Survey {
  readonly #chunk: Pick<Chunk, 'peers' | 'capacity'>
  readonly #answers = new LRUCache<string, Answer>({ max: CAPACITY_REMEMBERED })
  readonly #asking = new Map<string, Promise<Capacity | undefined>>()
  /** How often a peer has not answered since it last did, and until when nobody waits for it; it is asked all the same. */
  readonly #silent = new LRUCache<string, { times: number; untilMs: number }>({ max: CAPACITY_REMEMBERED })

  constructor(chunk: Pick<Chunk, 'peers' | 'capacity'>) {
    this.#chunk = chunk
  }

  /** Every connected peer with its answer; undefined: it gave none in time. */
  async all(signal: AbortSignal): Promise<{ peer: PeerId; capacity: Capacity | undefined }[]> {
    const peers = this.#chunk.peers()
    const results: { peer: PeerId; capacity: Capacity | undefined }[] = []
    const queue = peers.values()
    const work = async (): Promise<void> => {
      for (const peer of queue) {
        signal.throwIfAborted()
        results.push({ peer, capacity: await this.#of(peer) })
      }
    }
    await Promise.all(Array.from({ length: Math.min(SURVEY_CONCURRENCY, peers.length) }, work))
    signal.throwIfAborted()
    return results
  }

  /** One question a peer at a time, whoever wants to know; not bound to any one asker's signal. */
  #of(peer: PeerId): Promise<Capacity | undefined> {
    const name = peer.toString()
    const known = this.#answers.get(name)
    if (known !== undefined && performance.now() - known.atMs < CAPACITY_FRESH_MS)
      return Promise.resolve(known.capacity)
    const asking = this.#asking.get(name) ?? this.#ask(peer, name).finally(() => this.#asking.delete(name))
    this.#asking.set(name, asking)
    const silent = this.#silent.get(name)
    // Once may be a machine that is busy: whoever needs just this peer asks again.
    const isSilent = silent !== undefined && silent.times > 1 && performance.now() < silent.untilMs
    return isSilent ? Promise.resolve(this.#stale(name)) : asking
  }

  async #ask(peer: PeerId, name: string): Promise<Capacity | undefined> {
    try {
      const capacity = await this.#chunk.capacity(peer, AbortSignal.timeout(CAPACITY_TIMEOUT_MS))
      this.#answers.set(name, { capacity, atMs: performance.now() })
      this.#silent.delete(name)
      return capacity
    } catch {
      const times = (this.#silent.get(name)?.times ?? 0) + 1
      this.#silent.set(name, { times, untilMs: performance.now() + CAPACITY_SILENT_MS })
      return this.#stale(name)
    }
  }

  #stale(name: string): Capacity | undefined {
    const known = this.#answers.get(name)
    return known !== undefined && performance.now() - known.atMs < CAPACITY_STALE_MS
      ? known.capacity
      : undefined
  }
}
