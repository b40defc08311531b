import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_SEGMENTS } from './format/limits.ts'

/** Keeps that the pieces of a store come in order: segments from 0 on, the parts of each from its begin to its end. */
export class PieceOrder {
  readonly #maxBytes: number
  #segment = -1
  #filledBytes = 0
  #pieceBytes = 0
  #columnBytes = 0

  /** `maxBytes`: what was reserved for the column. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** True once there is a piece and every one that began is whole. */
  get isAtEndOfPiece(): boolean {
    return this.#segment >= 0 && this.#filledBytes === this.#pieceBytes
  }

  /** @throws ProtocolViolationError */
  accept(part: { segment: number; offset: number; totalBytes: number; dataBytes: number }): void {
    if (part.offset === 0) this.#begin(part.segment, part.totalBytes)
    const continues =
      part.segment === this.#segment &&
      part.offset === this.#filledBytes &&
      part.totalBytes === this.#pieceBytes
    if (!continues) throw new ProtocolViolationError('piece-order', 'a part that does not continue its piece')
    this.#filledBytes += part.dataBytes
  }

  #begin(segment: number, pieceBytes: number): void {
    const isNext = segment === this.#segment + 1 && this.#filledBytes === this.#pieceBytes
    if (!isNext || segment >= MAX_SEGMENTS) {
      throw new ProtocolViolationError('piece-order', 'a piece that is not the next')
    }
    this.#columnBytes += pieceBytes
    if (this.#columnBytes > this.#maxBytes) {
      throw new ProtocolViolationError('oversize-column', 'more pieces than there was room reserved for')
    }
    this.#segment = segment
    this.#pieceBytes = pieceBytes
    this.#filledBytes = 0
  }
}
