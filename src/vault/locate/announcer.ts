import type { Libp2p } from '@libp2p/interface'
import type { Datastore } from 'interface-datastore'
import { Key } from 'interface-datastore'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import { Wakeup } from '../../../protocols/shared/wakeup.ts'
import { unlessAborted } from '../../../protocols/shared/unless-aborted.ts'
import { wait } from '../../jobs/async.ts'
import type { Logger } from '../../telemetry/types.ts'
import { groupCid, slabKeyOf } from '../../../protocols/chunk/format/index.ts'

import {
  MAX_PROVIDE_REST_MS,
  MAX_QUEUED_GROUPS,
  MIN_PROVIDE_REST_MS,
  PROVIDE_TIMEOUT_MS,
  REPROVIDE_INTERVAL_MS,
  ROUND_PAGE_GROUPS,
} from './limits.ts'

export interface AnnouncerOptions {
  libp2p: Pick<Libp2p, 'contentRouting' | 'getPeers' | 'addEventListener' | 'removeEventListener'>
  /** Whether the DHT knows anybody to tell. */
  hasRoutes: () => boolean
  /** Ids of groups of which something is held here, ascending, after `after`, at most `limit`. */
  listGroups: (after: SlabId | undefined, limit: number) => SlabId[]
  /** Where the round's place is kept over restarts. */
  datastore: Pick<Datastore, 'get' | 'put'>
  log: Logger
  /** Wall clock in milliseconds; other than the default only in tests. */
  now?: () => number
  reprovideIntervalMs?: number
}

/** What is kept: a restart within a round goes on, and one between rounds waits for the next. */
interface Place {
  roundStartedMs: number
  /** Hex of the last group of the round that was announced; null: the round is over. */
  after: string | null
  /** Groups that waited when the node stopped; null while it runs, so that after a crash a new round finds them. */
  waiting: string[] | null
}

const NEW_ROUND: Place = { roundStartedMs: 0, after: '', waiting: null }
const PLACE_KEY = new Key('/p2pnode/vault/announcements')
/** How often it is looked whether somebody is connected again. */
const CONNECTION_POLL_MS = 1_000

/**
 * Tells the DHT of which groups this node holds something: new ones soon, all of them in rounds before their records
 * expire. One at a time, paced, and only while somebody is connected. What is held is paged through and never kept here.
 */
export class Announcer {
  readonly #options: AnnouncerOptions
  readonly #intervalMs: number
  readonly #queue = new Map<string, SlabId>()
  readonly #stop = new AbortController()
  readonly #wakeup = new Wakeup()
  #place: Place = { roundStartedMs: 0, after: null, waiting: null }
  /** What comes next in the round. */
  #page: SlabId[] = []
  #running: Promise<void> | undefined

  constructor(options: AnnouncerOptions) {
    this.#options = options
    this.#intervalMs = options.reprovideIntervalMs ?? REPROVIDE_INTERVAL_MS
  }

  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      this.#options.log.error({ error: String(error) }, 'groups are not announced any more')
    })
  }

  announce(group: SlabId): void {
    const key = slabKeyOf(group)
    this.#queue.set(key, group)
    if (this.#queue.size > MAX_QUEUED_GROUPS) {
      // More than is worth remembering one by one: a round finds them all.
      this.#queue.clear()
      this.#page = []
      this.#place = NEW_ROUND
    }
    this.#wakeup.notify()
  }

  withdraw(group: SlabId): void {
    this.#queue.delete(slabKeyOf(group))
    // kad-dht announces again by itself what it once was told to, unless it is told to stop.
    this.#options.libp2p.contentRouting.cancelReprovide(groupCid(group)).catch((error: unknown) => {
      this.#options.log.debug({ error: String(error) }, 'a group could not be withdrawn from the DHT')
    })
  }

  /** Groups that wait for their announcement. */
  get waiting(): number {
    return this.#queue.size
  }

  async stop(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    this.#wakeup.notify()
    if (this.#running === undefined) return
    await this.#running
    await this.#keep({ ...this.#place, waiting: [...this.#queue.keys()] })
  }

  async #run(): Promise<void> {
    await this.#restore()
    const { signal } = this.#stop
    while (!signal.aborted) {
      const next = this.#next()
      if (next === undefined) {
        await this.#idle()
        continue
      }
      if (!this.#options.hasRoutes() || this.#options.libp2p.getPeers().length === 0) {
        await wait(CONNECTION_POLL_MS, signal)
        continue
      }
      next.take()
      const startedMs = performance.now()
      await this.#provide(next.group)
      const tookMs = performance.now() - startedMs
      await wait(Math.min(MAX_PROVIDE_REST_MS, Math.max(MIN_PROVIDE_REST_MS, tookMs)), signal)
    }
  }

  async #idle(): Promise<void> {
    const dueMs = this.#place.roundStartedMs + this.#intervalMs - this.#now()
    const signal = AbortSignal.any([
      this.#stop.signal,
      AbortSignal.timeout(Math.max(1, Math.min(dueMs, 2 ** 31 - 1))),
    ])
    await this.#wakeup.wait(signal).catch(() => {})
  }

  /** New groups first; then the round's next one, when there is a round. */
  #next(): { group: SlabId; take: () => void } | undefined {
    const [first] = this.#queue
    if (first !== undefined) return { group: first[1], take: () => this.#queue.delete(first[0]) }
    if (this.#place.after === null) {
      if (this.#now() < this.#place.roundStartedMs + this.#intervalMs) return undefined
      this.#place = { roundStartedMs: this.#now(), after: '', waiting: null }
    }
    const group = this.#nextOfRound()
    if (group === undefined) return undefined
    return {
      group,
      take: () => {
        this.#page.shift()
        this.#place = { ...this.#place, after: slabKeyOf(group) }
      },
    }
  }

  #nextOfRound(): SlabId | undefined {
    const { after, roundStartedMs } = this.#place
    if (this.#page.length === 0) {
      const from = after === null || after === '' ? undefined : Buffer.from(after, 'hex')
      this.#page = this.#options.listGroups(from, ROUND_PAGE_GROUPS)
    }
    const [group] = this.#page
    if (group === undefined) {
      this.#place = {
        roundStartedMs: roundStartedMs === 0 ? this.#now() : roundStartedMs,
        after: null,
        waiting: null,
      }
      void this.#keep(this.#place)
    }
    return group
  }

  async #provide(group: SlabId): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(PROVIDE_TIMEOUT_MS)])
    try {
      await unlessAborted(this.#options.libp2p.contentRouting.provide(groupCid(group), { signal }), signal)
    } catch (error) {
      // Whoever searches asks connected peers and their neighbours too; the next round tries again.
      this.#options.log.debug(
        { group: slabKeyOf(group), error: String(error) },
        'a group could not be announced',
      )
    }
  }

  async #restore(): Promise<void> {
    const kept = await this.#kept()
    if (kept === undefined || kept.waiting === null) {
      // Never run, or crashed: what waited then is found by a new round.
      this.#place = NEW_ROUND
    } else {
      // A clock that was set back must not put the next round off.
      this.#place = { ...kept, roundStartedMs: Math.min(kept.roundStartedMs, this.#now()), waiting: null }
      for (const key of kept.waiting) this.#queue.set(key, Buffer.from(key, 'hex'))
    }
    await this.#keep(this.#place)
  }

  async #kept(): Promise<Place | undefined> {
    try {
      return JSON.parse(Buffer.from(await this.#options.datastore.get(PLACE_KEY)).toString()) as Place
    } catch {
      return undefined
    }
  }

  async #keep(place: Place): Promise<void> {
    try {
      await this.#options.datastore.put(PLACE_KEY, Buffer.from(JSON.stringify(place)))
    } catch (error) {
      this.#options.log.debug({ error: String(error) }, 'the place of the announcements could not be kept')
    }
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }
}
