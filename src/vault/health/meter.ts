import { sameBytes, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, SlabId, SlabIndex } from '../../../protocols/chunk/types.ts'
import { parseLink } from '../codec/index.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Evidence } from '../../trust/contract.ts'
import type { ColumnAt, Locator, Manifests } from '../contracts.ts'
import { Slots } from '../locate/slots.ts'
import type { ByteRate } from '../restore/byte-rate.ts'
import { forEachBounded } from '../restore/pool.ts'
import { Prover, verdictOf } from '../restore/prove.ts'
import { columnsSaid } from '../restore/rules.ts'
import type { Health, Redundancy, SlabHealth } from '../types.ts'
import {
  CONCURRENT_AUDITS,
  CONCURRENT_SLABS,
  INDEX_TIMEOUT_MS,
  LIVE_INTERVALS,
  LOCATE_TIMEOUT_MS,
  MAX_CLAIMERS_PER_SLAB,
} from './limits.ts'
import type { ProofChange, ProofStore } from './proofs.ts'
import { slabHealth, stateOf } from './state.ts'

export interface HealthMeterOptions {
  /** With `withLocalHolder` around it, columns that this node holds itself are proven too. */
  chunk: Pick<Chunk, 'index' | 'audit' | 'peers'>
  locator: Pick<Locator, 'holders'>
  manifests: Manifests
  proofs: ProofStore
  trust: Evidence
  /** `vault.audit.interval`. */
  intervalMs: number
  rate: ByteRate
  log: Logger
  /** Wall clock; other than the default only in tests. */
  now?: () => number
}

export interface MeasureOptions {
  signal: AbortSignal
  /** Proofs older than this are renewed; 0: all. */
  maxAgeMs: number
  /** Only what is proven from now on counts. */
  isFresh?: boolean
  bytesPerSecond: number
  /** Shared by those who keep to the rate together; by default by all who ask. */
  rate?: ByteRate
}

/** One group of slabs that are to be measured. */
export interface MeasuredGroup {
  group: SlabId
  slabs: readonly { slab: SlabId; redundancy: Redundancy; index?: SlabIndex }[]
  hints: readonly string[]
}

/** Measures what is there by having it proven: random leaves of columns, as few as the age of the last proofs allows. */
export class HealthMeter {
  readonly #options: HealthMeterOptions
  readonly #audits = new Slots(CONCURRENT_AUDITS)

  constructor(options: HealthMeterOptions) {
    this.#options = options
  }

  /**
   * The measured health of what a link (of either power) leads to, its manifest included.
   *
   * @throws ERR_LINK_INVALID, ERR_LINK_CHECKSUM, ERR_VAULT_NOT_FOUND, ERR_VAULT_INVALID, the signal's reason
   */
  async ofLink(link: string, options: MeasureOptions): Promise<Health> {
    const { index, map, hints } = await this.#options.manifests.open(parseLink(link), options.signal)
    const redundancy = { k: index.k, n: index.n }
    const manifest = { group: index.slab, slabs: [{ slab: index.slab, redundancy, index }], hints }
    const data = map.groups.map(({ id, slabs }) => ({
      group: id,
      slabs: slabs.map((slab) => ({ slab, redundancy: map.redundancy })),
      hints,
    }))
    return this.ofGroups([manifest, ...data], options)
  }

  async ofGroups(groups: readonly MeasuredGroup[], options: MeasureOptions): Promise<Health> {
    const slabs: SlabHealth[] = []
    for (const group of groups) {
      if (group.slabs.length > 0) slabs.push(...(await this.#ofGroup(group, options)))
    }
    return { state: stateOf(slabs), slabs }
  }

  async #ofGroup(group: MeasuredGroup, options: MeasureOptions): Promise<SlabHealth[]> {
    const { proofs, intervalMs } = this.#options
    const { signal, maxAgeMs, isFresh = false } = options
    const startedMs = this.#now()
    const stale = group.slabs.filter(
      ({ slab, redundancy }) => !this.#isKnown(slab, redundancy.n, startedMs - maxAgeMs),
    )
    if (stale.length > 0) {
      const said = await this.#locate(group, stale, signal)
      await forEachBounded(stale, CONCURRENT_SLABS, async (slab) => {
        await this.#auditSlab(slab, said.get(slabKeyOf(slab.slab)) ?? [], startedMs - maxAgeMs, options)
      })
      signal.throwIfAborted()
    }
    const sinceMs = isFresh ? startedMs : startedMs - LIVE_INTERVALS * intervalMs
    return group.slabs.map(({ slab, redundancy: { k, n } }) =>
      slabHealth({ id: slabKeyOf(slab), k, n, proofs: proofs.ofSlab(slab) }, sinceMs),
    )
  }

  /** Whether every column was proven at `sinceMs` or later. */
  #isKnown(slab: SlabId, n: number, sinceMs: number): boolean {
    const fresh = this.#options.proofs.ofSlab(slab).filter(({ provenMs }) => provenMs >= sinceMs)
    return new Set(fresh.map(({ column }) => column)).size >= n
  }

  /** Who says to hold what; a look that took its time is no failure. */
  async #locate(
    { group, hints }: MeasuredGroup,
    slabs: MeasuredGroup['slabs'],
    signal: AbortSignal,
  ): Promise<Map<string, ColumnAt[]>> {
    const said = new Map<string, ColumnAt[]>()
    const missing = new Map(slabs.map((slab) => [slabKeyOf(slab.slab), slab]))
    const looking = AbortSignal.any([signal, AbortSignal.timeout(LOCATE_TIMEOUT_MS)])
    try {
      const ids = slabs.map(({ slab }) => slab)
      for await (const found of this.#options.locator.holders(ids, { group, hints, signal: looking })) {
        const key = slabKeyOf(found.slab)
        const ofSlab = said.get(key) ?? []
        said.set(key, ofSlab)
        if (ofSlab.length < MAX_CLAIMERS_PER_SLAB) ofSlab.push(found)
        const sought = missing.get(key)
        if (sought !== undefined && isAllSaid(ofSlab, sought)) missing.delete(key)
        // Who holds a column a second time would not change what is found.
        if (missing.size === 0) break
      }
    } catch (error) {
      signal.throwIfAborted()
      this.#options.log.debug({ error: String(error) }, 'looking for holders ended early')
    }
    return said
  }

  async #auditSlab(
    { slab, redundancy, index: known }: MeasuredGroup['slabs'][number],
    said: readonly ColumnAt[],
    sinceMs: number,
    { signal, bytesPerSecond, rate = this.#options.rate }: MeasureOptions,
  ): Promise<void> {
    const { chunk, proofs, trust } = this.#options
    const index = known ?? (await this.#index(slab, redundancy, said, signal))
    if (index === undefined) return
    const prover = new Prover({ chunk, trust, rate, bytesPerSecond })
    const before = new Map(
      proofs.ofSlab(slab).map((proof) => [`${proof.column}/${proof.peer}`, proof.provenMs]),
    )
    const changes: ProofChange[] = []
    await forEachBounded(said, CONCURRENT_AUDITS, async ({ column, peer, indexHash }) => {
      const name = peer.toString()
      if (column >= index.n || !sameBytes(indexHash, index.hash)) return
      if ((before.get(`${column}/${name}`) ?? Number.NEGATIVE_INFINITY) >= sinceMs) return
      const verdict = await this.#audits.run(signal, () =>
        verdictOf(prover.prove(peer, index, column, signal)),
      )
      if (signal.aborted) return
      if (verdict === 'proven') changes.push({ slab, column, peer: name, provenMs: this.#now() })
      if (verdict !== 'lied' && verdict !== 'not-held') return
      // It had just said to hold the column, so that both are lies.
      changes.push({ slab, column, peer: name, provenMs: null })
    })
    proofs.write(changes)
  }

  async #index(
    slab: SlabId,
    { k, n }: Redundancy,
    said: readonly ColumnAt[],
    signal: AbortSignal,
  ): Promise<SlabIndex | undefined> {
    for (const { peer } of said) {
      signal.throwIfAborted()
      try {
        const within = AbortSignal.any([signal, AbortSignal.timeout(INDEX_TIMEOUT_MS)])
        const index = await this.#options.chunk.index(peer, slab, within)
        if (index.k === k && index.n === n && sameBytes(index.slab, slab)) return index
      } catch {
        // The next one may give it.
      }
    }
    return undefined
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }
}

/** Somebody says to hold each column, of the index that is known where one is. */
function isAllSaid(
  said: readonly ColumnAt[],
  { redundancy, index }: MeasuredGroup['slabs'][number],
): boolean {
  const fitting =
    index === undefined ? said : said.filter(({ indexHash }) => sameBytes(indexHash, index.hash))
  return columnsSaid(fitting, redundancy.n) >= redundancy.n
}
