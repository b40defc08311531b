import { pieceBytesOf, redundancyProblem } from '../../../protocols/chunk/format/slab-index.ts'
import { movable, type WorkerPool, workerEntry } from '../../workers/index.ts'
import type { Redundancy } from '../types.ts'
import { HASH_BYTES } from './limits.ts'
import { choosePieces, type Pieces } from './pieces.ts'
import type { DecodeTask, EncodeAnswer, EncodeTask, RebuildAnswer, RebuildTask } from './tasks.ts'
import type { EncodedSegment, SegmentCodec, SegmentKey } from './types.ts'

/** Where this room's worker tasks are. */
export function codecEntry(): URL {
  return workerEntry('codec', import.meta.url)
}

export function createSegmentCodec(pool: WorkerPool): SegmentCodec {
  return new PooledCodec(pool)
}

class PooledCodec implements SegmentCodec {
  readonly #pool: WorkerPool
  readonly #entry = codecEntry()

  constructor(pool: WorkerPool) {
    this.#pool = pool
  }

  async encode(segment: Uint8Array, options: Parameters<SegmentCodec['encode']>[1]): Promise<EncodedSegment> {
    const { slab, number, key, redundancy, signal } = options
    checkRedundancy(redundancy)
    const moved = movable(segment)
    const args: EncodeTask = { segment: moved, ...ownPlace(slab, number, key), redundancy }
    const answer = await this.#pool.run<EncodeAnswer>({
      entry: this.#entry,
      task: 'encode',
      args,
      transfer: [moved.buffer],
      signal,
    })
    const { k, n } = redundancy
    const cut = k === 1 ? 0 : 1
    const pieceBytes = pieceBytesOf(answer.sealedBytes, k)
    return {
      mode: answer.mode,
      sealedBytes: answer.sealedBytes,
      pieces: Array.from({ length: n }, (_, column) => part(answer.pieces, pieceBytes, column * cut)),
      roots: Array.from({ length: n }, (_, column) => part(answer.roots, HASH_BYTES, column * cut)),
      stageMs: answer.stageMs,
    }
  }

  async decode(pieces: Pieces, options: Parameters<SegmentCodec['decode']>[1]): Promise<Uint8Array> {
    const { slab, number, mode, key, sealedBytes, redundancy, signal } = options
    const chosen = moveChosen(pieces, redundancy, sealedBytes)
    const place = ownPlace(slab, number, key)
    const args: DecodeTask = { pieces: chosen.pieces, ...place, mode, sealedBytes, redundancy }
    return this.#pool.run({
      entry: this.#entry,
      task: 'decode',
      args,
      transfer: chosen.transfer,
      signal,
    })
  }

  async rebuild(
    pieces: Pieces,
    options: Parameters<SegmentCodec['rebuild']>[1],
  ): Promise<Map<number, { bytes: Uint8Array; root: Uint8Array }>> {
    const { columns, sealedBytes, redundancy, signal } = options
    checkRedundancy(redundancy)
    if (columns.length === 0) return new Map()
    if (columns.some((column) => !Number.isInteger(column) || column < 0 || column >= redundancy.n)) {
      throw new RangeError(`a column that is not one of ${redundancy.n}`)
    }
    const chosen = moveChosen(pieces, redundancy, sealedBytes)
    const args: RebuildTask = { pieces: chosen.pieces, columns: [...columns], sealedBytes, redundancy }
    const answer = await this.#pool.run<RebuildAnswer>({
      entry: this.#entry,
      task: 'rebuild',
      args,
      transfer: chosen.transfer,
      signal,
    })
    const pieceBytes = pieceBytesOf(sealedBytes, redundancy.k)
    const cut = redundancy.k === 1 ? 0 : 1
    return new Map(
      columns.map((column, at) => [
        column,
        { bytes: part(answer.pieces, pieceBytes, at * cut), root: part(answer.roots, HASH_BYTES, at * cut) },
      ]),
    )
  }

  async close(): Promise<void> {
    // The threads are the pool's, which is closed by whoever made it.
  }
}

function checkRedundancy({ k, n }: Redundancy): void {
  const problem = redundancyProblem(k, n)
  if (problem !== undefined) throw new RangeError(problem)
}

/** Small arrays that are views of large buffers must not take those along: cloning a view clones its whole buffer. */
function ownPlace(slab: Uint8Array, number: number, { key, nonce }: SegmentKey) {
  return { slab: movable(slab), number, key: { key: movable(key), nonce: movable(nonce) } }
}

/** Only the k pieces that are needed go to the thread. */
function moveChosen(
  pieces: Pieces,
  redundancy: Redundancy,
  sealedBytes: number,
): { pieces: Map<number, Uint8Array>; transfer: ArrayBuffer[] } {
  checkRedundancy(redundancy)
  const moved = new Map<number, Uint8Array>()
  const transfer: ArrayBuffer[] = []
  for (const [column, bytes] of choosePieces(pieces, redundancy, pieceBytesOf(sealedBytes, redundancy.k))) {
    let whole = movable(bytes)
    // Twice the same array is wrong, but it is the segment that must not open then, not the call that fails.
    if (transfer.includes(whole.buffer)) whole = whole.slice()
    moved.set(column, whole)
    transfer.push(whole.buffer)
  }
  return { pieces: moved, transfer }
}

function part(bytes: Uint8Array, length: number, at: number): Uint8Array {
  return bytes.subarray(at * length, (at + 1) * length)
}
