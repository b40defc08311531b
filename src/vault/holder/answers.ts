import {
  MAX_SEALED_BYTES,
  MAX_SEGMENTS,
  pieceBytesOf,
  redundancyProblem,
  sameBytes,
  type Signer,
  signReceipt,
  slabIdOf,
} from '../../../protocols/chunk/format/index.ts'
import { PUBLIC_KEY_BYTES, isSlabId } from '../../../protocols/chunk/format/index.ts'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type {
  Capacity,
  ChunkHolder,
  ColumnDraft,
  Found,
  HeldColumn,
  Hint,
  LocateQuery,
  Proof,
  SignedBytes,
  SlabId,
  StoreOpen,
} from '../../../protocols/chunk/types.ts'
import type { AlreadyHeld, ColumnRow, Columns, Draft } from '../../storage/columns/types.ts'
import type { Policy } from '../../trust/contract.ts'
import type { ClaimTable } from './claims.ts'
import type { Counters } from './counters.ts'
import type { Statements } from './statements.ts'

/** Answers for others where a slab is: the reader's part. */
export type LocateAnswerer = (query: LocateQuery, peer: string, signal: AbortSignal) => Promise<Found[]>

export interface AnswersOptions {
  columns: Columns
  networkName: string
  /** Signs receipts: this node's peer key. */
  signer: Signer
  statements: Statements
  claims: ClaimTable
  trust: Policy
  counters: Counters
  nowMs: () => number
  /** `storage.offer`; 0: nothing is taken. */
  offeredBytes: number
  /** While it leaves, this node takes nothing. */
  isLeaving: () => boolean
  /** While it may hold what was deleted meanwhile, this node neither serves nor takes. */
  isStale: () => boolean
  /** While a twin of this node's column is challenged, which may not answer with what it gets from here. */
  isChallenging: (slab: SlabId) => boolean
  /** Keeps an owner's deletion, or throws why not. */
  remove: (deletion: SignedBytes, peer: string) => Promise<void>
  hint: (hint: Hint, peer: string) => void
  locate: LocateAnswerer
  onStored: (row: ColumnRow) => void
}

/** The longest column that a slab can have. */
function maxColumnBytes(k: number): number {
  return MAX_SEGMENTS * pieceBytesOf(MAX_SEALED_BYTES, k)
}

/** This node as a holder: what it answers to the chunk protocol. */
export class Answers implements ChunkHolder {
  readonly #options: AnswersOptions
  readonly #committing = new Set<Promise<SignedBytes>>()

  constructor(options: AnswersOptions) {
    this.#options = options
  }

  capacity(peer: string): Capacity {
    const { columns, offeredBytes } = this.#options
    if (!this.#accepts(peer)) return { accepts: false, offeredBytes, freeBytes: 0, repairFreeBytes: 0 }
    const { depositorBytes, repairBytes } = columns.free(peer)
    return { accepts: true, offeredBytes, freeBytes: depositorBytes, repairFreeBytes: repairBytes }
  }

  /** Resolves once what is being committed now has ended, well or not. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#committing)
  }

  async begin(open: StoreOpen, peer: string): Promise<ColumnDraft> {
    const { columns, statements, counters } = this.#options
    try {
      if (this.#options.isStale()) throw new ChunkRefusedError(ChunkStatus.busy)
      if (!this.#accepts(peer)) throw new ChunkRefusedError(ChunkStatus.refused)
      checkOpen(open)
      const lease = statements.lease(open.lease, peer)
      if (!sameBytes(lease.publicKey, open.publicKey)) throw new ChunkRefusedError(ChunkStatus.invalid)
      const draft = await columns.begin({
        slab: lease.slab,
        publicKey: open.publicKey,
        group: open.group,
        column: open.column,
        k: open.k,
        n: open.n,
        maxColumnBytes: open.maxColumnBytes,
        untilMs: lease.untilMs,
        lease: open.lease,
        leaseSequence: lease.sequence,
        purse: open.purpose === 'put' ? { kind: 'depositor', peer } : { kind: 'repair' },
      })
      return 'alreadyHeld' in draft ? this.#heldDraft(draft, open, peer) : this.#newDraft(draft, open, peer)
    } catch (error) {
      counters.storesRefused += 1
      throw error
    }
  }

  have(slabs: readonly SlabId[]): HeldColumn[] {
    this.#refuseWhileStale()
    return this.#options.columns.have(slabs)
  }

  async index(slab: SlabId): Promise<SignedBytes | undefined> {
    this.#refuseWhileStale()
    return this.#options.columns.index(slab)
  }

  lease(slab: SlabId): SignedBytes | undefined {
    this.#refuseWhileStale()
    return this.#options.columns.lease(slab)
  }

  async piece(
    slab: SlabId,
    segment: number,
    options: { signal: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    this.#refuseWhileStale()
    this.#refuseWhileChallenging(slab)
    return this.#options.columns.piece(slab, segment, options)
  }

  async prove(slab: SlabId, segment: number, leaf: number): Promise<Proof | undefined> {
    this.#refuseWhileStale()
    this.#refuseWhileChallenging(slab)
    return this.#options.columns.prove(slab, segment, leaf)
  }

  async renew(signed: SignedBytes, peer: string): Promise<void> {
    const { columns, statements } = this.#options
    const lease = statements.lease(signed, peer)
    if (columns.isBuried(lease.slab)) throw new ChunkRefusedError(ChunkStatus.tombstoned)
    const held = columns.get(lease.slab)
    if (held === undefined) throw new ChunkRefusedError(ChunkStatus.notHeld)
    // Also the one that is known already, since the answer to it may have been lost: it may not be durable yet.
    await columns.renew(lease.slab, { signed, untilMs: lease.untilMs, sequence: lease.sequence })
  }

  remove(deletion: SignedBytes, peer: string): Promise<void> {
    return this.#options.remove(deletion, peer)
  }

  tombstone(slab: SlabId): SignedBytes | undefined {
    return this.#options.columns.tombstone(slab)
  }

  tombstones(after: number, limit: number): { deletions: SignedBytes[]; next: number } {
    return this.#options.columns.tombstones(after, limit)
  }

  claim(slab: SlabId, column: number, ttlMs: number, peer: string): boolean {
    const { columns, claims, counters } = this.#options
    const held = columns.get(slab)
    // Only a co-holder can say anything, and nobody repairs what this node has.
    const mayClaim = held !== undefined && held.column !== column && column < held.n
    const granted = mayClaim && !this.#options.isStale() && claims.claim(slab, column, ttlMs, peer)
    if (granted) counters.claimsGranted += 1
    else counters.claimsRefused += 1
    return granted
  }

  hint(hint: Hint, peer: string): void {
    this.#options.hint(hint, peer)
  }

  locate(query: LocateQuery, peer: string, signal: AbortSignal): Promise<Found[]> {
    return this.#options.locate(query, peer, signal)
  }

  #accepts(peer: string): boolean {
    const { isLeaving, isStale, offeredBytes, trust } = this.#options
    return offeredBytes > 0 && !isLeaving() && !isStale() && trust.decide(peer, 'store').allowed
  }

  #refuseWhileStale(): void {
    if (this.#options.isStale()) throw new ChunkRefusedError(ChunkStatus.busy)
  }

  #refuseWhileChallenging(slab: SlabId): void {
    if (this.#options.isChallenging(slab)) throw new ChunkRefusedError(ChunkStatus.busy)
  }

  #newDraft(draft: Draft, open: StoreOpen, peer: string): ColumnDraft {
    const { statements, counters, onStored } = this.#options
    return {
      write: (bytes) => draft.write(bytes),
      beginPiece: (pieceBytes) => draft.beginPiece(pieceBytes),
      commit: (signed) =>
        this.#committed(async () => {
          const index = statements.index(signed, peer)
          if (!isSameSlab(index, open)) throw new ChunkRefusedError(ChunkStatus.invalid)
          const row = await draft.commit(index)
          counters.columnsStored += 1
          onStored(row)
          return this.#receipt(row)
        }),
      abort: () => draft.abort(),
    }
  }

  /** The column is here already: its bytes are let go, and whoever brings the same index is told again that it is kept. */
  #heldDraft({ alreadyHeld }: AlreadyHeld, open: StoreOpen, peer: string): ColumnDraft {
    const { columns, statements } = this.#options
    return {
      write: async () => {},
      beginPiece: () => {},
      commit: (signed) =>
        this.#committed(async () => {
          const index = statements.index(signed, peer)
          if (!isSameSlab(index, open)) throw new ChunkRefusedError(ChunkStatus.invalid)
          const lease = statements.lease(open.lease, peer)
          const { slab } = alreadyHeld
          if (!sameBytes(index.hash, alreadyHeld.indexHash)) throw new ChunkRefusedError(ChunkStatus.conflict)
          const known = { signed: columns.lease(slab), row: columns.get(slab) }
          if (known.row === undefined || known.signed === undefined)
            throw new ChunkRefusedError(ChunkStatus.conflict)
          // One that is known may not be durable yet, and the receipt names it.
          await columns.renew(
            slab,
            lease.sequence > known.row.leaseSequence
              ? { signed: open.lease, untilMs: lease.untilMs, sequence: lease.sequence }
              : { signed: known.signed, untilMs: known.row.untilMs, sequence: known.row.leaseSequence },
          )
          const row = columns.get(slab)
          if (row === undefined) throw new ChunkRefusedError(ChunkStatus.conflict)
          return this.#receipt(row)
        }),
      abort: async () => {},
    }
  }

  /** Refused by a node that leaves: what it took now would be handed over to nobody. */
  async #committed(commit: () => Promise<SignedBytes>): Promise<SignedBytes> {
    if (this.#options.isLeaving()) throw new ChunkRefusedError(ChunkStatus.refused)
    const committing = commit()
    this.#committing.add(committing)
    try {
      return await committing
    } finally {
      this.#committing.delete(committing)
    }
  }

  #receipt(row: ColumnRow): SignedBytes {
    const { networkName, signer, nowMs } = this.#options
    const { slab, column, indexHash, untilMs } = row
    return signReceipt(signer, networkName, { slab, column, indexHash, untilMs, atMs: nowMs() }).signed
  }
}

/** @throws ChunkRefusedError: `invalid` */
function checkOpen({ publicKey, group, column, k, n, maxColumnBytes: bytes }: StoreOpen): void {
  const isSound =
    publicKey.length === PUBLIC_KEY_BYTES &&
    isSlabId(group) &&
    redundancyProblem(k, n) === undefined &&
    Number.isInteger(column) &&
    column >= 0 &&
    column < n &&
    Number.isSafeInteger(bytes) &&
    bytes > 0 &&
    bytes <= maxColumnBytes(k)
  if (!isSound) throw new ChunkRefusedError(ChunkStatus.invalid)
}

function isSameSlab(index: { slab: SlabId; group: SlabId; k: number; n: number }, open: StoreOpen): boolean {
  return (
    sameBytes(index.slab, slabIdOf(open.publicKey)) &&
    sameBytes(index.group, open.group) &&
    index.k === open.k &&
    index.n === open.n
  )
}
