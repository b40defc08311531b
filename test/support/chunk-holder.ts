import { ChunkRefusedError, ChunkStatus } from '../../protocols/chunk/errors.ts'
import {
  decodeDeletion,
  decodeIndex,
  decodeLease,
  pieceRoot,
  prove,
  sameBytes,
  type Signer,
  signReceipt,
  slabIdOf,
  slabKeyOf,
} from '../../protocols/chunk/format/index.ts'
import type {
  Capacity,
  ChunkHolder,
  ColumnDraft,
  Found,
  HeldColumn,
  Hint,
  Lease,
  LocateQuery,
  Proof,
  SignedBytes,
  SlabId,
  SlabIndex,
  StoreOpen,
} from '../../protocols/chunk/types.ts'

export interface MemoryColumn {
  column: number
  index: SlabIndex
  pieces: Uint8Array[]
  lease: Lease
}

/** Keeps columns in memory, with all the checks of a real holder and hooks to make it slow or to let it lie. */
export class MemoryHolder implements ChunkHolder {
  readonly columns = new Map<string, MemoryColumn>()
  readonly deletions: SignedBytes[] = []
  readonly hints: Hint[] = []
  readonly claims = new Map<string, string>()
  readonly tombstoned = new Map<string, SignedBytes>()
  /** Drafts that are neither committed nor aborted. */
  openDrafts = 0
  writtenBytes = 0
  reads = 0
  freeBytes = 1024 ** 3
  found: Found[] = []
  beforeBegin: (() => Promise<void>) | undefined
  beforeWrite: (() => Promise<void>) | undefined
  beforeCommit: (() => Promise<void>) | undefined
  beforePiece: (() => Promise<void>) | undefined
  beforeLocate: ((signal: AbortSignal) => Promise<void>) | undefined
  /** Changes what is given: a holder that lies. */
  bendPiece: ((piece: Uint8Array) => Uint8Array) | undefined
  bendTombstone: ((slab: SlabId) => SignedBytes | undefined) | undefined
  bendProof: ((proof: Proof) => Proof) | undefined
  bendReceipt: ((receipt: SignedBytes) => SignedBytes) | undefined
  readonly #networkName: string
  readonly #signer: Signer

  constructor(networkName: string, signer: Signer) {
    this.#networkName = networkName
    this.#signer = signer
  }

  capacity(): Capacity {
    const { freeBytes } = this
    return { accepts: freeBytes > 0, offeredBytes: 1024 ** 3, freeBytes, repairFreeBytes: freeBytes / 2 }
  }

  async begin(open: StoreOpen): Promise<ColumnDraft> {
    await this.beforeBegin?.()
    const lease = decodeLease(open.lease, this.#networkName)
    if (!sameBytes(lease.publicKey, open.publicKey)) throw new ChunkRefusedError(ChunkStatus.invalid)
    const key = slabKeyOf(slabIdOf(open.publicKey))
    if (this.tombstoned.has(key)) throw new ChunkRefusedError(ChunkStatus.tombstoned)
    if (this.columns.has(key)) throw new ChunkRefusedError(ChunkStatus.conflict)
    if (open.maxColumnBytes > this.freeBytes) throw new ChunkRefusedError(ChunkStatus.noSpace)
    this.openDrafts += 1
    return this.#draft(open, lease, key)
  }

  #draft(open: StoreOpen, lease: Lease, key: string): ColumnDraft {
    const pieces: { bytes: Uint8Array; filled: number }[] = []
    let isOpen = true
    return {
      beginPiece: (pieceBytes) => void pieces.push({ bytes: new Uint8Array(pieceBytes), filled: 0 }),
      write: async (bytes) => {
        await this.beforeWrite?.()
        const piece = pieces.at(-1)!
        piece.bytes.set(bytes, piece.filled)
        piece.filled += bytes.length
        this.writtenBytes += bytes.length
      },
      commit: async (signed) => {
        await this.beforeCommit?.()
        const index = decodeIndex(signed, this.#networkName)
        const { slab, group, k, n } = index
        const isSame = slabKeyOf(slab) === key && sameBytes(group, open.group) && k === open.k && n === open.n
        const fits =
          pieces.length === index.sealedBytes.length &&
          pieces.every(({ bytes }, segment) => sameBytes(pieceRoot(bytes), index.root(segment, open.column)))
        if (!isSame || !fits) throw new ChunkRefusedError(ChunkStatus.invalid)
        this.columns.set(key, {
          column: open.column,
          index,
          lease,
          pieces: pieces.map(({ bytes }) => bytes),
        })
        if (isOpen) this.openDrafts -= 1
        isOpen = false
        const receipt = signReceipt(this.#signer, this.#networkName, {
          slab,
          column: open.column,
          indexHash: index.hash,
          untilMs: lease.untilMs,
          atMs: Date.now(),
        })
        return this.bendReceipt?.(receipt.signed) ?? receipt.signed
      },
      abort: async () => {
        if (isOpen) this.openDrafts -= 1
        isOpen = false
      },
    }
  }

  have(slabs: readonly SlabId[]): HeldColumn[] {
    return slabs.flatMap((slab) => {
      const held = this.columns.get(slabKeyOf(slab))
      if (held === undefined) return []
      return [{ slab, column: held.column, indexHash: held.index.hash, untilMs: held.lease.untilMs }]
    })
  }

  async index(slab: SlabId): Promise<SignedBytes | undefined> {
    return this.columns.get(slabKeyOf(slab))?.index.signed
  }

  lease(slab: SlabId): SignedBytes | undefined {
    return this.columns.get(slabKeyOf(slab))?.lease.signed
  }

  async piece(slab: SlabId, segment: number): Promise<Uint8Array | undefined> {
    this.reads += 1
    await this.beforePiece?.()
    const piece = this.columns.get(slabKeyOf(slab))?.pieces[segment]
    return piece === undefined ? undefined : (this.bendPiece?.(piece) ?? piece)
  }

  async prove(slab: SlabId, segment: number, leaf: number): Promise<Proof | undefined> {
    const piece = this.columns.get(slabKeyOf(slab))?.pieces[segment]
    if (piece === undefined) return undefined
    const proof = prove(piece, leaf)
    return this.bendProof?.(proof) ?? proof
  }

  async renew(signed: SignedBytes): Promise<void> {
    const lease = decodeLease(signed, this.#networkName)
    const held = this.columns.get(slabKeyOf(lease.slab))
    if (held === undefined) throw new ChunkRefusedError(ChunkStatus.notHeld)
    if (lease.sequence <= held.lease.sequence) throw new ChunkRefusedError(ChunkStatus.conflict)
    held.lease = lease
  }

  async remove(signed: SignedBytes): Promise<void> {
    const key = slabKeyOf(decodeDeletion(signed, this.#networkName).slab)
    this.columns.delete(key)
    this.tombstoned.set(key, signed)
    this.deletions.push(signed)
  }

  tombstone(slab: SlabId): SignedBytes | undefined {
    return this.bendTombstone === undefined ? this.tombstoned.get(slabKeyOf(slab)) : this.bendTombstone(slab)
  }

  tombstones(after: number, limit: number): { deletions: SignedBytes[]; next: number } {
    const deletions = this.deletions.slice(after, after + limit)
    return { deletions, next: after + deletions.length }
  }

  claim(slab: SlabId, column: number, _ttlMs: number, peer: string): boolean {
    const key = `${slabKeyOf(slab)}/${column}`
    const owner = this.claims.get(key) ?? peer
    this.claims.set(key, owner)
    return owner === peer
  }

  hint(hint: Hint): void {
    this.hints.push(hint)
  }

  async locate(_query: LocateQuery, _peer: string, signal: AbortSignal): Promise<Found[]> {
    await this.beforeLocate?.(signal)
    return this.found
  }
}
