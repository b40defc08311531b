import { createHash, hash } from 'node:crypto'
import { join } from 'node:path'
import {
  type IndexFields,
  ed25519Signer,
  pieceBytesOf,
  pieceRoot,
  signDeletion,
  signIndex,
  signLease,
} from '../../protocols/chunk/format/index.ts'
import type { Deletion, Lease, SignedBytes, SlabId, SlabIndex } from '../../protocols/chunk/types.ts'
import type { FileSystem } from '../../src/storage/files/file-system.ts'
import type { Durability } from '../../src/storage/blocks/schema.ts'
import type { ColumnStore } from '../../src/storage/columns/columns.ts'
import {
  type ColumnRow,
  type Columns,
  type Draft,
  type DraftOptions,
  openColumns,
} from '../../src/storage/columns/index.ts'
import { openState, type StateDatabase } from '../../src/storage/state/index.ts'
import type { Logger } from '../../src/telemetry/types.ts'
import { silentLog } from './storage-blocks.ts'

export const NETWORK = 'test'
export const UNTIL_MS = 2_000_000_000_000
export const PEER = '12D3KooWOwner'

/** The same bytes for the same seed, incompressible. */
export function seededBytes(seed: string, sizeBytes: number): Uint8Array {
  return new Uint8Array(createHash('shake256', { outputLength: sizeBytes }).update(seed).digest())
}

/** Without the class that node:crypto gives: as the store gives it back. */
export function plainSigned({ payload, signature }: SignedBytes): SignedBytes {
  return { payload: Uint8Array.from(payload), signature: Uint8Array.from(signature) }
}

/** One column of a slab whose other columns are only claimed. */
export interface TestColumn {
  slab: SlabId
  column: number
  pieces: Uint8Array[]
  index: SlabIndex
  open: DraftOptions
  lease(fields: { untilMs?: number; sequence: number }): Lease
  deletion(): Deletion
  /** Signed by the same slab, of other content. */
  otherIndex(): SlabIndex
}

export interface TestColumnOptions {
  column?: number
  k?: number
  n?: number
  /** Of each segment. */
  sealedBytes?: number[]
  group?: SlabId
  untilMs?: number
  peer?: string
  repair?: boolean
}

export function testColumn(seed: number | string, options: TestColumnOptions = {}): TestColumn {
  const { column = 1, k = 2, n = 4, sealedBytes = [3_000, 40_000], untilMs = UNTIL_MS } = options
  const name = String(seed)
  const signer = ed25519Signer(hash('sha256', `slab ${name}`, 'buffer'))
  const pieces = sealedBytes.map((bytes, segment) =>
    seededBytes(`piece ${name} ${segment} ${column}`, pieceBytesOf(bytes, k)),
  )
  const claimed = (segment: number, other: number): Uint8Array =>
    hash('sha256', `root ${name} ${segment} ${other}`, 'buffer')
  const rootsOf = (real: boolean): Uint8Array[] =>
    pieces.flatMap((piece, segment) =>
      Array.from({ length: n }, (_, other) =>
        other === column && real ? pieceRoot(piece) : claimed(segment, other),
      ),
    )
  const group = options.group ?? hash('sha256', signer.publicKey, 'buffer')
  const fields = (real: boolean): IndexFields => ({ group, k, n, sealedBytes, roots: rootsOf(real) })
  const index = signIndex(signer, NETWORK, fields(true))
  const lease = (fields: { untilMs?: number; sequence: number }): Lease =>
    signLease(signer, NETWORK, { untilMs, ...fields })
  return {
    slab: index.slab,
    column,
    pieces,
    index,
    open: {
      slab: index.slab,
      publicKey: signer.publicKey,
      group,
      column,
      k,
      n,
      maxColumnBytes: index.columnBytes,
      untilMs,
      lease: lease({ sequence: 1 }).signed,
      leaseSequence: 1,
      purse: options.repair === true ? { kind: 'repair' } : { kind: 'depositor', peer: options.peer ?? PEER },
    },
    lease,
    deletion: () => signDeletion(signer, NETWORK, { atMs: 1_000 }),
    otherIndex: () => signIndex(signer, NETWORK, fields(false)),
  }
}

/** Begins a draft; fails where the column is held already. */
export async function beginDraft(columns: Columns, open: DraftOptions): Promise<Draft> {
  const begun = await columns.begin(open)
  if ('alreadyHeld' in begun) throw new Error('held already')
  return begun
}

/** Writes the pieces, in parts. */
export async function writePieces(
  draft: Draft,
  pieces: readonly Uint8Array[],
  partBytes = 128 * 1024,
): Promise<void> {
  for (const piece of pieces) {
    draft.beginPiece(piece.byteLength)
    for (let at = 0; at < piece.byteLength; at += partBytes) {
      await draft.write(piece.subarray(at, at + partBytes))
    }
  }
}

export async function storeColumn(columns: Columns, column: TestColumn): Promise<ColumnRow> {
  const draft = await beginDraft(columns, column.open)
  await writePieces(draft, column.pieces)
  return draft.commit(column.index)
}

/** Every piece as the store gives it; undefined from the first that it does not have. */
export async function readColumn(
  columns: Columns,
  { slab, pieces }: TestColumn,
): Promise<Uint8Array[] | undefined> {
  const read: Uint8Array[] = []
  for (const segment of pieces.keys()) {
    const piece = await columns.piece(slab, segment, { signal: new AbortController().signal })
    if (piece === undefined) return undefined
    read.push(piece)
  }
  return read
}

export interface OpenedColumns extends AsyncDisposable {
  columns: ColumnStore
  state: StateDatabase
  /** Rows told to `onRot`. */
  rotten: ColumnRow[]
}

/** The store of columns without blocks, so without a quota beyond the offer. */
export async function openTestColumns(
  home: string,
  options: {
    offerBytes?: number
    durability?: Durability
    scrubRateBytesPerSecond?: number
    fs?: FileSystem
    log?: Logger
    now?: () => number
  } = {},
): Promise<OpenedColumns> {
  const { fs, now, log = silentLog } = options
  const state = await openState({ path: join(home, 'state.db'), log })
  try {
    const columns = await openColumns({
      home,
      state,
      config: {
        offerBytes: options.offerBytes ?? 2 ** 30,
        durability: options.durability ?? 'full',
        scrubRateBytesPerSecond: options.scrubRateBytesPerSecond ?? 0,
      },
      quota: { freeBytes: () => Number.MAX_SAFE_INTEGER, join() {} },
      log,
      ...(fs === undefined ? {} : { fs }),
      ...(now === undefined ? {} : { now }),
    })
    const rotten: ColumnRow[] = []
    columns.onRot((row) => rotten.push(row))
    return {
      columns,
      state,
      rotten,
      async [Symbol.asyncDispose]() {
        await columns.close()
        await state.close()
      },
    }
  } catch (error) {
    await state.close()
    throw error
  }
}
