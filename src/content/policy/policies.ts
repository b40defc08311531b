import { CID } from 'multiformats/cid'
import type { Logger } from '../../telemetry/types.ts'
import type { AcquireParams } from '../jobs/acquire.ts'
import { Acquirer } from './acquirer.ts'
import { AutoPins, pinNameOf, settle } from './auto.ts'
import { Caretaker } from './caretaker.ts'
import { Copies } from './copies.ts'
import { dagSize } from '../read/dag-size.ts'
import { policyFull, policyNotFound } from './errors.ts'
import { EXPIRE_MAX_MS, EXPIRE_MIN_MS, MAX_ITEMS_PER_POLICY, MAX_POLICIES } from './limits.ts'
import type { PoliciesOptions, PolicyNetwork, RunningPolicies } from './index.ts'
import { Promises } from './promises.ts'
import { RecentReads } from './recent.ts'
import { checkedRule } from './rules.ts'
import { NO_POLICY, PolicyStore } from './store.ts'
import type { CopyReport, PolicyRecord, PolicyReport, PolicyRule, PolicyStatistics } from './types.ts'

/** What has expired and is let go of in one step. */
const EXPIRED_ROWS = 100
const MAX_COPY_ROWS = 1_000

export class NodePolicies implements RunningPolicies {
  readonly holder: Promises
  readonly #options: PoliciesOptions
  readonly #log: Logger
  readonly #now: () => number
  readonly #store: PolicyStore
  readonly #auto: AutoPins
  readonly #recent: RecentReads
  readonly #stop = new AbortController()
  /** One after another, so that two readings of the same do not pin it twice. */
  #work: Promise<void> = Promise.resolve()
  #policies: PolicyRecord[]
  #caretaker: Caretaker | undefined
  #copies: Copies | undefined
  #timer: NodeJS.Timeout | undefined
  #unlisten: (() => void) | undefined

  constructor(options: PoliciesOptions) {
    const { config, state, storage, jobs, trust } = options
    this.#options = options
    this.#log = options.log.child({ part: 'policy' })
    this.#now = options.now ?? Date.now
    this.#store = new PolicyStore(state)
    this.#policies = this.#store.policies()
    const shared = {
      store: this.#store,
      pins: storage.pins,
      policies: () => this.#policies,
      log: this.#log,
      now: this.#now,
      signal: this.#stop.signal,
      onChanged: () => this.#expireSoon(),
      trust,
      acquirer: new Acquirer(jobs, storage.blocks),
    }
    this.#auto = new AutoPins({ ...shared, autoFetch: config.autoFetch })
    this.#recent = new RecentReads(shared)
    this.holder = new Promises({ ...shared, state, config })
  }

  start({ libp2p, keep, content }: PolicyNetwork): void {
    if (this.#caretaker !== undefined) return
    const { config, state, storage, trust, isPrivate } = this.#options
    const shared = { log: this.#log, now: this.#now, libp2p, signal: this.#stop.signal }
    this.#copies = new Copies({
      ...shared,
      config,
      keep,
      content,
      blocks: storage.blocks,
      state,
      trust,
      sizeOf: (cid, signal) => dagSize(storage.blocks, cid, signal),
    })
    this.#caretaker = new Caretaker({
      ...shared,
      copies: this.#copies,
      pins: storage.pins,
      policies: () => this.#policies,
      isPrivate: async (cid) => (await isPrivate?.(cid)) ?? false,
    })
    this.#caretaker.start()
    this.#unlisten = this.#options.announcements.onAnnouncement((heard) =>
      this.#queue('what was announced', () => this.#auto.consider(heard)),
    )
    this.#expireSoon()
  }

  async stop(): Promise<void> {
    this.#unlisten?.()
    clearTimeout(this.#timer)
    this.#stop.abort()
    await this.#caretaker?.stop()
    await this.#work
  }

  list(): PolicyReport[] {
    return this.#policies.map((record) => {
      if (record.rule.kind === 'copies') {
        const figures = this.#caretaker?.figures(record.rule.cid) ?? { items: 0, short: 0, promised: 0 }
        return { ...record, usedBytes: 0, ...figures }
      }
      const { items, bytes } = this.#store.use(record.id)
      return { ...record, items, usedBytes: bytes }
    })
  }

  async add(rule: PolicyRule): Promise<PolicyRecord> {
    const checked = checkedRule(rule)
    const nowMs = this.#now()
    const id = await this.#store.add(checked, nowMs)
    if (id === undefined) throw policyFull(MAX_POLICIES)
    const record = { id, rule: checked, createdAtMs: nowMs }
    this.#policies = [...this.#policies, record]
    this.#caretaker?.scan()
    return record
  }

  async remove(id: number, { signal }: { signal: AbortSignal }): Promise<PolicyRecord> {
    const record = this.#policies.find((policy) => policy.id === id)
    if (record === undefined) throw policyNotFound(id)
    await this.#store.remove(id)
    this.#policies = this.#policies.filter((policy) => policy.id !== id)
    this.#caretaker?.scan()
    // Ids are never used again: what a crash leaves of its items is found by nobody, and its pins are listed by name.
    for (const item of this.#store.items(id, MAX_ITEMS_PER_POLICY)) {
      signal.throwIfAborted()
      await this.#recent.letGo(item)
    }
    return record
  }

  copies({ limit = MAX_COPY_ROWS }: { limit?: number } = {}): CopyReport[] {
    const copies = this.#copies?.store.list(Math.min(limit, MAX_COPY_ROWS)) ?? []
    return copies.map(({ cid, peer, untilMs, provenMs }) => ({
      cid: cid.toString(),
      peer,
      untilMs,
      provenMs,
    }))
  }

  statistics(): PolicyStatistics {
    const { promises, bytes } = this.holder.use()
    return {
      promises,
      promisedBytes: bytes,
      copies: this.#copies?.store.count() ?? 0,
      shortRoots: this.#caretaker?.shortRoots ?? 0,
      ...(this.#copies?.counts ?? { lostCopies: 0, refusedAsks: 0 }),
    }
  }

  onRead(cid: CID, sizeBytes: number): void {
    if (this.#policies.some(({ rule }) => rule.kind === 'recent'))
      this.#queue('what was read', () => this.#recent.read(cid, sizeBytes))
  }

  onPinsChanged(): void {
    this.#caretaker?.scan()
  }

  onAcquired({ reason, cid, pin, peer }: AcquireParams): void {
    const policy = policyOf({ reason, pin })
    if (policy !== undefined) settle(this.#store, policy, CID.parse(cid), true)
    else this.#log.debug({ cid, peer }, 'what was promised is held')
  }

  onGivenUp({ reason, cid, pin, peer }: AcquireParams): void {
    const policy = policyOf({ reason, pin })
    if (policy !== undefined) settle(this.#store, policy, CID.parse(cid), false)
    // What cannot be had cannot be kept: the asker is told at its next probe, and finds another.
    else this.#queue('a promise that could not be kept', () => this.holder.end(CID.parse(cid), peer))
  }

  /** Waits for its turn; what fails is logged. Announcements and readings are bounded where they come from. */
  #queue(what: string, work: () => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (this.#stop.signal.aborted) return
      try {
        await work()
      } catch (error) {
        if (!this.#stop.signal.aborted)
          this.#log.warn({ err: error }, `${what}: policies could not be applied`)
      }
    })
  }

  #expireSoon(): void {
    clearTimeout(this.#timer)
    if (this.#stop.signal.aborted) return
    const nextMs = Math.min(this.#store.nextExpiryMs() ?? Infinity, this.holder.nextExpiryMs() ?? Infinity)
    if (!Number.isFinite(nextMs)) return
    const waitMs = Math.min(Math.max(nextMs - this.#now(), EXPIRE_MIN_MS), EXPIRE_MAX_MS)
    this.#timer = setTimeout(() => this.#queue('what has expired', () => this.#expire()), waitMs).unref()
  }

  async #expire(): Promise<void> {
    const nowMs = this.#now()
    try {
      for (const item of this.#store.expired(nowMs, EXPIRED_ROWS)) await this.#recent.letGo(item)
      for (const { cid, peer } of this.holder.expired(nowMs, EXPIRED_ROWS)) await this.holder.end(cid, peer)
    } finally {
      this.#expireSoon()
    }
  }
}

/** The policy on whose account a job fetches; undefined where it is a promise. */
function policyOf({ reason, pin }: Pick<AcquireParams, 'reason' | 'pin'>): number | undefined {
  if (reason === 'promise') return undefined
  if (pin === null) return NO_POLICY
  return Number(pin.slice(pinNameOf(0).length - 1))
}
