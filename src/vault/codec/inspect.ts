/** What links and .manifest files say, without any peer and without worker threads: for a command that works offline. */
import type { SlabId } from '../../../protocols/chunk/types.ts'
import type { Inspection, Link, Redundancy } from '../types.ts'
import { headFromBytes } from './body.ts'
import { vaultInvalid } from './errors.ts'
import { verifyKey } from './keys.ts'
import { openPiece } from './layer.ts'
import { LENGTH_BYTES, MAX_MANIFEST_BYTES } from './limits.ts'
import { decodeManifestFile } from './manifest-file.ts'
import { dataSlabs, decodeMap, layerSegments } from './map.ts'

export function inspectLink({ power, slab }: Link): Inspection {
  return { ...place('link', power, slab), name: null, size: null, redundancy: null, slabs: null }
}

/**
 * Opens the manifest with the key in the file. Where it came from is not checked: that needs the network's name.
 *
 * @throws ERR_VAULT_INVALID
 */
export function inspectManifestFile(bytes: Uint8Array): Inspection {
  const { link, pieces } = decodeManifestFile(bytes)
  const { slab, key } = link
  const map = openLayer(pieces, 0, { slab, layer: 'map', layerKey: verifyKey(key) })
  const body = openLayer(pieces, map.next, { slab, layer: 'body', layerKey: key })
  const decoded = decodeMap(map.bytes)
  const { name, size } = headFromBytes(body.bytes)
  return {
    ...place('manifest', 'read', slab),
    name,
    size,
    redundancy: redundancyText(decoded.redundancy),
    slabs: dataSlabs(decoded),
  }
}

function place(kind: Inspection['kind'], power: Link['power'], slab: SlabId) {
  return { kind, power, slab: Buffer.from(slab).toString('hex') }
}

function redundancyText({ k, n }: Redundancy): string {
  return k === 1 ? `copies:${n}` : `rs:${k}/${n}`
}

function openLayer(
  pieces: readonly Uint8Array[],
  first: number,
  key: { slab: SlabId; layer: 'map' | 'body'; layerKey: Uint8Array },
): { bytes: Uint8Array; next: number } {
  const name = `${key.layer} of the manifest`
  const open = (number: number): Uint8Array => {
    const piece = pieces[number]
    if (piece === undefined) throw vaultInvalid(`the ${name} is cut off: piece ${number} is not there`)
    return openPiece({ ...key, name: `segment ${number} (${name})`, number, piece }).segment
  }
  const begin = open(first)
  if (begin.length < LENGTH_BYTES) throw vaultInvalid(`the ${name} is too short`)
  const length = new DataView(begin.buffer, begin.byteOffset).getUint32(0)
  if (length > MAX_MANIFEST_BYTES) throw vaultInvalid(`the ${name} tells a length that none has`)
  const count = layerSegments(length)
  const rest = Array.from({ length: count - 1 }, (_, at) => open(first + 1 + at))
  const all = Buffer.concat([begin, ...rest])
  if (all.length !== LENGTH_BYTES + length) throw vaultInvalid(`the ${name} has another length than it tells`)
  return { bytes: all.subarray(LENGTH_BYTES), next: first + count }
}
