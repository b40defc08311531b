import { PieceHasher } from '../../../protocols/chunk/format/index.ts'
import type { Turns } from '../files/turns.ts'
import { HASH_STEP_BYTES } from './limits.ts'

/** Feeds bytes to a hasher in steps, so that a long piece leaves the event loop its turns. */
export async function hashInSteps(hasher: PieceHasher, bytes: Uint8Array, turns: Turns): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += HASH_STEP_BYTES) {
    const turn = turns.take()
    if (turn !== undefined) await turn
    hasher.update(bytes.subarray(at, at + HASH_STEP_BYTES))
  }
}

/** The Merkle root of a whole piece. */
export async function rootInSteps(piece: Uint8Array, turns: Turns): Promise<Uint8Array> {
  const hasher = new PieceHasher()
  await hashInSteps(hasher, piece, turns)
  return hasher.digest()
}
