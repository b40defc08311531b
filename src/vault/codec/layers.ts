/** Layers of bytes to the pieces of a slab and back, several segments at once, in worker threads. */
import { sameBytes } from '../../../protocols/chunk/format/slab-id.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import { movable, type WorkerPool } from '../../workers/index.ts'
import { codecEntry } from './codec.ts'
import { vaultInvalid, vaultTooLarge } from './errors.ts'
import { LENGTH_BYTES, MANIFEST_CONCURRENCY, MAX_MANIFEST_BYTES } from './limits.ts'
import { layerSegments } from './map.ts'
import type { OpenPieceAnswer, OpenPieceTask, SealPieceAnswer, SealPieceTask } from './tasks.ts'
import { SEGMENT_BYTES, SEGMENTS_PER_SLAB, type SealedLayers } from './types.ts'

/** One layer: what it is called where it does not open, its kind, and its key. */
export interface LayerKey {
  layer: 'map' | 'body'
  name: string
  key: Uint8Array
}

export interface LayerContext {
  pool: WorkerPool
  slab: SlabId
  signal: AbortSignal
}

/** A layer with its bytes, in parts that are put one after another. */
export interface LayerContent extends LayerKey {
  parts: readonly Uint8Array[]
}

/**
 * Seals layers one after another.
 *
 * @throws ERR_VAULT_TOO_LARGE where they take more than a slab, ERR_CANCELLED
 */
export async function sealParts(
  layers: readonly LayerContent[],
  salt: Uint8Array,
  context: LayerContext,
): Promise<SealedLayers> {
  const count = layers.reduce((sum, { parts }) => sum + layerSegments(totalBytes(parts)), 0)
  if (count > SEGMENTS_PER_SLAB) {
    throw vaultTooLarge(
      `a manifest of ${count} MiB is over the ${SEGMENTS_PER_SLAB} MiB that one slab takes: put the tree in parts`,
      { neededBytes: count * SEGMENT_BYTES, limitBytes: MAX_MANIFEST_BYTES },
    )
  }
  const segments = layers.flatMap((layer) => cut(layer.parts).map((segment) => ({ ...layer, segment })))
  const sealed = await concurrently(segments, async ({ layer, name, key, segment }, number) => {
    const bytes = segment()
    const args: SealPieceTask = {
      ...place(context, { layer, name, key }, number),
      segment: bytes,
      salt: movable(salt),
    }
    const call = { entry: codecEntry(), task: 'seal', args, transfer: [bytes.buffer], signal: context.signal }
    return context.pool.run<SealPieceAnswer>(call)
  })
  return { pieces: sealed.map(({ piece }) => piece), roots: sealed.map(({ root }) => root) }
}

export interface OpenedLayer {
  bytes: Uint8Array
  salt: Uint8Array
  /** The first piece after the layer. */
  next: number
}

/**
 * Opens the layer that begins with piece `first`.
 *
 * @throws ERR_VAULT_INVALID, ERR_CANCELLED
 */
export async function openParts(
  pieces: readonly Uint8Array[],
  first: number,
  key: LayerKey,
  context: LayerContext,
): Promise<OpenedLayer> {
  const open = async (number: number): Promise<OpenPieceAnswer> => {
    const piece = pieces[number]
    if (piece === undefined) throw vaultInvalid(`${key.name} is cut off: piece ${number} is not there`)
    // A copy: the caller's pieces stay as they are.
    const bytes = new Uint8Array(piece)
    const args: OpenPieceTask = { ...place(context, key, number), piece: bytes }
    const call = { entry: codecEntry(), task: 'open', args, transfer: [bytes.buffer], signal: context.signal }
    return context.pool.run<OpenPieceAnswer>(call)
  }
  const begin = await open(first)
  const bytes = layerBytes(begin.segment, key.name)
  const count = layerSegments(bytes)
  const numbers = Array.from({ length: count - 1 }, (_, at) => first + 1 + at)
  const opened = [begin, ...(await concurrently(numbers, open))]
  const all = new Uint8Array(LENGTH_BYTES + bytes)
  for (const [at, { segment, salt }] of opened.entries()) {
    const full = Math.min(SEGMENT_BYTES, all.length - at * SEGMENT_BYTES)
    if (segment.length !== full || !sameBytes(salt, begin.salt)) {
      throw vaultInvalid(
        `${key.name} is put together wrongly: segment ${first + at} does not belong where it is`,
      )
    }
    all.set(segment, at * SEGMENT_BYTES)
  }
  return { bytes: all.subarray(LENGTH_BYTES), salt: begin.salt, next: first + count }
}

function place({ slab }: LayerContext, { layer, name, key }: LayerKey, number: number) {
  return { slab: movable(slab), number, name: `segment ${number} (${name})`, layer, layerKey: movable(key) }
}

function layerBytes(segment: Uint8Array, name: string): number {
  if (segment.length < LENGTH_BYTES) throw vaultInvalid(`${name} is too short`)
  const bytes = new DataView(segment.buffer, segment.byteOffset).getUint32(0)
  if (bytes > MAX_MANIFEST_BYTES) throw vaultInvalid(`${name} tells a length that none has`)
  return bytes
}

/** Segments of a layer, made when they are asked for: a copy of the layer is not held besides. */
function cut(parts: readonly Uint8Array[]): (() => Uint8Array<ArrayBuffer>)[] {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(totalBytes(parts))
  const all = [length, ...parts]
  const total = totalBytes(all)
  return Array.from({ length: Math.ceil(total / SEGMENT_BYTES) }, (_, at) => () => {
    const begin = at * SEGMENT_BYTES
    const segment = new Uint8Array(Math.min(SEGMENT_BYTES, total - begin))
    let partBegin = 0
    for (const part of all) {
      const from = Math.max(begin, partBegin)
      const to = Math.min(begin + segment.length, partBegin + part.length)
      if (from < to) segment.set(part.subarray(from - partBegin, to - partBegin), from - begin)
      partBegin += part.length
    }
    return segment
  })
}

export function totalBytes(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0)
}

/** Results in the order of the items, a few under way at once. The first failure is thrown when the others have ended. */
export async function concurrently<T, R>(
  items: readonly T[],
  work: (item: T, at: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const entries = items.entries()
  const failures: unknown[] = []
  const run = async (): Promise<void> => {
    for (const [at, item] of entries) {
      if (failures.length > 0) return
      try {
        results[at] = await work(item, at)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: MANIFEST_CONCURRENCY }, run))
  if (failures.length > 0) throw failures[0]
  return results
}
