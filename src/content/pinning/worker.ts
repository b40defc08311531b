import { CID } from 'multiformats/cid'
import { FairSlots } from '../../../protocols/shared/fair-slots.ts'
import { wait } from '../../jobs/async.ts'
import type { JobRecord, Jobs } from '../../jobs/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { PrivateMark } from '../private/types.ts'
import {
  BUSY_RETRY_MS,
  FIRST_RETRY_MS,
  LONGEST_RETRY_MS,
  MAX_BEGUN,
  MAX_SLEEP_MS,
  ORIGIN_DIALS,
  ORIGINS_TIMEOUT_MS,
  PATIENCE_MS,
} from './limits.ts'
import type { PinRequestStore, StoredRequest } from './store.ts'

export interface PinWorkerOptions {
  store: PinRequestStore
  jobs: Pick<Jobs, 'submit' | 'get' | 'cancel' | 'onChange'>
  /** Connects to an origin; asks the policy by itself. */
  connect: (multiaddr: string, signal: AbortSignal) => Promise<unknown>
  isPrivate: PrivateMark['isPrivate']
  log: Logger
  now: () => number
  /** Other times than the usual ones, for tests. */
  patienceMs?: number
  firstRetryMs?: number
}

/** The name of the pin that a request leads to: no other pin has it, so that none is removed with another. */
export const pinNameOf = (id: string): string => `/pins/${id}`

/** What may be otherwise later. */
const PASSING: ReadonlySet<string> = new Set(['not-found', 'timeout', 'unavailable', 'busy'])

/**
 * Brings requests to their end, with a `pin` job for each try: such a job goes on by itself after a restart, and is seen and
 * cancelled like any other.
 */
export class PinWorker {
  readonly #options: PinWorkerOptions
  readonly #stop = new AbortController()
  readonly #dials = new FairSlots(ORIGIN_DIALS, ORIGIN_DIALS)
  /** Requests that are being begun or have a job, by their ids. */
  readonly #begun = new Set<string>()
  /** Requests by the job that works on them. */
  readonly #byJob = new Map<string, string>()
  /** What was last written of a request that has a job: why it waits. */
  readonly #shown = new Map<string, string | null>()
  /** The last thing that was done for a request: one after the other. */
  readonly #turns = new Map<string, Promise<void>>()
  #wake = new AbortController()
  #running: Promise<void> | undefined
  #unsubscribe: (() => void) | undefined

  constructor(options: PinWorkerOptions) {
    this.#options = options
  }

  /** Jobs must have been started: what they ended meanwhile is taken over. */
  start(): void {
    if (this.#running !== undefined) return
    const { store, jobs, now } = this.#options
    this.#unsubscribe = jobs.onChange((job) => this.#onJob(job))
    for (const request of store.unfinished()) {
      const job = request.job === null ? undefined : jobs.get(request.job)
      if (job === undefined) {
        if (request.nextMs === null) store.setNext(request.id, now())
        continue
      }
      this.#begun.add(request.id)
      this.#byJob.set(job.id, request.id)
      this.#onJob(job)
    }
    this.#running = this.#run()
  }

  /** Something may be due. */
  wake(): void {
    this.#wake.abort()
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.()
    this.#stop.abort(new Error('the node stops'))
    this.#wake.abort()
    await this.#running
    await Promise.allSettled(this.#turns.values())
  }

  /** Ends what is under way for a request, and begins nothing more for it. */
  async abandon(request: StoredRequest): Promise<void> {
    const { jobs, store } = this.#options
    store.setNext(request.id, null)
    const job = [...this.#byJob].find(([, id]) => id === request.id)?.[0]
    this.#forget(request.id)
    if (job !== undefined && jobs.get(job)?.endedAtMs === null) await jobs.cancel(job)
    this.wake()
  }

  async #run(): Promise<void> {
    const { store, now } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      this.#wake = new AbortController()
      const next = this.#begun.size < MAX_BEGUN ? store.next() : undefined
      const dueMs = next === undefined ? MAX_SLEEP_MS : next.nextMs - now()
      if (next === undefined || dueMs > 0) {
        await wait(Math.min(dueMs, MAX_SLEEP_MS), this.#wake.signal)
        continue
      }
      // Off the list of what is due: it is being begun.
      store.setNext(next.id, null)
      this.#begun.add(next.id)
      this.#inTurn(next.id, () => this.#begin(next.id))
    }
  }

  async #begin(id: string): Promise<void> {
    const { store, jobs, now, log } = this.#options
    const request = store.get(id)
    if (request === undefined) return this.#forget(id)
    await this.#dialOrigins(request)
    // It may have been removed meanwhile.
    if (this.#stop.signal.aborted || !this.#begun.has(id) || store.get(id) === undefined) return
    try {
      const params = { address: `/ipfs/${request.cid}`, name: pinNameOf(id), kind: 'recursive' }
      const job = await jobs.submit('pin', params)
      if (!this.#begun.has(id)) {
        await jobs.cancel(job.id)
        return
      }
      store.setJob(id, job.id)
      this.#byJob.set(job.id, id)
      const current = jobs.get(job.id)
      if (current !== undefined) this.#onJob(current)
    } catch (error) {
      log.debug({ id, error: String(error) }, 'a pin request could not be begun; trying again')
      this.#forget(id)
      store.setNext(id, now() + BUSY_RETRY_MS)
    }
  }

  /** Best effort, as the specification has it. Who would see what is asked for next must not learn of what is private. */
  async #dialOrigins({ cid, origins }: StoredRequest): Promise<void> {
    if (origins.length === 0 || this.#options.isPrivate(CID.parse(cid))) return
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ORIGINS_TIMEOUT_MS)])
    await Promise.all(
      origins.map(async (origin) => {
        try {
          await this.#dials.acquire('', signal)
        } catch {
          return
        }
        try {
          await this.#options.connect(origin, signal)
        } catch (error) {
          this.#options.log.debug({ origin, error: String(error) }, 'an origin could not be reached')
        } finally {
          this.#dials.release('')
        }
      }),
    )
  }

  #onJob(job: JobRecord): void {
    const id = this.#byJob.get(job.id)
    if (id === undefined) return
    if (job.endedAtMs === null) {
      // Progress comes often, and is not kept.
      const isNews = this.#shown.get(id) !== job.reason || !this.#shown.has(id)
      if (isNews && (job.state === 'running' || job.state === 'waiting')) {
        this.#shown.set(id, job.reason)
        this.#options.store.setPinning(id, job.reason)
      }
      return
    }
    this.#byJob.delete(job.id)
    this.#inTurn(id, async () => {
      try {
        await this.#ended(id, job)
      } finally {
        this.#forget(id)
        this.wake()
      }
    })
  }

  async #ended(id: string, job: JobRecord): Promise<void> {
    const { store, now, log, patienceMs = PATIENCE_MS, firstRetryMs = FIRST_RETRY_MS } = this.#options
    const request = store.get(id)
    if (request === undefined) return
    if (job.state === 'done') return store.setEnded(id, 'pinned', null)
    const reason = job.error?.message ?? `the job was ${job.state}`
    const mayPass = job.state === 'failed' && PASSING.has(job.error?.kind ?? '')
    if (!mayPass || now() - request.createdMs >= patienceMs) {
      log.info({ id, reason }, 'a pin request has failed')
      return store.setEnded(id, 'failed', reason)
    }
    const pauseMs = Math.min(LONGEST_RETRY_MS, firstRetryMs * 2 ** Math.max(0, request.tries - 1))
    store.setPinning(id, reason)
    store.setNext(id, now() + pauseMs)
  }

  #forget(id: string): void {
    this.#begun.delete(id)
    this.#shown.delete(id)
    for (const [job, request] of this.#byJob) if (request === id) this.#byJob.delete(job)
  }

  #inTurn(id: string, work: () => Promise<void>): void {
    const before = this.#turns.get(id) ?? Promise.resolve()
    const turn = before.then(work).catch((error: unknown) => {
      if (!this.#stop.signal.aborted)
        this.#options.log.warn({ id, error: String(error) }, 'a pin request could not be worked on')
    })
    this.#turns.set(id, turn)
    void turn.then(() => {
      if (this.#turns.get(id) === turn) this.#turns.delete(id)
    })
  }
}
