/** A manifest's map to bytes and back. docs/vault-format.md, "Manifest". */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { MapSchema } from '../../../protocols/chunk/format/format_pb.ts'
import { sameBytes } from '../../../protocols/chunk/format/slab-id.ts'
import { redundancyProblem } from '../../../protocols/chunk/format/slab-index.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import { vaultInvalid } from './errors.ts'
import { FORMAT_VERSION, HASH_BYTES, LENGTH_BYTES, MAX_DATA_SLABS } from './limits.ts'
import { type ManifestMap, SEGMENT_BYTES, SLABS_PER_GROUP } from './types.ts'

/** How many segments a layer of so many bytes takes, its length before it included. */
export function layerSegments(bytes: number): number {
  return Math.ceil((LENGTH_BYTES + bytes) / SEGMENT_BYTES)
}

/** @throws ERR_VAULT_INVALID where no reader would take it */
export function encodeMap(map: ManifestMap): Uint8Array {
  checkMap(map)
  const message = create(MapSchema, {
    version: FORMAT_VERSION,
    segments: 1,
    k: map.redundancy.k,
    n: map.redundancy.n,
    groups: map.groups.map(({ id, slabs }) => ({ id, slabs: Buffer.concat(slabs) })),
  })
  // The number of segments is part of what is counted.
  let bytes = toBinary(MapSchema, message)
  while (layerSegments(bytes.length) !== message.segments) {
    message.segments = layerSegments(bytes.length)
    bytes = toBinary(MapSchema, message)
  }
  return bytes
}

/** @throws ERR_VAULT_INVALID */
export function decodeMap(bytes: Uint8Array): ManifestMap {
  const message = parsed(bytes)
  if (message.version !== FORMAT_VERSION) {
    throw vaultInvalid(`the manifest is of version ${message.version}: this p2pnode reads ${FORMAT_VERSION}`)
  }
  if (message.segments !== layerSegments(bytes.length)) {
    throw vaultInvalid('the map of the manifest tells a wrong number of its segments')
  }
  const map = {
    redundancy: { k: message.k, n: message.n },
    groups: message.groups.map(({ id, slabs }) => ({ id, slabs: slabIds(slabs) })),
  }
  checkMap(map)
  return map
}

export function dataSlabs(map: ManifestMap): number {
  return map.groups.reduce((sum, { slabs }) => sum + slabs.length, 0)
}

function parsed(bytes: Uint8Array) {
  try {
    return fromBinary(MapSchema, bytes, { readUnknownFields: false })
  } catch (error) {
    throw vaultInvalid('the map of the manifest is malformed', {}, error)
  }
}

function slabIds(bytes: Uint8Array): SlabId[] {
  if (bytes.length % HASH_BYTES !== 0) throw vaultInvalid('the map of the manifest has a cut slab id')
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, at) =>
    bytes.slice(at * HASH_BYTES, (at + 1) * HASH_BYTES),
  )
}

/**
 * The first group has the manifest's slab before its data slabs, and so room for one of them less; its id is the manifest's.
 * Groups after it begin with the slab that names them.
 */
function checkMap({ redundancy, groups }: ManifestMap): void {
  const problem = redundancyProblem(redundancy.k, redundancy.n)
  if (problem !== undefined) throw vaultInvalid(`the map of the manifest has ${problem}`)
  if (groups.length === 0) throw vaultInvalid('the map of the manifest has no group')
  let count = 0
  for (const [at, { id, slabs }] of groups.entries()) {
    count += slabs.length
    const [least, most] = at === 0 ? [0, SLABS_PER_GROUP - 1] : [1, SLABS_PER_GROUP]
    if (slabs.length < least || slabs.length > most) {
      throw vaultInvalid(`group ${at} of the manifest has ${slabs.length} slabs`)
    }
    if (id.length !== HASH_BYTES || slabs.some((slab) => slab.length !== HASH_BYTES)) {
      throw vaultInvalid(`group ${at} of the manifest has a slab id that is not one`)
    }
    if (at > 0 && (slabs[0] === undefined || !sameBytes(slabs[0], id))) {
      throw vaultInvalid(`group ${at} of the manifest is not named by its first slab`)
    }
  }
  if (count > MAX_DATA_SLABS) throw vaultInvalid(`the manifest names ${count} slabs, over ${MAX_DATA_SLABS}`)
}
