import { setTimeout as sleep } from 'node:timers/promises'
import { ChunkStatus } from '../../../protocols/chunk/errors.ts'
import { signLease, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Chunk } from '../../../protocols/chunk/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Evidence } from '../../trust/contract.ts'
import type { Locator } from '../contracts.ts'
import { findHolders } from './find-holders.ts'
import { isPromised } from './receipts.ts'
import {
  MAX_RENEWAL_RETRY_MS,
  MAX_RENEWAL_SLEEP_MS,
  MIN_RENEWAL_SLEEP_MS,
  RENEW_PART,
  RENEWAL_ALONE_MS,
  RENEWAL_PAGE_SLABS,
  RENEWAL_RETRY_PART,
} from './limits.ts'
import { type Addressed, nextSequence, signerOf, tellHolders } from './statements.ts'
import type { OwnerSlab, OwnerState } from './state.ts'

export interface RenewerOptions {
  state: OwnerState
  ownerSecret: () => Uint8Array
  networkName: string
  leaseMs: number
  chunk: Pick<Chunk, 'peers' | 'renew'>
  locator: Pick<Locator, 'holders'>
  trust: Evidence
  log: Logger
}

interface Told {
  slab: OwnerSlab
  /** The number of the new lease. */
  sequence: number
  /** Peers that took the new lease. */
  told: Set<string>
  /** Columns that took it, of those that are known to be held. */
  renewed: Set<number>
  /** Holders that could not be reached, or did not take it. */
  late: number
}

/**
 * Renews leases while the node runs: each slab at one third of its lease, with the next number, at all of its holders,
 * those too that repair has chosen since. Where some cannot be reached it tries again a little later; the old lease
 * holds on meanwhile.
 */
export class Renewer {
  readonly #options: RenewerOptions
  readonly #stop = new AbortController()
  /** Aborted to end a sleep: there may be something to do. */
  #wake = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: RenewerOptions) {
    this.#options = options
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the node stops'))
    this.#wake.abort()
    await this.#running
  }

  /** Leases were added or changed. */
  wake(): void {
    this.#wake.abort()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      this.#wake = new AbortController()
      try {
        await this.#renewDue(signal)
      } catch (error) {
        if (signal.aborted) return
        this.#options.log.warn({ err: error }, 'leases could not be renewed; trying again')
      }
      await sleep(this.#sleepMs(), undefined, { signal: this.#wake.signal }).catch(() => {})
      // Bursts of changes make one look.
      await sleep(MIN_RENEWAL_SLEEP_MS, undefined, { signal }).catch(() => {})
    }
  }

  #sleepMs(): number {
    const nextMs = this.#options.state.nextRenewalMs()
    if (nextMs === undefined) return MAX_RENEWAL_SLEEP_MS
    if (this.#options.chunk.peers().length === 0) return RENEWAL_ALONE_MS
    return Math.min(MAX_RENEWAL_SLEEP_MS, Math.max(MIN_RENEWAL_SLEEP_MS, nextMs - Date.now()))
  }

  async #renewDue(signal: AbortSignal): Promise<void> {
    while (this.#options.chunk.peers().length > 0) {
      const due = this.#options.state.due(Date.now()).slice(0, RENEWAL_PAGE_SLABS)
      if (due.length === 0) return
      await this.#renew(due, signal)
    }
  }

  async #renew(slabs: readonly OwnerSlab[], signal: AbortSignal): Promise<void> {
    const { state, leaseMs, log } = this.#options
    const nowMs = Date.now()
    const untilMs = nowMs + leaseMs
    // Durable before the first holder hears of it: no two leases ever have one number.
    const told = await state.database.write(() =>
      slabs.map((slab): Told => {
        // As it is now: the job that completes a slab gives out numbers too.
        const last = state.slab(slab.id)?.leaseSequence ?? slab.leaseSequence
        const sequence = nextSequence(last, nowMs)
        state.setRenewal(slab.id, { sequence, renewMs: nowMs + leaseMs * RENEWAL_RETRY_PART })
        return { slab, sequence, told: new Set(), renewed: new Set(), late: 0 }
      }),
    )
    await this.#tell(told, untilMs, signal)
    const short = told.filter(({ slab, renewed }) => renewed.size < slab.n).map(({ slab }) => slab)
    if (short.length > 0) {
      // The search connects to holders that were known, too, and finds nobody new among them.
      await findHolders(this.#options, short, signal)
      await this.#tell(told, untilMs, signal)
    }
    const soonMs = Math.min(MAX_RENEWAL_RETRY_MS, leaseMs * RENEWAL_RETRY_PART)
    await state.database.write(() => {
      for (const { slab, sequence, renewed, late } of told) {
        // It counts once as many columns have it as it takes to read.
        if (renewed.size < slab.k) {
          state.setRenewal(slab.id, { sequence, renewMs: nowMs + soonMs })
          continue
        }
        const part = late > 0 ? RENEWAL_RETRY_PART : RENEW_PART
        const renewMs = nowMs + leaseMs * part
        state.setLease(slab.id, { untilMs, sequence, renewMs })
      }
    })
    const late = told.reduce((sum, each) => sum + each.late, 0)
    log.debug({ slabs: slabs.length, late }, 'renewed leases')
  }

  /** Tells all holders that have not taken the new lease yet. */
  async #tell(told: readonly Told[], untilMs: number, signal: AbortSignal): Promise<void> {
    const { state, ownerSecret, networkName, chunk, trust } = this.#options
    const nowMs = Date.now()
    const bySlab = new Map(told.map((each) => [each.slab, each]))
    const columns = new Map<Addressed, number | undefined>()
    for (const each of told) {
      each.late = 0
      const lease = { untilMs, sequence: each.sequence }
      const { signed } = signLease(signerOf(ownerSecret(), each.slab), networkName, lease)
      for (const { peer, column, receipt, gone, counts } of state.columnsOf(each.slab.id)) {
        if (receipt === null || gone || each.told.has(peer)) continue
        // What somebody merely claims is told too, but never stands in for a column that is known to be there.
        columns.set({ slab: each.slab, peer, signed }, counts ? column : undefined)
      }
    }
    const answers: { statement: Addressed; status: number | undefined }[] = []
    await tellHolders([...columns.keys()], {
      connected: chunk.peers(),
      send: (peer, signed, patience) => chunk.renew(peer, signed, patience),
      onAnswer: (statement, status) => answers.push({ statement, status }),
      signal,
    })
    state.database.writeRelaxed(() => {
      for (const { statement, status } of answers) {
        const { slab, peer } = statement
        const each = bySlab.get(slab)
        if (each === undefined) continue
        if (status === ChunkStatus.ok) {
          each.told.add(peer)
          const column = columns.get(statement)
          if (column !== undefined) each.renewed.add(column)
          state.setColumnLease(slab.id, peer, untilMs)
        } else if (status === ChunkStatus.notHeld) {
          // It says itself that it has it not: making it again is the holders' affair.
          const promised = state.columnsOf(slab.id).find((column) => column.peer === peer)
          state.setGone(slab.id, peer)
          if (promised !== undefined && isPromised(promised, nowMs))
            trust.report(peer, 'receipt-broken', {
              slab: slabKeyOf(slab.id),
              column: promised.column,
              reason: 'not-held',
            })
        } else each.late += 1
      }
    })
  }
}
