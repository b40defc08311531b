/** What the worker threads do with segments: pure functions over their tasks. */
import { pieceRoot } from '../../../protocols/chunk/format/merkle.ts'
import { pieceBytesOf } from '../../../protocols/chunk/format/slab-index.ts'
import { discard } from './discard.ts'
import type { Erasure } from './erasure.ts'
import { vaultInvalid } from './errors.ts'
import { HASH_BYTES } from './limits.ts'
import { choosePieces, type Pieces } from './pieces.ts'
import { openSegment, sealSegment } from './segment.ts'
import type { DecodeTask, EncodeAnswer, EncodeTask, RebuildAnswer, RebuildTask } from './tasks.ts'

export function encodeSegment(task: EncodeTask, erasure: Erasure): EncodeAnswer {
  const { redundancy } = task
  const { mode, sealed, compressMs, sealMs } = sealSegment(task.segment, task, task.key)
  const sealedMs = performance.now()
  const pieces = redundancy.k === 1 ? sealed : erasure.encode(sealed, redundancy)
  const codedMs = performance.now()
  const sealedBytes = sealed.length
  if (pieces !== sealed) discard(sealed)
  const roots = rootsOf(pieces, pieceBytesOf(sealedBytes, redundancy.k))
  return {
    mode,
    sealedBytes,
    pieces,
    roots,
    stageMs: {
      compress: compressMs,
      seal: sealMs,
      encode: codedMs - sealedMs,
      hash: performance.now() - codedMs,
    },
  }
}

/** @throws ERR_VAULT_INVALID */
export function decodeSegment(task: DecodeTask, erasure: Erasure): Uint8Array<ArrayBuffer> {
  const sealed = sealedOf(task, erasure)
  const segment = openSegment(sealed, task.mode, task, task.key)
  if (task.redundancy.k > 1) discard(sealed)
  return segment
}

/** @throws ERR_VAULT_INVALID */
export function rebuildPieces(task: RebuildTask, erasure: Erasure): RebuildAnswer {
  const { columns, redundancy, sealedBytes } = task
  const pieceBytes = pieceBytesOf(sealedBytes, redundancy.k)
  if (redundancy.k === 1) {
    const pieces = sealedOf(task, erasure)
    return { pieces, roots: rootsOf(pieces, pieceBytes) }
  }
  const data = dataOf(task, erasure)
  // Data pieces are there now; parity follows from them as it did at first, as far as it is asked for.
  const rows = Math.max(...columns) + 1
  const all = rows <= redundancy.k ? data : erasure.encode(data, { k: redundancy.k, n: rows })
  const pieces = new Uint8Array(columns.length * pieceBytes)
  for (const [at, column] of columns.entries()) {
    pieces.set(all.subarray(column * pieceBytes, (column + 1) * pieceBytes), at * pieceBytes)
  }
  if (all !== data) discard(all)
  discard(data)
  return { pieces, roots: rootsOf(pieces, pieceBytes) }
}

interface Coded {
  pieces: Pieces
  sealedBytes: number
  redundancy: { k: number; n: number }
}

function sealedOf(coded: Coded, erasure: Erasure): Uint8Array {
  if (coded.redundancy.k > 1) return dataOf(coded, erasure).subarray(0, coded.sealedBytes)
  const [piece] = choosePieces(coded.pieces, coded.redundancy, coded.sealedBytes).values()
  if (piece === undefined) throw vaultInvalid('there is no piece')
  return piece
}

function dataOf({ pieces, sealedBytes, redundancy }: Coded, erasure: Erasure): Uint8Array<ArrayBuffer> {
  const pieceBytes = pieceBytesOf(sealedBytes, redundancy.k)
  return erasure.data(choosePieces(pieces, redundancy, pieceBytes), redundancy, pieceBytes)
}

function rootsOf(pieces: Uint8Array, pieceBytes: number): Uint8Array {
  const count = pieces.length / pieceBytes
  const roots = new Uint8Array(count * HASH_BYTES)
  for (let at = 0; at < count; at++) {
    roots.set(pieceRoot(pieces.subarray(at * pieceBytes, (at + 1) * pieceBytes)), at * HASH_BYTES)
  }
  return roots
}
