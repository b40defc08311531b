import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { sameBytes } from '../../../protocols/chunk/format/slab-id.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import type { WorkerPool } from '../../workers/index.ts'
import { checkManifest, turns } from './checks.ts'
import { codecEntry } from './codec.ts'
import { vaultInvalid } from './errors.ts'
import { verifyKey } from './keys.ts'
import { type LayerContext, concurrently, openParts, sealParts } from './layers.ts'
import { ENTRIES_PER_CALL, HASH_BYTES, MAX_ENTRIES, SALT_BYTES } from './limits.ts'
import { decodeMap, encodeMap } from './map.ts'
import type { BodyHead, BytesTask, EntryBatch } from './tasks.ts'
import {
  type ManifestBody,
  type ManifestEntry,
  type ManifestMap,
  SEGMENTS_PER_SLAB,
  type SealedLayers,
} from './types.ts'

/** Field of `Body` that holds the entries, its last. */
const ENTRIES_FIELD = 10
const NO_BYTES = new Uint8Array(0)

export interface SealOptions {
  slab: SlabId
  /** The slab's salt: 32 random bytes, fresh for every attempt. */
  salt: Uint8Array
  signal: AbortSignal
}

export interface OpenOptions {
  slab: SlabId
  signal: AbortSignal
}

/**
 * Manifests to the pieces of their slab and back. Long ones (a tree of 100 000 files has some 15 MiB) are worked on in worker
 * threads and by turns.
 *
 * Methods throw ERR_VAULT_INVALID where bytes are not what they should be, ERR_VAULT_TOO_LARGE, ERR_CANCELLED.
 */
export interface ManifestCodec {
  seal(
    manifest: { map: ManifestMap; body: ManifestBody },
    options: SealOptions & { readKey: Uint8Array },
  ): Promise<SealedLayers>
  /** What a verify link shows. Pieces in order from the first; those after the map may be missing. */
  openMap(
    pieces: readonly Uint8Array[],
    options: OpenOptions & { verifyKey: Uint8Array },
  ): Promise<ManifestMap>
  /** What a read link shows. Checked as a whole: map and body fit each other. */
  open(
    pieces: readonly Uint8Array[],
    options: OpenOptions & { readKey: Uint8Array },
  ): Promise<{ map: ManifestMap; body: ManifestBody }>
  /** One layer under a key of its own: a version of the owner's state. */
  sealLayer(bytes: Uint8Array, options: SealOptions & { key: Uint8Array }): Promise<SealedLayers>
  openLayer(pieces: readonly Uint8Array[], options: OpenOptions & { key: Uint8Array }): Promise<Uint8Array>
}

export function createManifestCodec(pool: WorkerPool): ManifestCodec {
  return new PooledManifests(pool)
}

class PooledManifests implements ManifestCodec {
  readonly #pool: WorkerPool

  constructor(pool: WorkerPool) {
    this.#pool = pool
  }

  async seal(
    { map, body }: { map: ManifestMap; body: ManifestBody },
    { slab, salt, readKey, signal }: Parameters<ManifestCodec['seal']>[1],
  ): Promise<SealedLayers> {
    // What a reader would refuse must not be acknowledged.
    const mapBytes = encodeMap(map)
    checkGroup(map, slab)
    await checkManifest(map, body, signal)
    return sealParts(
      [
        { ...mapLayer(verifyKey(readKey)), parts: [mapBytes] },
        { ...bodyLayer(readKey), parts: await this.#bodyParts(body, signal) },
      ],
      salt,
      { pool: this.#pool, slab, signal },
    )
  }

  async openMap(
    pieces: readonly Uint8Array[],
    { slab, verifyKey, signal }: Parameters<ManifestCodec['openMap']>[1],
  ): Promise<ManifestMap> {
    const opened = await openParts(pieces, 0, mapLayer(verifyKey), { pool: this.#pool, slab, signal })
    const map = decodeMap(opened.bytes)
    checkGroup(map, slab)
    return map
  }

  async open(
    pieces: readonly Uint8Array[],
    { slab, readKey, signal }: Parameters<ManifestCodec['open']>[1],
  ): Promise<{ map: ManifestMap; body: ManifestBody }> {
    const context: LayerContext = { pool: this.#pool, slab, signal }
    const first = await openParts(pieces, 0, mapLayer(verifyKey(readKey)), context)
    const map = decodeMap(first.bytes)
    checkGroup(map, slab)
    const second = await openParts(pieces, first.next, bodyLayer(readKey), context)
    if (second.next !== pieces.length || !sameBytes(second.salt, first.salt)) {
      throw vaultInvalid('the layers of the manifest do not belong together')
    }
    const body = await this.#body(second.bytes, signal)
    await checkManifest(map, body, signal)
    return { map, body }
  }

  sealLayer(
    bytes: Uint8Array,
    { slab, salt, key, signal }: Parameters<ManifestCodec['sealLayer']>[1],
  ): Promise<SealedLayers> {
    return sealParts([{ ...stateLayer(key), parts: [bytes] }], salt, { pool: this.#pool, slab, signal })
  }

  async openLayer(
    pieces: readonly Uint8Array[],
    { slab, key, signal }: Parameters<ManifestCodec['openLayer']>[1],
  ): Promise<Uint8Array> {
    const opened = await openParts(pieces, 0, stateLayer(key), { pool: this.#pool, slab, signal })
    if (opened.next !== pieces.length) throw vaultInvalid('more follows the layer than belongs to it')
    return opened.bytes
  }

  async #bodyParts(body: ManifestBody, signal: AbortSignal): Promise<Uint8Array[]> {
    const { slabs, entries, ...rest } = body
    const head: BodyHead = {
      ...rest,
      salts: Buffer.concat(slabs.map(({ salt }) => salt)),
      modes: Buffer.concat(slabs.map(({ modes }) => modes)),
    }
    const batches = Array.from({ length: Math.ceil(entries.length / ENTRIES_PER_CALL) }, (_, at) => at)
    const parts = await concurrently(batches, (at) =>
      this.#run<Uint8Array>('encodeEntries', toBatch(entries, at * ENTRIES_PER_CALL), signal),
    )
    return [await this.#run<Uint8Array>('encodeHead', head, signal), ...parts]
  }

  async #body(bytes: Uint8Array, signal: AbortSignal): Promise<ManifestBody> {
    const [head = NO_BYTES, ...batches] = await splitBody(bytes, signal)
    const { salts, modes, ...rest } = await this.#fromBytes<BodyHead>('decodeHead', head, signal)
    const entries: ManifestEntry[] = []
    for (const batch of await concurrently(batches, (part) =>
      this.#fromBytes<EntryBatch>('decodeEntries', part, signal),
    )) {
      for (const entry of fromBatch(batch)) entries.push(entry)
    }
    const slabs = Array.from({ length: salts.length / SALT_BYTES }, (_, at) => ({
      salt: salts.subarray(at * SALT_BYTES, (at + 1) * SALT_BYTES),
      modes: modes.subarray(at * SEGMENTS_PER_SLAB, (at + 1) * SEGMENTS_PER_SLAB),
    }))
    return { ...rest, slabs, entries }
  }

  #fromBytes<T>(task: string, part: Uint8Array, signal: AbortSignal): Promise<T> {
    const args: BytesTask = { bytes: new Uint8Array(part) }
    return this.#run(task, args, signal)
  }

  #run<T>(task: string, args: unknown, signal: AbortSignal): Promise<T> {
    return this.#pool.run<T>({ entry: codecEntry(), task, args, signal })
  }
}

function mapLayer(key: Uint8Array) {
  return { layer: 'map' as const, name: 'map of the manifest', key }
}

function bodyLayer(key: Uint8Array) {
  return { layer: 'body' as const, name: 'body of the manifest', key }
}

function stateLayer(key: Uint8Array) {
  return { layer: 'body' as const, name: "owner's state", key }
}

function checkGroup({ groups }: ManifestMap, slab: SlabId): void {
  if (groups[0] === undefined || !sameBytes(groups[0].id, slab)) {
    throw vaultInvalid('the first group of the manifest is not the one of its slab')
  }
}

/**
 * An encoded body in parts that each decode alone: what comes before the entries, then entries by the batch.
 *
 * @throws ERR_VAULT_INVALID
 */
async function splitBody(bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array[]> {
  const turn = turns(signal)
  const reader = new BinaryReader(bytes)
  const parts: Uint8Array[] = []
  let begin = 0
  let count = 0
  while (reader.pos < reader.len) {
    const at = reader.pos
    if (nextField(reader) === ENTRIES_FIELD) {
      if (count % ENTRIES_PER_CALL === 0) {
        parts.push(bytes.subarray(begin, at))
        begin = at
        await turn()
      }
      count += 1
      if (count > MAX_ENTRIES) throw vaultInvalid(`the tree has over ${MAX_ENTRIES} entries`)
    } else if (count > 0) {
      throw vaultInvalid('the body of the manifest is malformed: entries come last')
    }
  }
  return [...parts, bytes.subarray(begin)]
}

function nextField(reader: BinaryReader): number {
  try {
    const [field, wireType] = reader.tag()
    if (wireType === WireType.LengthDelimited) {
      const length = reader.uint32()
      if (length > reader.len - reader.pos) throw new RangeError('premature end')
      reader.pos += length
    } else if (wireType === WireType.Varint) {
      reader.skip(wireType, field)
    } else {
      throw new RangeError(`wire type ${wireType}`)
    }
    return field
  } catch (error) {
    throw vaultInvalid('the body of the manifest is malformed', {}, error)
  }
}

function toBatch(all: readonly ManifestEntry[], begin: number): EntryBatch {
  const hashes: Uint8Array[] = []
  const entries = all.slice(begin, begin + ENTRIES_PER_CALL).map(({ sha256, ...entry }) => {
    if (sha256 !== null) hashes.push(sha256)
    return entry
  })
  return { entries, hashes: new Uint8Array(Buffer.concat(hashes)) }
}

function fromBatch({ entries, hashes }: EntryBatch): ManifestEntry[] {
  let at = 0
  return entries.map((entry) => ({
    ...entry,
    sha256: entry.type === 'file' ? hashes.subarray(at, (at += HASH_BYTES)) : null,
  }))
}
