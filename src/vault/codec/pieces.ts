import type { Redundancy } from '../types.ts'
import { vaultInvalid } from './errors.ts'

/** Pieces of one segment by their column. */
export type Pieces = ReadonlyMap<number, Uint8Array>

/**
 * Chooses k of the pieces that were given, data pieces first: each of those is a row less to compute.
 *
 * @throws ERR_VAULT_INVALID where they are too few, or one has another length than the index says
 */
export function choosePieces(
  pieces: Pieces,
  redundancy: Redundancy,
  pieceBytes: number,
): Map<number, Uint8Array> {
  const { k, n } = redundancy
  const chosen = new Map<number, Uint8Array>()
  for (const [column, bytes] of [...pieces].sort(([a], [b]) => a - b)) {
    if (chosen.size === k) break
    if (!Number.isInteger(column) || column < 0 || column >= n) {
      throw vaultInvalid(`piece ${column} is not one of ${n}`, { column })
    }
    if (bytes.length !== pieceBytes) {
      throw vaultInvalid(`piece ${column} has ${bytes.length} bytes and not ${pieceBytes}`, { column })
    }
    chosen.set(column, bytes)
  }
  if (chosen.size < k) {
    throw vaultInvalid(`${chosen.size} pieces are too few to put a segment together from ${k} of ${n}`, {
      pieces: chosen.size,
      k,
      n,
    })
  }
  return chosen
}
