import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { slabIdOf, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import { stateKey, stateSlabSalt } from '../codec/index.ts'
import { mergeDocument, readDocument, writeDocument } from './document.ts'
import {
  RENEW_PART,
  STATE_BYTES_PER_SECOND,
  STATE_COALESCE_MS,
  STATE_COPIES,
  STATE_LATE_MS,
  STATE_LOOK_AHEAD,
  STATE_MARK_EVERY,
  STATE_MAX_COALESCE_MS,
  STATE_RETRY_MS,
  STATE_VERSIONS_KEPT,
} from './limits.ts'
import type { OwnerDependencies } from './put/dependencies.ts'
import { GroupHolders } from './put/group-holders.ts'
import { uploadCopies } from './put/upload-copies.ts'
import { fetchVersion, findVersions, signerOfVersion } from './state-versions.ts'

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
    while (!signal.aborted) {
      if (this.#isDirty) await sleep(coalesceMs(this.#sentBytes), undefined, { signal }).catch(() => {})
      this.#wake = new AbortController()
      if (signal.aborted) return
      if (this.#isDirty) {
        this.#isDirty = false
        try {
          const isKept = await this.#keep(signal)
          // What changed meanwhile is in no version yet.
          if (!isKept) this.#isDirty = true
          this.#hasFailed = !isKept
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
      const pauseMs = this.#isDirty ? STATE_RETRY_MS : undefined
      await pause(pauseMs, this.#wake.signal)
    }
  }

  /** False: nobody takes it now. */
  async #keep(signal: AbortSignal): Promise<boolean> {
    const { state, ownerSecret, manifestCodec, chunk, placer, leaseMs } = this.#dependencies
    if (chunk.peers().length === 0) return false
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
    if (n === 0) return false
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
      signal,
    })
    try {
      await group.place()
      const pieces = sealed.pieces.map((bytes, at) => ({ bytes, root: sealed.roots[at] as Uint8Array }))
      const stored = await uploadCopies(this.#dependencies, { slab, signer, pieces, n, group, lease, signal })
      if (stored.receipts.length === 0) return false
      await state.database.write(() => {
        const { columnBytes: bytes, hash } = stored.index
        state.finishSlab({ id: slab, salt, modes: new Uint8Array(0), columnBytes: bytes, indexHash: hash })
        for (const { receipt, peer } of stored.receipts) state.setReceipt(receipt, peer)
        this.#retire(version)
      })
      this.#dependencies.onLeases()
      return true
    } finally {
      group.close()
    }
  }

  /** The next number that no other machine of this owner has used; what such a one knows is taken over first. */
  async #freeVersion(signal: AbortSignal): Promise<number> {
    const { state, ownerSecret, leaseMs } = this.#dependencies
    const last = state.versions(1)[0]?.version ?? 0
    const own = new Set(state.versions(STATE_MARK_EVERY).map(({ slab }) => slabKeyOf(slab)))
    // Mostly nobody else has gone on, and not far; after a failure one may be far ahead.
    const reach = this.#hasFailed ? {} : { count: STATE_LOOK_AHEAD, ahead: 0 }
    const from = Math.max(1, last)
    const found = await findVersions(this.#dependencies, ownerSecret(), signal, { from, ...reach })
    const newest = found.find(({ slab }) => !own.has(slabKeyOf(slab)))
    if (newest === undefined) return last + 1
    const document = await fetchVersion(this.#dependencies, ownerSecret(), newest, signal)
    if (document !== undefined)
      await mergeDocument(state, ownerSecret(), await readDocument(document), leaseMs)
    return Math.max(last, newest.version) + 1
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
