import type { PeerId } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import { KeepRefusedError, KeepStatus, MAX_TERM_MS } from '../../../protocols/keep/index.ts'
import type { Ask, Holder, Kept, Release } from '../../../protocols/keep/types.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { RateLimits } from '../../gossip/rate.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Pins } from '../../storage/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Scores } from '../../trust/contract.ts'
import { type Acquirer, withOverhead } from './acquirer.ts'
import { MAX_PROMISES, MAX_RATED_PEERS, REQUEST_RATE } from './limits.ts'

export interface PromisesOptions {
  config: {
    /** Bytes that this node lends to others' public content. */
    offerBytes: number
    /** Least score of a peer for which it keeps any. */
    minScore: number
  }
  state: StateDatabase
  pins: Pick<Pins, 'list' | 'remove'>
  acquirer: Acquirer
  trust: Scores
  log: Logger
  now: () => number
  signal: AbortSignal
  /** The end of a promise has become known. */
  onChanged: () => void
}

export interface PromiseRow {
  cid: CID
  peer: string
  bytes: number
  atMs: number
  untilMs: number
}

interface StoredPromise {
  cid: Uint8Array
  peer: string
  bytes: number
  at_ms: number
  until_ms: number
}

/** The name under which a promise pins. */
export function promisePinName(peer: string): string {
  return `kept/${peer}`
}

/** What this node promised others to keep: durable, within the offer, ends by itself. */
export class Promises implements Holder {
  readonly #options: PromisesOptions
  readonly #rates = new RateLimits(MAX_RATED_PEERS, () => performance.now())

  constructor(options: PromisesOptions) {
    this.#options = options
  }

  admits(peer: string): boolean {
    return this.#rates.take(peer, REQUEST_RATE)
  }

  async accept({ cid, sizeBytes, untilMs: wantedMs, asker }: Ask): Promise<{ untilMs: number }> {
    const { config, state, acquirer, trust, now, onChanged } = this.#options
    const peer = asker.toString()
    if (trust.score(peer) < config.minScore) throw new KeepRefusedError(KeepStatus.refused)
    const nowMs = now()
    const untilMs = Math.min(wantedMs, nowMs + MAX_TERM_MS)
    const known = this.#find(cid, peer)
    const bytes = known?.bytes ?? withOverhead(sizeBytes)
    if (known === undefined) {
      const use = this.use()
      const hasRoom =
        use.promises < MAX_PROMISES && use.bytes + bytes <= config.offerBytes && acquirer.hasRoom(sizeBytes)
      if (!hasRoom) throw new KeepRefusedError(KeepStatus.noSpace)
    }
    const put = state.db.prepare('INSERT OR REPLACE INTO keep_promise VALUES (?, ?, ?, ?, ?)')
    await state.write(() =>
      put.run(cid.bytes, peer, bytes, known?.atMs ?? nowMs, Math.max(untilMs, known?.untilMs ?? 0)),
    )
    const pin = promisePinName(peer)
    if (!this.#isHeld(cid, peer) && !acquirer.isOnItsWay(cid, pin))
      await acquirer.acquire({ cid, sizeBytes, peer, pin, reason: 'promise' })
    onChanged()
    return { untilMs: Math.min(Math.max(untilMs, known?.untilMs ?? 0), wantedMs) }
  }

  async release({ cid, asker }: Release): Promise<void> {
    await this.end(cid, asker.toString())
  }

  async probe(asker: PeerId, cid: CID): Promise<Kept> {
    const peer = asker.toString()
    const row = this.#find(cid, peer)
    if (row === undefined || row.untilMs <= this.#options.now()) return { state: 'none', untilMs: 0 }
    return { state: this.#isHeld(cid, peer) ? 'held' : 'fetching', untilMs: row.untilMs }
  }

  /** The promise is over, for whatever reason: what no other pin keeps goes at the next collection. */
  async end(cid: CID, peer: string): Promise<void> {
    const { state, pins, signal } = this.#options
    // The pin first: a promise that is found again at the next start ends again.
    try {
      await pins.remove(cid, { name: promisePinName(peer), signal })
    } catch (error) {
      if (!(error instanceof P2pnodeError) || error.code !== 'ERR_PIN_NOT_FOUND') throw error
    }
    const drop = state.db.prepare('DELETE FROM keep_promise WHERE cid = ? AND peer = ?')
    await state.write(() => drop.run(cid.bytes, peer))
  }

  use(): { promises: number; bytes: number } {
    return (
      this.#options.state.db
        .prepare<[], { promises: number; bytes: number }>(
          'SELECT count(*) AS promises, coalesce(sum(bytes), 0) AS bytes FROM keep_promise',
        )
        .get() ?? { promises: 0, bytes: 0 }
    )
  }

  expired(nowMs: number, limit: number): PromiseRow[] {
    return this.#options.state.db
      .prepare<[number, number], StoredPromise>('SELECT * FROM keep_promise WHERE until_ms <= ? LIMIT ?')
      .all(nowMs, limit)
      .map(toPromise)
  }

  nextExpiryMs(): number | undefined {
    const least = this.#options.state.db.prepare<[], number | null>('SELECT min(until_ms) FROM keep_promise')
    return least.pluck().get() ?? undefined
  }

  #find(cid: CID, peer: string): PromiseRow | undefined {
    const row = this.#options.state.db
      .prepare<[Uint8Array, string], StoredPromise>('SELECT * FROM keep_promise WHERE cid = ? AND peer = ?')
      .get(cid.bytes, peer)
    return row === undefined ? undefined : toPromise(row)
  }

  #isHeld(cid: CID, peer: string): boolean {
    const { pins } = this.#options.pins.list({ cid, name: promisePinName(peer), limit: 1 })
    return pins[0]?.state === 'pinned'
  }
}

function toPromise(row: StoredPromise): PromiseRow {
  return {
    cid: CID.decode(row.cid),
    peer: row.peer,
    bytes: row.bytes,
    atMs: row.at_ms,
    untilMs: row.until_ms,
  }
}
