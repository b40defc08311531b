import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { sameBytes, slabIdOf } from '../../../protocols/chunk/format/index.ts'
import { stateKey, stateSlabSalt } from '../codec/index.ts'
import { mergeDocument, readDocument, writeDocument } from './document.ts'
import {
  MAX_RIVALS,
  RENEW_PART,
  STATE_BYTES_PER_SECOND,
  STATE_COALESCE_MS,
  STATE_COPIES,
  STATE_HOLDER_WAIT_MS,
  STATE_LATE_MS,
  STATE_LOOK_AHEAD,
  STATE_MARK_EVERY,
  STATE_MAX_COALESCE_MS,
  STATE_RETRY_MS,
  STATE_RIVAL_MS,
  STATE_VERSIONS_KEPT,
} from './limits.ts'
import type { OwnerDependencies } from './put/dependencies.ts'
import { GroupHolders } from './put/group-holders.ts'
import { uploadCopies } from './put/upload-copies.ts'
import { fetchVersion, findVersions, signerOfVersion } from './state-versions.ts'

/**
 * How an attempt ended. `nobody`: nobody takes it now. `rival`: another machine of this owner has a version that this one does not know;
 * it has to be taken over, and the next version is to have both.
 */
type Outcome = 'kept' | 'nobody' | 'rival'

/** The object of slabs that are versions of the state. */
const STATE_OBJECT = 'state'
const SALT_BYTES = 32
const MAX_COLUMN_BYTES = 64 * 1024 * 1024

/**
 * Keeps the owner's state in the network, as a new version a few seconds after each change (up to a minute where it is large), so that the recovery phrase alone
 * brings it back. Where nobody lends storage it waits for somebody who does. It is a copy: what was acknowledged does not depend on it.
 */
export class StateKeeper {
  readonly #dependencies: OwnerDependencies
  readonly #stop = new AbortController()
  #wake = new AbortController()
  #isDirty = false
  #hasFailed = false
  #dirtySinceMs = 0
  /** Of the last version, all copies together. */
  #sentBytes = 0
  #running: Promise<void> | undefined
  #forget: () => void = () => {}

  constructor(dependencies: OwnerDependencies) {
    this.#dependencies = dependencies
  }

  start(): void {
    this.#forget = this.#dependencies.chunk.onPeer(({ type }) => {
      if (type === 'connected' && this.#isDirty) this.#wake.abort()
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
    return this.#isDirty && performance.now() - this.#dirtySinceMs > STATE_LATE_MS
  }

  /** Something changed that a recovery should know. */
  changed(): void {
    if (!this.#isDirty) this.#dirtySinceMs = performance.now()
    this.#isDirty = true
    this.#wake.abort()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    let pauseMs = STATE_RETRY_MS
    while (!signal.aborted) {
      if (this.#isDirty) await sleep(coalesceMs(this.#sentBytes), undefined, { signal }).catch(() => {})
      this.#wake = new AbortController()
      if (signal.aborted) return
      if (this.#isDirty) {
        this.#isDirty = false
        pauseMs = STATE_RETRY_MS
        try {
          const outcome = await this.#keep(signal)
          // What changed meanwhile is in no version yet.
          if (outcome !== 'kept') this.#isDirty = true
          if (outcome === 'rival') pauseMs = Math.random() * STATE_RIVAL_MS
          this.#hasFailed = outcome !== 'kept'
        } catch (error) {
          if (signal.aborted) return
          this.#isDirty = true
          this.#hasFailed = true
          this.#dependencies.log.info(
            { err: error },
            "the owner's state could not be kept in the network yet",
          )
        }
      }
      await pause(this.#isDirty ? pauseMs : undefined, this.#wake.signal)
    }
  }

  async #keep(signal: AbortSignal): Promise<Outcome> {
    const { state, ownerSecret, manifestCodec, chunk, placer, leaseMs } = this.#dependencies
    if (chunk.peers().length === 0) return 'nobody'
    const version = await this.#freeVersion(signal)
    const signer = signerOfVersion(ownerSecret(), version)
    const slab = slabIdOf(signer.publicKey)
    const candidates = await placer.candidates({
      group: slab,
      n: STATE_COPIES,
      k: 1,
      columnBytes: 0,
      purpose: 'put',
      exclude: new Set(),
      signal,
    })
    const n = Math.min(STATE_COPIES, candidates.length)
    if (n === 0) return 'nobody'
    const sealed = await manifestCodec.sealLayer(await writeDocument(state, ownerSecret()), {
      slab,
      salt: randomBytes(SALT_BYTES),
      key: stateKey(ownerSecret()),
      signal,
    })
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
    const columnBytes = sealed.pieces.reduce((sum, piece) => sum + piece.length, 0)
    this.#sentBytes = n * columnBytes
    const group = new GroupHolders({
      id: slab,
      redundancy: { k: 1, n },
      columnBytes: Math.min(columnBytes, MAX_COLUMN_BYTES),
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
        this.#retire(version)
      })
      this.#dependencies.onLeases()
      return (await this.#takeOver(version, signal)).taken > 0 ? 'rival' : 'kept'
    } catch (error) {
      signal.throwIfAborted()
      // Holders refuse a second version of a number that they have.
      if ((await this.#takeOver(version, signal)).taken > 0) return 'rival'
      throw error
    } finally {
      group.close()
    }
  }

  /** The next number that no other machine of this owner has used; what such a one knows is taken over first. */
  async #freeVersion(signal: AbortSignal): Promise<number> {
    const last = this.#dependencies.state.versions(1)[0]?.version ?? 0
    const { newest } = await this.#takeOver(last, signal)
    return Math.max(last, newest) + 1
  }

  /**
   * Takes over what other machines of this owner keep as version `last` or, where they went on, as their newest one: how many
   * of them, and the highest number that any has, with what could not be had. It may be what an attempt of this machine that failed has
   * left: that changes nothing.
   */
  async #takeOver(last: number, signal: AbortSignal): Promise<{ taken: number; newest: number }> {
    const { state, ownerSecret, leaseMs } = this.#dependencies
    // Mostly nobody else has gone on, and not far; after a failure one may be far ahead.
    const reach = this.#hasFailed ? {} : { count: STATE_LOOK_AHEAD, ahead: 0 }
    const from = Math.max(1, last)
    const found = await findVersions(this.#dependencies, ownerSecret(), signal, { from, ...reach })
    const others = found.filter(({ slab, indexHash }) => {
      const own = state.slab(slab)?.indexHash
      return own === undefined || own === null || !sameBytes(own, indexHash)
    })
    const newest = others[0]?.version ?? 0
    const rivals = others.filter(({ version }) => version === newest || version === last)
    let taken = 0
    for (const rival of rivals.slice(0, MAX_RIVALS)) {
      const document = await fetchVersion(this.#dependencies, ownerSecret(), rival, signal)
      // What a holder only says to have is nothing that another machine made.
      if (document === undefined) continue
      await mergeDocument(state, ownerSecret(), await readDocument(document), leaseMs)
      taken += 1
    }
    return { taken, newest }
  }

  /** The last versions stay, and the marks; the others are deleted at their holders, by and by. */
  #retire(newest: number): void {
    const { state } = this.#dependencies
    for (const { version, slab } of state.versions(STATE_MARK_EVERY)) {
      if (version > newest - STATE_VERSIONS_KEPT || version % STATE_MARK_EVERY === 0) continue
      state.setSlabState(slab, 'deleting')
      state.removeVersion(version)
    }
  }
}

/** How long changes are gathered, when the last version took so many bytes. */
export function coalesceMs(sentBytes: number): number {
  const byRateMs = (sentBytes / STATE_BYTES_PER_SECOND) * 1_000
  return Math.min(STATE_MAX_COALESCE_MS, Math.max(STATE_COALESCE_MS, byRateMs))
}

async function pause(timeoutMs: number | undefined, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  if (timeoutMs !== undefined) {
    await sleep(timeoutMs, undefined, { signal }).catch(() => {})
    return
  }
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
