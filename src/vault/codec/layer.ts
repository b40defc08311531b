/** Segments of slabs that are kept as copies of themselves: manifests, versions of the owner's state. */
import { pieceRoot } from '../../../protocols/chunk/format/merkle.ts'
import { vaultInvalid } from './errors.ts'
import { segmentKey } from './keys.ts'
import { PIECE_HEADER_BYTES } from './limits.ts'
import { isSealedLength, openSegment, sealSegment } from './segment.ts'
import type { OpenPieceAnswer, OpenPieceTask, SealPieceAnswer, SealPieceTask } from './tasks.ts'

/** `mode ‖ salt ‖ sealed segment`, and its root. */
export function sealPiece(task: SealPieceTask): SealPieceAnswer {
  const { layer, layerKey, salt, number, segment } = task
  const { mode, sealed } = sealSegment(segment, task, segmentKey(layer, layerKey, salt, number))
  const piece = new Uint8Array(PIECE_HEADER_BYTES + sealed.length)
  piece[0] = mode
  piece.set(salt, 1)
  piece.set(sealed, PIECE_HEADER_BYTES)
  return { piece, root: Uint8Array.from(pieceRoot(piece)) }
}

/** @throws ERR_VAULT_INVALID */
export function openPiece(task: OpenPieceTask): OpenPieceAnswer {
  const { layer, layerKey, number, piece } = task
  const mode = piece[0]
  if (mode === undefined || !isSealedLength(piece.length - PIECE_HEADER_BYTES)) {
    throw vaultInvalid(`${task.name} has a length that no piece of it has: ${piece.length} bytes`)
  }
  const salt = piece.slice(1, PIECE_HEADER_BYTES)
  const sealed = piece.subarray(PIECE_HEADER_BYTES)
  return { segment: openSegment(sealed, mode, task, segmentKey(layer, layerKey, salt, number)), salt }
}
