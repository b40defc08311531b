import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { slabIdOf } from '../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import { stateKey, stateSlabSalt } from '../codec/index.ts'
import { writeDocument } from './document.ts'
import {
  RENEW_PART,
  STATE_BYTES_PER_SECOND,
  STATE_CALM_MS,
  STATE_COALESCE_MS,
  STATE_COPIES,
  STATE_HOLDER_WAIT_MS,
  STATE_LATE_MS,
  STATE_LOOK_EVERY_MS,
  STATE_MARK_EVERY,
  STATE_MAX_COALESCE_MS,
  STATE_MAX_RETRY_MS,
  STATE_RETRY_MS,
  STATE_RIVAL_MS,
  STATE_VERSIONS_KEPT,
} from './limits.ts'
import type { OwnerDependencies } from './put/dependencies.ts'
import { GroupHolders } from './put/group-holders.ts'
import { uploadCopies } from './put/upload-copies.ts'
import type { OwnerObject } from './state.ts'
import { StateTakeOver } from './state-takeover.ts'
import { signerOfVersion } from './state-versions.ts'

/**
 * How an attempt ended. `nobody`: nobody takes it now. `behind`: another machine of this owner has made a version at the same time, which
 * recovery may read first: what both know has to be in a further one.
 */
type Outcome = 'kept' | 'nobody' | 'behind'

/** The object of slabs that are versions of the state. */
const STATE_OBJECT = 'state'
const SALT_BYTES = 32

/**
 * Keeps the owner's state in the network, as a new version a few seconds after each change (up to a minute where it is large), so that the
 * recovery phrase alone brings it back, and looks now and then at what other machines of the owner have made of it. Where nobody lends
 * storage it waits for somebody who does. It is a copy: what was acknowledged does not depend on it.
 */
export class StateKeeper {
  readonly #dependencies: OwnerDependencies
  readonly #takeOver: StateTakeOver
  readonly #stop = new AbortController()
  #wake = new AbortController()
  #isDirty = false
  /** Since when something is in no version; stays through attempts, until one that has it is kept. */
  #sinceMs: number | undefined
  #failures = 0
  #attemptMs = Number.NEGATIVE_INFINITY
  /** Of the last version, all copies together. */
  #sentBytes = 0
  #running: Promise<void> | undefined
  #forget: () => void = () => {}

  constructor(dependencies: OwnerDependencies, onDeleted: (object: OwnerObject) => Promise<void>) {
    this.#dependencies = dependencies
    this.#takeOver = new StateTakeOver(dependencies, onDeleted)
  }

  start(): void {
    // What was changed shortly before the last stop may be in no version.
    if (!this.#dependencies.state.isEmpty()) this.changed()
    this.#forget = this.#dependencies.chunk.onPeer(({ type }) => {
      if (type !== 'connected' || !this.#isDirty) return
      const isCalm = this.#failures === 0 || performance.now() - this.#attemptMs > STATE_CALM_MS
      if (isCalm) this.#wake.abort()
    })
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#forget()
    this.#stop.abort(new Error('the node stops'))
    this.#wake.abort()
    await this.#running
  }

  /** For long nobody has taken the changes. */
  get isLate(): boolean {
    return this.#sinceMs !== undefined && performance.now() - this.#sinceMs > STATE_LATE_MS
  }

  /** Something changed that a recovery should know. */
  changed(): void {
    this.#sinceMs ??= performance.now()
    this.#isDirty = true
    this.#wake.abort()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      if (this.#isDirty) await sleep(coalesceMs(this.#sentBytes), undefined, { signal }).catch(() => {})
      this.#wake = new AbortController()
      if (signal.aborted) return
      const pauseMs = this.#isDirty ? await this.#attempt(signal) : STATE_LOOK_EVERY_MS
      await pause(pauseMs, this.#wake.signal)
      if (!this.#isDirty && !signal.aborted) await this.#lookAround(signal)
    }
  }

  /** Makes a version. Returns how long to wait before what comes next. */
  async #attempt(signal: AbortSignal): Promise<number> {
    this.#isDirty = false
    this.#attemptMs = performance.now()
    let outcome: Outcome | 'failed'
    try {
      outcome = await this.#keep(signal)
    } catch (error) {
      if (signal.aborted) return 0
      outcome = 'failed'
      this.#dependencies.log.info({ err: error }, "the owner's state could not be kept in the network yet")
    }
    this.#failures = outcome === 'failed' ? this.#failures + 1 : 0
    if (outcome === 'kept') {
      // What changed meanwhile is in no version yet.
      this.#sinceMs = this.#isDirty ? this.#attemptMs : undefined
      return this.#isDirty ? 0 : STATE_LOOK_EVERY_MS
    }
    this.#isDirty = true
    if (outcome === 'behind') return Math.random() * STATE_RIVAL_MS
    return Math.min(STATE_MAX_RETRY_MS, STATE_RETRY_MS * 2 ** Math.max(0, this.#failures - 1))
  }

  /** Others of the owner's machines may have put or deleted something; nothing was changed here. */
  async #lookAround(signal: AbortSignal): Promise<void> {
    const { state, chunk, log } = this.#dependencies
    if (state.isEmpty() || chunk.peers().length === 0) return
    try {
      const { isBehind } = await this.#takeOver.look(this.#last(), signal)
      if (isBehind) this.changed()
    } catch (error) {
      if (!signal.aborted)
        log.info({ err: error }, "what the owner's other machines did could not be looked up")
    }
  }

  /** The last number that this machine has used. */
  #last(): number {
    return this.#dependencies.state.versions(1)[0]?.version ?? 0
  }

  async #keep(signal: AbortSignal): Promise<Outcome> {
    const { state, ownerSecret, manifestCodec, chunk, placer, leaseMs } = this.#dependencies
    if (chunk.peers().length === 0) return 'nobody'
    const last = this.#last()
    const { newest } = await this.#takeOver.look(last, signal)
    const version = Math.max(last, newest) + 1
    const signer = signerOfVersion(ownerSecret(), version)
    const slab = slabIdOf(signer.publicKey)
    const sealed = await manifestCodec.sealLayer(await writeDocument(state, ownerSecret()), {
      slab,
      salt: randomBytes(SALT_BYTES),
      key: stateKey(ownerSecret()),
      signal,
    })
    const columnBytes = sealed.pieces.reduce((sum, piece) => sum + piece.length, 0)
    const candidates = await placer.candidates({
      group: slab,
      n: STATE_COPIES,
      k: 1,
      columnBytes,
      purpose: 'put',
      exclude: new Set(),
      signal,
    })
    const n = Math.min(STATE_COPIES, candidates.length)
    if (n === 0) return 'nobody'
    const nowMs = Date.now()
    const lease = { untilMs: nowMs + leaseMs, sequence: 1 }
    const salt = stateSlabSalt(version)
    await state.database.write(() => {
      state.insertSlab({
        id: slab,
        object: STATE_OBJECT,
        position: version,
        group: slab,
        state: 'open',
        k: 1,
        n,
        columnBytes: 0,
        indexHash: null,
        leaseUntilMs: lease.untilMs,
        leaseSequence: lease.sequence,
        renewMs: nowMs + leaseMs * RENEW_PART,
        salt,
        modes: new Uint8Array(0),
      })
      // Also of one that fails: its number is not used again, and it is deleted with the old ones.
      state.insertVersion(version, slab, nowMs)
    })
    this.#sentBytes = n * columnBytes
    const group = new GroupHolders({
      id: slab,
      redundancy: { k: 1, n },
      columnBytes,
      allowDegraded: true,
      placer,
      chunk,
      waiting() {},
      waitMs: STATE_HOLDER_WAIT_MS,
      signal,
    })
    try {
      await group.place()
      const pieces = sealed.pieces.map((bytes, at) => ({ bytes, root: sealed.roots[at] as Uint8Array }))
      const stored = await uploadCopies(this.#dependencies, { slab, signer, pieces, n, group, lease, signal })
      if (stored.receipts.length === 0) return 'nobody'
      await state.database.write(() => {
        const { columnBytes: bytes, hash } = stored.index
        state.finishSlab({ id: slab, salt, modes: new Uint8Array(0), columnBytes: bytes, indexHash: hash })
        for (const { receipt, peer } of stored.receipts) state.setReceipt(receipt, peer)
        this.#retire(slab, version)
      })
      this.#dependencies.onLeases()
      return (await this.#takeOver.look(version, signal)).isBehind ? 'behind' : 'kept'
    } catch (error) {
      signal.throwIfAborted()
      // Holders refuse a second version of a number that they have.
      if ((await this.#takeOver.look(version, signal)).isBehind) return 'behind'
      throw error
    } finally {
      group.close()
    }
  }

  /**
   * The last versions stay, and the marks, and what has more copies than the newest one; the others are deleted at their holders, by and
   * by.
   */
  #retire(newest: SlabId, version: number): void {
    const { state } = this.#dependencies
    const copies = (slab: SlabId): number => state.columnsOf(slab).filter(({ counts }) => counts).length
    const enough = copies(newest)
    for (const { version: old, slab } of state.versions(STATE_MARK_EVERY)) {
      if (old > version - STATE_VERSIONS_KEPT || old % STATE_MARK_EVERY === 0) continue
      if (copies(slab) > enough) continue
      state.setSlabState(slab, 'deleting')
      state.removeVersion(old)
    }
  }
}

/** How long changes are gathered, when the last version took so many bytes. */
export function coalesceMs(sentBytes: number): number {
  const byRateMs = (sentBytes / STATE_BYTES_PER_SECOND) * 1_000
  return Math.min(STATE_MAX_COALESCE_MS, Math.max(STATE_COALESCE_MS, byRateMs))
}

async function pause(timeoutMs: number, signal: AbortSignal): Promise<void> {
  await sleep(timeoutMs, undefined, { signal, ref: false }).catch(() => {})
}
