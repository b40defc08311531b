/** A piece in parts of about equal length, none longer than `mostBytes`: a remainder of a few bytes costs a whole frame. */
export function* partsOf(
  piece: Uint8Array,
  mostBytes: number,
): Generator<{ offset: number; data: Uint8Array }> {
  const partBytes = Math.ceil(piece.length / Math.ceil(piece.length / mostBytes))
  for (let offset = 0; offset < piece.length; offset += partBytes) {
    yield { offset, data: piece.subarray(offset, offset + partBytes) }
  }
}
