/** What the vault runs in worker threads, by name; `src/workers` calls it. */
import { workerTask } from '../../workers/task.ts'
import { entriesFromBytes, entriesToBytes, headFromBytes, headToBytes } from './body.ts'
import { decodeSegment, encodeSegment, rebuildPieces } from './coding.ts'
import { discard } from './discard.ts'
import { loadErasure } from './erasure.ts'
import { openPiece, sealPiece } from './layer.ts'
import type {
  BodyHead,
  BytesTask,
  DecodeTask,
  EncodeAnswer,
  EncodeTask,
  EntryBatch,
  OpenPieceAnswer,
  OpenPieceTask,
  RebuildAnswer,
  RebuildTask,
  SealPieceAnswer,
  SealPieceTask,
} from './tasks.ts'

const erasure = loadErasure()

export const encode = workerTask<EncodeTask, EncodeAnswer>((task) => {
  const value = encodeSegment(task, erasure)
  discard(task.segment)
  return { value, transfer: [bufferOf(value.pieces)] }
})

export const decode = workerTask<DecodeTask, Uint8Array>((task) => {
  const value = decodeSegment(task, erasure)
  discardAll(task)
  return { value, transfer: [value.buffer] }
})

export const rebuild = workerTask<RebuildTask, RebuildAnswer>((task) => {
  const value = rebuildPieces(task, erasure)
  if (task.redundancy.k > 1) discardAll(task)
  return { value, transfer: [bufferOf(value.pieces)] }
})

export const seal = workerTask<SealPieceTask, SealPieceAnswer>((task) => {
  const value = sealPiece(task)
  return { value, transfer: [bufferOf(value.piece)] }
})

export const open = workerTask<OpenPieceTask, OpenPieceAnswer>((task) => {
  const value = openPiece(task)
  return { value, transfer: [bufferOf(value.segment)] }
})

export const encodeHead = workerTask<BodyHead, Uint8Array>((head) => {
  const value = headToBytes(head)
  return { value, transfer: [bufferOf(value)] }
})

export const encodeEntries = workerTask<EntryBatch, Uint8Array>((batch) => {
  const value = entriesToBytes(batch)
  return { value, transfer: [bufferOf(value)] }
})

export const decodeHead = workerTask<BytesTask, BodyHead>(({ bytes }) => ({ value: headFromBytes(bytes) }))

export const decodeEntries = workerTask<BytesTask, EntryBatch>(({ bytes }) => {
  const value = entriesFromBytes(bytes)
  return { value, transfer: [bufferOf(value.hashes)] }
})

/** What came in is this thread's alone and of no more use. */
function discardAll({ pieces }: DecodeTask | RebuildTask): void {
  for (const piece of pieces.values()) discard(piece)
}

/** Every array here is alone in its buffer. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer as ArrayBuffer
}
