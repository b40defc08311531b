import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { sameBytes, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, HeldColumn, SlabId, SlabIndex } from '../../../protocols/chunk/types.ts'
import type { ColumnRow, Columns } from '../../storage/columns/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Locator } from '../contracts.ts'
import { ASK_TIMEOUT_MS } from '../restore/limits.ts'
import { forEachBounded } from '../restore/pool.ts'
import { type Prover, verdictOf } from '../restore/prove.ts'
import { auditorsOf, pointsOf } from '../restore/rules.ts'
import type { Cohort, Look } from './cohort.ts'
import type { HeldColumns } from './held.ts'
import {
  MAX_INTRODUCED,
  MAX_MISSES_BETWEEN_MEASURES,
  MISSES_UNTIL_SUSPECT,
  SILENCE_SHARE,
  WALK_CONCURRENCY,
} from './limits.ts'
import { SilentPeers } from './silent-peers.ts'
import type { Twin } from './surplus.ts'

export interface AuditorOptions {
  columns: Pick<Columns, 'ofGroup' | 'isBuried'>
  held: Pick<HeldColumns, 'index'>
  cohort: Cohort
  prover: Prover
  log: Logger
  self: PeerId
  /** Between two looks at one group. */
  intervalMs: number
  nowMs: () => number
  /** A co-holder proved a column. */
  onProven: (peer: string) => void
  /** A slab of which a column stays unproven. */
  onSuspect: (group: SlabId, slab: SlabId) => void
  /** Other peers say to hold the very column that this node holds. */
  onSurplus: (row: ColumnRow, twins: readonly Twin[]) => Promise<void>
}

/** Who says to hold which columns of one slab. */
interface View {
  row: ColumnRow
  said: Map<number, PeerId[]>
  /** Who says of its column that the owner brought it. */
  originals: Set<string>
}

/**
 * Looks at the co-holders of groups: asks them what they hold, and lets those columns be proven that fall to this node by
 * rendezvous order. The two intervals of *live* are two looks in a row, one each interval: no clock is asked.
 */
export class Auditor {
  readonly #options: AuditorOptions
  readonly #chunk: Pick<Chunk, 'have' | 'hint' | 'peers'>
  readonly #locator: Locator
  readonly #quietMs: number
  readonly #silent: SilentPeers

  constructor(
    options: AuditorOptions,
    chunk: Pick<Chunk, 'have' | 'hint' | 'peers'>,
    locator: Locator,
    quietMs: number,
  ) {
    this.#options = options
    this.#chunk = chunk
    this.#locator = locator
    this.#quietMs = quietMs
    this.#silent = new SilentPeers(options.intervalMs * SILENCE_SHARE)
  }

  /** One look at all columns of these groups. Returns how many columns this node holds of them. */
  async visit(groups: readonly SlabId[], isSound: () => boolean, signal: AbortSignal): Promise<number> {
    for (const group of groups) this.#options.cohort.forgetSilent(group)
    const rows = groups.map((group) => this.#rowsOf(group))
    const views = new Map<string, View>()
    for (const row of rows.flat())
      views.set(slabKeyOf(row.slab), { row, said: new Map(), originals: new Set() })
    await this.#askCoHolders(groups, rows, views, signal)
    await this.#locateUnknown(groups, rows, views, signal)
    // What was seen while this node was cut off is no look at all.
    if (!isSound()) return rows.flat().length
    const looks: Look[] = []
    await forEachBounded(views.values(), WALK_CONCURRENCY, async (view) => {
      await this.#look(view, looks, signal)
    })
    signal.throwIfAborted()
    if (isSound()) this.#note(looks, views)
    return rows.flat().length
  }

  /** What is held of a group and worth keeping: neither expired nor deleted. */
  #rowsOf(group: SlabId): ColumnRow[] {
    const { columns, nowMs } = this.#options
    const now = nowMs()
    return columns.ofGroup(group).filter((row) => row.untilMs > now && !columns.isBuried(row.slab))
  }

  /** One question a peer for all the slabs that it may hold. */
  async #askCoHolders(
    groups: readonly SlabId[],
    rows: readonly ColumnRow[][],
    views: Map<string, View>,
    signal: AbortSignal,
  ): Promise<void> {
    const { cohort, self } = this.#options
    const slabsOf = new Map<string, SlabId[]>()
    const connected = new Set(this.#chunk.peers().map((peer) => peer.toString()))
    for (const [at, group] of groups.entries()) {
      // Those that answered come first: more than twice as many as there are columns are rumours.
      const columns = rows[at]?.[0]?.n ?? 0
      for (const peer of cohort.peers(group).slice(0, 2 * columns)) {
        if (peer === self.toString()) continue
        if (!connected.has(peer) && this.#silent.isSilent(peer)) continue
        const slabs = slabsOf.get(peer) ?? []
        slabs.push(...(rows[at] ?? []).map(({ slab }) => slab))
        slabsOf.set(peer, slabs)
      }
    }
    await forEachBounded(slabsOf, WALK_CONCURRENCY, async ([name, slabs]) => {
      const peer = parsePeer(name)
      if (peer === undefined || slabs.length === 0) return
      const said = await this.#ask(peer, slabs, signal)
      this.#enter(peer, said, views)
    })
    signal.throwIfAborted()
  }

  async #ask(peer: PeerId, slabs: readonly SlabId[], signal: AbortSignal): Promise<HeldColumn[]> {
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)])
      const said = await this.#chunk.have(peer, slabs, within)
      this.#silent.answered(peer.toString())
      return said
    } catch (error) {
      signal.throwIfAborted()
      this.#silent.failed(peer.toString())
      this.#options.log.debug({ peer: peer.toString(), error: String(error) }, 'a co-holder did not answer')
      return []
    }
  }

  /**
   * Groups of which fewer peers are known than there are columns: the network is asked. Where enough are known and do not
   * answer, the measurement that follows asks it.
   */
  async #locateUnknown(
    groups: readonly SlabId[],
    rows: readonly ColumnRow[][],
    views: Map<string, View>,
    signal: AbortSignal,
  ): Promise<void> {
    for (const [at, group] of groups.entries()) {
      const ofGroup = rows[at] ?? []
      const lacking = ofGroup.filter((row) => (views.get(slabKeyOf(row.slab))?.said.size ?? 0) < row.n - 1)
      const [row] = lacking
      if (row === undefined || this.#options.cohort.peers(group).length >= row.n - 1) continue
      await this.#locate(group, lacking, views, signal)
    }
  }

  async #locate(
    group: SlabId,
    lacking: readonly ColumnRow[],
    views: Map<string, View>,
    signal: AbortSignal,
  ): Promise<void> {
    const looking = new AbortController()
    const within = AbortSignal.any([signal, looking.signal])
    const timer = setTimeout(() => looking.abort(), this.#quietMs)
    const slabs = lacking.map(({ slab }) => slab)
    try {
      for await (const found of this.#locator.holders(slabs, { group, signal: within })) {
        this.#enter(found.peer, [{ ...found, untilMs: 0 }], views)
        const isWhole = lacking.every((row) => (views.get(slabKeyOf(row.slab))?.said.size ?? 0) >= row.n - 1)
        if (isWhole) break
      }
    } catch (error) {
      signal.throwIfAborted()
      this.#options.log.debug({ error: String(error) }, 'looking for co-holders ended early')
    } finally {
      clearTimeout(timer)
      looking.abort()
    }
  }

  #enter(peer: PeerId, said: readonly HeldColumn[], views: Map<string, View>): void {
    const { self, cohort } = this.#options
    if (peer.equals(self)) return
    const groups = new Map<string, SlabId>()
    for (const { slab, column, indexHash, isRebuilt } of said) {
      const view = views.get(slabKeyOf(slab))
      if (view === undefined || column >= view.row.n || !sameBytes(indexHash, view.row.indexHash)) continue
      const peers = view.said.get(column) ?? []
      if (peers.some((other) => other.equals(peer))) continue
      view.said.set(column, [...peers, peer])
      // Of what a search found nobody said how it came there.
      if (isRebuilt === false) view.originals.add(peer.toString())
      groups.set(slabKeyOf(view.row.group), view.row.group)
    }
    for (const group of groups.values()) cohort.answered(group, [peer.toString()])
  }

  async #look({ row, said, originals }: View, looks: Look[], signal: AbortSignal): Promise<void> {
    const { self, held, onSurplus, log } = this.#options
    const own = self.toString()
    const twins = said.get(row.column)
    if (twins !== undefined) {
      try {
        await onSurplus(
          row,
          twins.map((peer) => ({ peer, isOriginal: originals.has(peer.toString()) })),
        )
      } catch (error) {
        signal.throwIfAborted()
        log.debug({ slab: slabKeyOf(row.slab), error: String(error) }, 'a surplus column was not trimmed')
      }
    }
    const points = pointsOf(row.slab, [own, ...[...said.values()].flat().map((peer) => peer.toString())])
    let index: SlabIndex | undefined
    for (let column = 0; column < row.n; column++) {
      if (column === row.column) continue
      const holders = said.get(column) ?? []
      const names = new Set(holders.map((peer) => peer.toString()))
      if (!auditorsOf(column, points, names).includes(own)) continue
      index ??= await held.index(row.slab)
      if (index === undefined) return
      const proven = await this.#audit(holders, index, column, signal)
      looks.push({ slab: row.slab, column, proven })
      if (holders.length > 1) await this.#introduce(row.group, holders, signal)
    }
  }

  /** Holders of one column, who may not know of each other: the later of them trims its own. */
  async #introduce(group: SlabId, holders: readonly PeerId[], signal: AbortSignal): Promise<void> {
    const few = holders.slice(0, MAX_INTRODUCED)
    for (const peer of few) {
      const peers = few.filter((other) => !other.equals(peer)).map((other) => other.toString())
      const within = AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)])
      try {
        await this.#chunk.hint(peer, { group, peers }, within)
      } catch (error) {
        signal.throwIfAborted()
        this.#options.log.debug(
          { peer: peer.toString(), error: String(error) },
          'a holder was not told of its twin',
        )
      }
    }
  }

  /** Whether one of those that say to hold the column proved it. */
  async #audit(
    holders: readonly PeerId[],
    index: SlabIndex,
    column: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    let proven = false
    for (const peer of holders) {
      const verdict = await verdictOf(this.#options.prover.prove(peer, index, column, signal))
      signal.throwIfAborted()
      if (verdict === 'proven') this.#options.onProven(peer.toString())
      proven ||= verdict === 'proven'
    }
    return proven
  }

  #note(looks: readonly Look[], views: ReadonlyMap<string, View>): void {
    const { cohort, onSuspect } = this.#options
    const suspects = new Set<string>()
    for (const { look, misses } of cohort.note(looks)) {
      if (isTimeToMeasure(misses)) suspects.add(slabKeyOf(look.slab))
    }
    for (const key of suspects) {
      const view = views.get(key)
      if (view !== undefined) onSuspect(view.row.group, view.row.slab)
    }
  }
}

/** At the second miss, at the third, the fourth, the sixth, the tenth, and then every eighth. */
export function isTimeToMeasure(misses: number): boolean {
  const beyond = misses - MISSES_UNTIL_SUSPECT
  if (beyond < 0) return false
  if (beyond >= MAX_MISSES_BETWEEN_MEASURES) return beyond % MAX_MISSES_BETWEEN_MEASURES === 0
  return beyond === 0 || (beyond & (beyond - 1)) === 0
}

/** A name that came as a hint, or from an older row. */
function parsePeer(name: string): PeerId | undefined {
  try {
    return peerIdFromString(name)
  } catch {
    return undefined
  }
}
