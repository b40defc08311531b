import { setTimeout as sleep } from 'node:timers/promises'
import type { PeerId } from '@libp2p/interface'
import type { Chunk, SlabId } from '../../../../protocols/chunk/types.ts'
import type { Placer } from '../../contracts.ts'
import { tooFewHolders, writtenForm } from '../../place/index.ts'
import type { Redundancy } from '../../types.ts'
import { CANDIDATES_RETRY_MS, HOLDER_WAIT_MS, MAX_CHANCES, SECOND_CHANCE_MS } from '../limits.ts'

export interface GroupOptions {
  id: SlabId
  redundancy: Redundancy
  /** Upper bound of one column: a holder must have room for it. */
  columnBytes: number
  /** Whether columns beyond the k that reading takes may stay without a holder. */
  allowDegraded: boolean
  placer: Placer
  chunk: Pick<Chunk, 'onPeer'>
  /** Says why the put stands still; null when it goes on. */
  waiting(reason: string | null): void
  /** How long a column without a holder waits for one; HOLDER_WAIT_MS by default. */
  waitMs?: number
  /** See SECOND_CHANCE_MS. */
  secondChanceMs?: number
  signal: AbortSignal
}

/**
 * Who keeps which column of a group. A holder that fails is replaced for this slab and those that follow; no peer ever has
 * two columns of one group. Where nobody else is left, those that were merely slow or cut off are asked again: a disk that
 * stalled for a minute must not end a put of hours.
 */
export class GroupHolders {
  readonly id: SlabId
  readonly #options: GroupOptions
  readonly #holders: (PeerId | undefined)[]
  /** Who may hold which column already, from an earlier run: it would refuse another one. Also those that are not here yet. */
  readonly #known: ReadonlyMap<string, number>
  /** Who failed in this group, and how, until they connect again. */
  readonly #failed = new Map<string, string>()
  /** How often each was slow or cut off. */
  readonly #slowTimes = new Map<string, number>()
  #spare: PeerId[] = []
  /** One search at a time, so that two columns never get the same peer. */
  #turn: Promise<unknown> = Promise.resolve()
  readonly #forget: () => void

  constructor(
    options: GroupOptions,
    holders: readonly (PeerId | undefined)[] = [],
    known: ReadonlyMap<string, number> = new Map(),
  ) {
    this.id = options.id
    this.#options = options
    this.#known = known
    this.#holders = Array.from({ length: options.redundancy.n }, (_, column) => holders[column])
    this.#forget = options.chunk.onPeer(({ type, peer }) => {
      if (type === 'connected') this.#failed.delete(peer.toString())
    })
  }

  get peers(): PeerId[] {
    return this.#holders.filter((peer) => peer !== undefined)
  }

  /** As it is now; a lane that has none asks for one. */
  holder(column: number): PeerId | undefined {
    return this.#holders[column]
  }

  /** Gives every column that has none the best candidate. */
  async place(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#search()
      for (const [column, holder] of this.#holders.entries()) {
        if (holder === undefined) this.#holders[column] = this.#take(column)
      }
    })
  }

  /**
   * Another holder for a column whose holder failed (or that has none). Waits a while for one to come; undefined where
   * there is none and the put may go on without. `wasSlow`: it did nothing wrong, and may be asked again. `reason`: what the
   * user reads of it.
   *
   * @throws ERR_TOO_FEW_HOLDERS
   */
  replace(
    column: number,
    failed: PeerId | undefined,
    { wasSlow = false, reason = 'it failed in this put' }: { wasSlow?: boolean; reason?: string } = {},
  ): Promise<PeerId | undefined> {
    return this.#inTurn(async () => {
      if (failed !== undefined) {
        const name = failed.toString()
        this.#failed.set(name, reason)
        this.#slowTimes.set(name, wasSlow ? (this.#slowTimes.get(name) ?? 0) + 1 : MAX_CHANCES)
        if (this.#holders[column]?.equals(failed) === true) this.#holders[column] = undefined
      }
      this.#holders[column] ??= await this.#next(column)
      return this.#holders[column]
    })
  }

  close(): void {
    this.#forget()
  }

  async #next(column: number): Promise<PeerId | undefined> {
    const { allowDegraded, signal, waiting, redundancy, secondChanceMs = SECOND_CHANCE_MS } = this.#options
    const startMs = performance.now()
    const endMs = startMs + (this.#options.waitMs ?? HOLDER_WAIT_MS)
    let waited = false
    try {
      for (;;) {
        let peer = this.#take(column)
        if (peer === undefined) {
          await this.#search()
          peer = this.#take(column)
        }
        if (peer !== undefined) return peer
        if (allowDegraded && this.peers.length >= redundancy.k) return undefined
        if (performance.now() > startMs + secondChanceMs && this.#forgive()) continue
        if (performance.now() > endMs) {
          const found = this.peers.length
          const reasons = [...this.#failed].map(([name, reason]) => `${name}: ${reason}`)
          throw tooFewHolders({ needed: redundancy.n, found, wanted: writtenForm(redundancy), reasons })
        }
        if (!waited) waiting('a holder failed, and no other peer that could take its part is connected')
        waited = true
        await sleep(CANDIDATES_RETRY_MS, undefined, { signal })
      }
    } finally {
      if (waited) waiting(null)
    }
  }

  /** Lets those be candidates again that were only slow, and not too often. False where there is none. */
  #forgive(): boolean {
    const slow = [...this.#failed.keys()].filter((name) => (this.#slowTimes.get(name) ?? 0) < MAX_CHANCES)
    for (const name of slow) this.#failed.delete(name)
    return slow.length > 0
  }

  /** The best spare that may take this column: whoever has it already first, nobody for whom another one waits. */
  #take(column: number): PeerId | undefined {
    const ofSpare = (peer: PeerId) => this.#known.get(peer.toString())
    let at = this.#spare.findIndex((peer) => ofSpare(peer) === column)
    if (at < 0)
      at = this.#spare.findIndex((peer) => {
        const other = ofSpare(peer)
        return other === undefined || this.#holders[other] !== undefined
      })
    return at < 0 ? undefined : this.#spare.splice(at, 1)[0]
  }

  async #search(): Promise<void> {
    const { placer, id, columnBytes, redundancy, signal } = this.#options
    const exclude = new Set([...this.peers.map((peer) => peer.toString()), ...this.#failed.keys()])
    const found = await placer.candidates({
      group: id,
      ...redundancy,
      columnBytes,
      purpose: 'put',
      exclude,
      signal,
    })
    this.#spare = found.map(({ peer }) => peer)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}
