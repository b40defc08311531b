import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import { P2pnodeError } from '../shared/errors.ts'
import type { Item } from './frontier.ts'
import { Intake } from './intake.ts'
import { MAX_ACTIVE_SOURCES, MAX_ATTEMPTS_PER_PEER, MIN_PROGRESS_BYTES, RETRY_AFTER_MS } from './limits.ts'
import { Source, type SourceListener } from './source.ts'
import type { StreamPool } from './stream-pool.ts'
import type { FetchDagOptions, FetchStatistics, SourceOutcome } from './types.ts'

/** A fetch that takes longer is worth every source, whatever was thought of its size. */
const NARROW_MS = 2_000

export interface SourceSetInit {
  root: CID
  options: Pick<FetchDagOptions, 'sources' | 'sourceCount' | 'onSource'>
  pool: StreamPool
  trust: Policy & Evidence
  log: Logger
  statistics: FetchStatistics['sources']
  /** What there is to fetch, once it is known. */
  knownBytes: () => number | undefined
  /** Aborted when the fetch ends. */
  signal: AbortSignal
  listener: SourceListener
  /** A source has come or gone, or no more will come. */
  onChange: () => void
  /** The iterable of peers failed. */
  onError: (error: unknown) => void
}

/** The sources of one fetch: taken on as they become known, up to a bound; tried again when they are lost. */
export class SourceSet {
  readonly #init: SourceSetInit
  readonly #intake: Intake
  readonly #sources = new Set<Source>()
  readonly #attempts = new Map<string, number>()
  /** Those that gave way to others: asked again for what nobody else has. As bounded as the peers that are offered. */
  #benched: PeerId[] = []
  #connecting = 0
  #retrying = 0
  #nextOrder = 0
  readonly #startedMs = performance.now()
  /** Something did not go as it should: as many sources are used as there may be. */
  #isWide = false
  /** Data that had come from the active sources when there was progress last. */
  #progressBytes = 0

  constructor(init: SourceSetInit) {
    this.#init = init
    this.#intake = new Intake(init.options.sources, init.signal, init.onChange)
    void this.#intake.run(init.onError)
  }

  get active(): Source[] {
    return [...this.#sources]
  }

  /** False where those that are active are all that there will ever be. */
  get mayComeMore(): boolean {
    return !this.#intake.isExhausted || this.#connecting + this.#retrying > 0
  }

  /**
   * Whether as much data as counts has come since the last time that it had. Over a slow or limited connection a block may
   * take longer than a stall.
   */
  hasProgressed(): boolean {
    const dataBytes = this.active.reduce((sum, { stream }) => sum + stream.dataBytes, 0)
    // Less than before where a source was lost.
    this.#progressBytes = Math.min(this.#progressBytes, dataBytes)
    if (dataBytes - this.#progressBytes < MIN_PROGRESS_BYTES) return false
    this.#progressBytes = dataBytes
    return true
  }

  /** Takes on what has become known, up to the bound. */
  engage(): void {
    const most = this.#mostActive()
    while (this.#sources.size + this.#connecting < most) {
      const peer = this.#intake.take()
      if (peer === undefined) return
      void this.#connect(peer)
    }
  }

  /**
   * None of those that are used has this: makes one that has nothing to do give way to one that was not asked for it yet.
   * @returns whether there is such a one, now or as soon as there is room
   */
  replaceFor({ missedBy }: Item): boolean {
    // Whoever is on the way may have it.
    if (this.#connecting > 0) return true
    this.#isWide = true
    const isWaiting = this.#intake.hasWaiting
    const next = isWaiting ? undefined : this.#benched.find((peer) => missedBy?.has(peer.toString()) !== true)
    if (!isWaiting && next === undefined) return false
    if (this.#sources.size >= MAX_ACTIVE_SOURCES) {
      const idle = [...this.#sources].filter(({ outstanding }) => outstanding === 0)
      const least = idle.sort((a, b) => a.receivedBytes - b.receivedBytes)[0]
      if (least === undefined) return true
      this.#bench(least)
    }
    if (next !== undefined) {
      this.#benched = this.#benched.filter((peer) => peer !== next)
      void this.#connect(next)
    }
    this.#init.onChange()
    return true
  }

  #mostActive(): number {
    const { options, knownBytes } = this.#init
    const { sourceCount } = options
    if (sourceCount === undefined || this.#isWide || performance.now() - this.#startedMs > NARROW_MS)
      return MAX_ACTIVE_SOURCES
    return Math.min(MAX_ACTIVE_SOURCES, Math.max(1, sourceCount(knownBytes())))
  }

  #bench(source: Source): void {
    this.#sources.delete(source)
    this.#reportEnd(source, null)
    this.#init.pool.release(source.peer, source.stream)
    this.#attempts.delete(source.name)
    this.#benched.push(source.peer)
  }

  lost(source: Source, error: Error): void {
    if (this.#init.signal.aborted || !this.#sources.delete(source)) return
    source.statistics.failures += 1
    this.#isWide = true
    const isLie = error instanceof P2pnodeError && error.kind === 'verification'
    this.#reportEnd(source, isLie ? 'invalid' : 'failed')
    this.#init.log.debug({ peer: source.name, error: error.message }, 'a source was lost')
    // A connection may break and a node restart; who lies or breaks rules is not asked again.
    if (error instanceof P2pnodeError && error.code === 'ERR_STREAM_FAILED') this.#retryLater(source.peer)
    this.#init.onChange()
  }

  /** The fetch has ended: gives the streams back. */
  dismiss(): void {
    for (const source of this.#sources) {
      this.#reportEnd(source, null)
      this.#init.pool.release(source.peer, source.stream)
    }
    this.#sources.clear()
  }

  async #connect(peer: PeerId): Promise<void> {
    const { pool, trust, root, statistics, signal, listener, options, log } = this.#init
    const order = this.#nextOrder++
    const name = peer.toString()
    const attempts = (this.#attempts.get(name) ?? 0) + 1
    const isUsed = [...this.#sources].some((source) => source.name === name)
    if (isUsed || attempts > MAX_ATTEMPTS_PER_PEER) return
    if (!trust.decide(name, 'fetch', { cid: root.toString() }).allowed) return
    this.#attempts.set(name, attempts)
    this.#connecting += 1
    try {
      const stream = await pool.acquire(peer, signal)
      if (signal.aborted) {
        pool.release(peer, stream)
        return
      }
      const counts = statistics[name] ?? { blocks: 0, bytes: 0, failures: 0 }
      statistics[name] = counts
      this.#sources.add(new Source({ peer, stream, order, statistics: counts, listener }))
    } catch (error) {
      this.#isWide = true
      if (!signal.aborted) options.onSource?.({ ...NOTHING, peer, lost: 'failed' })
      log.debug({ peer: name, error: String(error) }, 'a source could not be reached')
    } finally {
      this.#connecting -= 1
      this.#init.onChange()
    }
  }

  #retryLater(peer: PeerId): void {
    const attempts = this.#attempts.get(peer.toString()) ?? 0
    if (attempts >= MAX_ATTEMPTS_PER_PEER) return
    this.#retrying += 1
    const retry = (): void => {
      this.#retrying -= 1
      if (this.#init.signal.aborted) return
      void this.#connect(peer)
      this.#init.onChange()
    }
    setTimeout(retry, RETRY_AFTER_MS * attempts).unref()
  }

  #reportEnd(source: Source, lost: SourceOutcome['lost']): void {
    const { peer, receivedBlocks: blocks, receivedBytes: bytes, missedBlocks: missing, latencyMs } = source
    this.#init.options.onSource?.({
      peer,
      blocks,
      bytes,
      missing,
      lost,
      transferMs: source.busyMs,
      latencyMs,
    })
    if (bytes === 0) return
    const durationMs = Math.round(performance.now() - source.startedMs)
    this.#init.trust.report(source.name, 'transfer-served', { bytes, durationMs })
  }
}

const NOTHING = { blocks: 0, bytes: 0, missing: 0, transferMs: 0, latencyMs: null }
