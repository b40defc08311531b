import type { CID } from 'multiformats/cid'
import { keyOf } from '../../../protocols/content/hash.ts'
import type { ByteRange, Scope } from '../../../protocols/content/types.ts'
import { expand, firstVisits, needsExpansion, type Visit } from '../../../protocols/content/walk.ts'
import { carTooLarge } from '../errors.ts'
import type { BlockReader } from './block-reader.ts'
import { carFrame, carHeader } from './car.ts'

export interface CarRequest {
  root: CID
  /** Names below the root; the blocks on the way stand in the CAR too. */
  path: readonly string[]
  scope: Scope
  /** Of the file at the end of the path; needs the scope `entity`. */
  range?: ByteRange
  /** Whether a block that the walk meets again is written again. */
  duplicates: boolean
}

export interface CarBudget {
  /** Blocks that the walk may meet, those included that are not written. */
  blocks: number
  /** Blocks remembered so that they are not written again, about 100 bytes each; later ones may be. */
  remembered: number
  /** Blocks still to be visited at a time: what a walk keeps in memory. */
  waiting: number
}

/** Blocks asked for before their turn. */
const LOOK_AHEAD_BLOCKS = 4
/** Bytes asked for before their turn, as far as the blocks above tell: so that a consumer that stops costs little. */
const LOOK_AHEAD_BYTES = 2 * 1024 * 1024

/**
 * A CAR (version 1) of a part of a DAG, depth first, in the order of the trustless gateway specification (IPIP-402, IPIP-412).
 * Blocks inside of CIDs (identity) are walked through and not written.
 *
 * The bytes of a block are those of the reader and must not be changed.
 *
 * @throws ERR_NOT_FOUND, ERR_DAG_INVALID, ERR_CAR_TOO_LARGE where the DAG is made to have no end
 */
export async function* writeScopedCar(
  reader: BlockReader,
  request: CarRequest,
  budget: CarBudget,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield carHeader(request.root)
  // Deeper than the walk goes is an error here: without a budget of its own it would end as if nothing were missing.
  const stack: Visit[] = firstVisits({ ...request, depthBudget: Infinity }).toReversed()
  const written = new Set<string>()
  const walked = new Set<string>()
  const early = new EarlyReads(reader, signal)
  let met = 0
  try {
    for (let visit = stack.pop(); visit !== undefined; visit = stack.pop()) {
      met += 1
      if (met > budget.blocks) throw carTooLarge(request.root, `more than ${budget.blocks} blocks`)
      const key = keyOf(visit.cid)
      const isWhole = visit.path.length === 0 && visit.span === undefined && visit.range === undefined
      if (!request.duplicates && isWhole && walked.has(key)) {
        early.forget(key)
        continue
      }
      const bytes = await early.take(visit.cid, key)
      if (needsExpansion(visit)) {
        stack.push(...expand(visit, bytes).visits.toReversed())
        if (stack.length > budget.waiting) throw carTooLarge(request.root, 'too many links that wait')
      }
      early.ask(stack)
      if (!request.duplicates) {
        const isKnown = written.has(key)
        if (isWhole && walked.size < budget.remembered) walked.add(key)
        if (written.size < budget.remembered) written.add(key)
        if (isKnown) continue
      }
      yield carFrame(visit.cid, bytes)
      yield bytes
    }
  } finally {
    early.stop()
  }
}

/** Reads of the blocks that come next. */
class EarlyReads {
  readonly #reader: BlockReader
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #reads = new Map<string, Promise<Uint8Array>>()

  constructor(reader: BlockReader, signal: AbortSignal) {
    this.#reader = reader
    this.#signal = AbortSignal.any([signal, this.#stop.signal])
  }

  take(cid: CID, key: string): Promise<Uint8Array> {
    const asked = this.#reads.get(key)
    this.#reads.delete(key)
    return asked ?? this.#reader.get(cid, this.#signal)
  }

  /** Those on top of the stack, which are the next. */
  ask(stack: readonly Visit[]): void {
    let bytes = 0
    for (let index = stack.length - 1; index >= 0; index -= 1) {
      const { cid, sizeHint } = stack[index] as Visit
      // Where nobody tells its size, a block may be as large as any.
      bytes += sizeHint === 0 ? LOOK_AHEAD_BYTES : sizeHint
      if (this.#reads.size >= LOOK_AHEAD_BLOCKS || bytes > LOOK_AHEAD_BYTES) return
      const key = keyOf(cid)
      if (this.#reads.has(key)) continue
      const read = this.#reader.get(cid, this.#signal)
      // Whoever takes it gets the error; until then it must not count as unhandled.
      read.catch(() => {})
      this.#reads.set(key, read)
    }
  }

  forget(key: string): void {
    this.#reads.delete(key)
  }

  stop(): void {
    this.#stop.abort()
  }
}
