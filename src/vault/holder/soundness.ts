import type { StateDatabase } from '../../storage/state/types.ts'
import { ALIVE_INTERVAL_MS, AWAY_MS, GAP_MS, MAX_USUAL_PEERS, TICK_MS } from './limits.ts'

const ALIVE_KEY = 'vault.alive'
/** Least time after a start or a gap in which peers come back, before anything is concluded from who is not there. */
const MAX_SETTLE_MS = 30_000

export interface SoundnessOptions {
  state: Pick<StateDatabase, 'db' | 'writeRelaxed'>
  /** How many peers are connected now. */
  connected: () => number
  /** How many of them are a measure of what is usual (FamiliarPeers). Called once a tick. */
  familiar: () => number
  /** After so long, half of the peers that went for good are no longer missed. */
  halfLifeMs: number
  /** At most 30 s, less where audits are frequent. */
  settleMs: number
  nowMs: () => number
  monotonicMs?: () => number
}

interface Alive {
  atMs: number
  usualPeers: number
}

/**
 * Whether this node may conclude anything from what it does not see: not while it sees fewer than half of its usual
 * peers, and not just after it slept, its clock was set, or it started. Who is cut off must not believe that everybody
 * else is gone.
 */
export class Soundness {
  readonly #options: Required<SoundnessOptions>
  readonly #read
  readonly #write
  readonly #listeners = new Set<(awayMs: number) => void>()
  /** How long this node was away before it started; 0 for a new one. */
  readonly awayBeforeMs: number
  #usual: number
  #tickAtMs: number
  #wallAtMs: number
  #savedAtMs: number
  #settledFromMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(options: SoundnessOptions) {
    this.#options = { monotonicMs: () => performance.now(), ...options }
    const { state, nowMs, settleMs } = this.#options
    this.#read = state.db.prepare<[string], { value: string }>('SELECT value FROM setting WHERE key = ?')
    this.#write = state.db.prepare<[string, string]>(
      'INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    )
    const alive = this.#load()
    // A clock that went back says nothing about how long; rather one fetch of tombstones too many.
    const gapMs = alive === undefined ? 0 : nowMs() - alive.atMs
    this.awayBeforeMs = gapMs < -GAP_MS ? AWAY_MS + 1 : Math.max(0, gapMs)
    this.#usual = Math.min(MAX_USUAL_PEERS, alive?.usualPeers ?? 0)
    this.#tickAtMs = this.#options.monotonicMs()
    this.#wallAtMs = nowMs()
    this.#savedAtMs = Number.NEGATIVE_INFINITY
    this.#settledFromMs = this.#tickAtMs + Math.min(settleMs, MAX_SETTLE_MS)
  }

  start(): void {
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#save()
  }

  /** Since when, by the monotonic clock, nothing kept this node from seeing what happens. */
  get awakeMs(): number {
    return this.#options.monotonicMs() - this.#settledFromMs
  }

  get isSound(): boolean {
    const connected = this.#options.connected()
    return this.awakeMs >= 0 && connected > 0 && connected * 2 >= this.#usual
  }

  /** What keeps this node from concluding anything, for people; undefined right after a start or a gap, which passes. */
  get problem(): string | undefined {
    if (this.isSound || this.awakeMs < 0) return undefined
    const connected = this.#options.connected()
    return `columns of others are neither checked nor repaired: connected to ${connected} of some ${Math.max(1, Math.round(this.#usual))} usual peers`
  }

  /** Peers that this node is used to see. */
  get usualPeers(): number {
    return this.#usual
  }

  /** Called after the machine slept or its clock was set, with how long at the most that took. */
  onGap(listener: (awayMs: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  tick(): void {
    const { connected, familiar, halfLifeMs, monotonicMs, nowMs, settleMs } = this.#options
    const elapsedMs = Math.max(0, monotonicMs() - this.#tickAtMs)
    const wallMs = nowMs() - this.#wallAtMs
    this.#tickAtMs += elapsedMs
    this.#wallAtMs += wallMs
    const awayMs = Math.max(elapsedMs, Math.abs(wallMs))
    if (awayMs > GAP_MS) {
      this.#settledFromMs = this.#tickAtMs + Math.min(settleMs, MAX_SETTLE_MS)
      for (const listener of this.#listeners) listener(awayMs)
    }
    const now = connected()
    const familiarNow = Math.min(MAX_USUAL_PEERS, familiar())
    // Whoever is connected keeps what is usual from falling below that; only those that are familiar raise it.
    const floor = Math.max(familiarNow, Math.min(now, this.#usual))
    // Nobody at all is no measure of how many there are: a node without a network keeps what it knew.
    const decayMs = Math.min(elapsedMs, 2 * TICK_MS)
    const decayed = now === 0 ? this.#usual : floor + (this.#usual - floor) * 0.5 ** (decayMs / halfLifeMs)
    this.#usual = Math.max(familiarNow, decayed)
    if (this.#tickAtMs - this.#savedAtMs >= ALIVE_INTERVAL_MS) this.#save()
  }

  #save(): void {
    const { state, nowMs, monotonicMs } = this.#options
    this.#savedAtMs = monotonicMs()
    const alive: Alive = { atMs: nowMs(), usualPeers: this.#usual }
    try {
      state.writeRelaxed(() => this.#write.run(ALIVE_KEY, JSON.stringify(alive)))
    } catch {
      // A database that is closed or full: the next start believes that this node was away for longer, which is safe.
    }
  }

  #load(): Alive | undefined {
    const row = this.#read.get(ALIVE_KEY)
    if (row === undefined) return undefined
    const value = JSON.parse(row.value) as Partial<Alive>
    return typeof value.atMs === 'number'
      ? { atMs: value.atMs, usualPeers: value.usualPeers ?? 0 }
      : undefined
  }
}
