import { entryRefused } from '../errors.ts'
import type { Pace } from '../pace.ts'
import { HAMT_FANOUT, HAMT_HASH_BYTES, HAMT_HASH_CODE, hamtHash, slotPrefix } from './hamt.ts'
import type { Block, Child, DirectoryLink, EncodedNode } from './node.ts'
import { DEFAULT_DIRECTORY_MODE, encodeFlatDirectory, encodeShard } from './node.ts'
import type { Layout } from './profile.ts'

/** Links handled between two looks at the clock: about a millisecond. */
const STEP_LINKS = 512

export interface DirectoryOptions {
  layout: Layout
  mode: number | undefined
  put: (block: Block) => Promise<void>
  pace: Pace
}

/**
 * Builds a directory: one node, or shards (a HAMT) once that node would be larger than the profile allows. The measure
 * counts every link, of subdirectories too, as IPIP-0499 has it; ipfs-unixfs-importer leaves subdirectories out and so
 * keeps a directory of very many subdirectories in one node.
 */
export async function buildDirectory(links: DirectoryLink[], options: DirectoryOptions): Promise<Child> {
  const { layout, mode, put, pace } = options
  if (isLarge(links, layout, mode)) {
    const items: HashedLink[] = []
    for (const link of links) {
      items.push({ ...link, hash: hamtHash(link.name) })
      if (items.length % STEP_LINKS === 0) await pace.breathe()
    }
    return (await buildShard(items, 0, options)).child
  }
  const node = encodeFlatDirectory(layout, links, mode)
  await put(node)
  await pace.breathe()
  return node.child
}

interface HashedLink extends DirectoryLink {
  hash: Uint8Array
}

async function buildShard(
  items: HashedLink[],
  depth: number,
  options: DirectoryOptions,
): Promise<EncodedNode> {
  const first = items[0]
  if (depth === HAMT_HASH_BYTES && first !== undefined) {
    throw entryRefused(first.name, 'its hash equals that of another name in the same directory')
  }
  const slots = new Map<number, HashedLink[]>()
  for (const [index, item] of items.entries()) {
    if (index % STEP_LINKS === 0) await options.pace.breathe()
    const slot = item.hash[depth] as number
    const others = slots.get(slot)
    if (others === undefined) slots.set(slot, [item])
    else others.push(item)
  }
  const links: DirectoryLink[] = []
  for (const [slot, [only, ...more]] of slots) {
    if (only === undefined) continue
    const prefix = slotPrefix(slot)
    if (more.length === 0) {
      links.push({ name: prefix + only.name, cid: only.cid, tsize: only.tsize })
    } else {
      const { child } = await buildShard([only, ...more], depth + 1, options)
      links.push({ name: prefix, cid: child.cid, tsize: child.tsize })
    }
  }
  const shard = { bitfield: bitfieldOf(slots.keys()), fanout: HAMT_FANOUT, hashCode: HAMT_HASH_CODE }
  // Only the root of the shards is the directory that has a mode.
  const node = encodeShard(options.layout, links, shard, depth === 0 ? options.mode : undefined)
  await options.put(node)
  await options.pace.breathe()
  return node
}

/** One bit a used slot, most significant byte first, without leading zero bytes, as Go writes a big integer. */
function bitfieldOf(slots: Iterable<number>): Uint8Array {
  const bits = new Uint8Array(HAMT_FANOUT / 8)
  for (const slot of slots) {
    const index = bits.length - 1 - (slot >> 3)
    bits[index] = (bits[index] as number) | (1 << (slot & 7))
  }
  const start = bits.findIndex((byte) => byte !== 0)
  return bits.slice(start === -1 ? bits.length : start)
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1
  return bytes
}

/** A tag of one byte, a length, the content. */
function fieldBytes(contentBytes: number): number {
  return 1 + varintBytes(contentBytes) + contentBytes
}

/** Stops counting once the answer is known, since a directory may have a million links. */
function isLarge(links: DirectoryLink[], layout: Layout, mode: number | undefined): boolean {
  const isByBlock = layout.shardMeasure === 'block-bytes'
  const modeBytes = mode === undefined || mode === DEFAULT_DIRECTORY_MODE ? 0 : 1 + varintBytes(mode)
  let sizeBytes = isByBlock ? fieldBytes(2 + modeBytes) : 0
  for (const link of links) {
    sizeBytes += isByBlock ? linkBlockBytes(link) : Buffer.byteLength(link.name) + link.cid.byteLength
    if (sizeBytes > layout.shardThresholdBytes) return true
  }
  return false
}

/** What a link takes in a dag-pb block. */
function linkBlockBytes({ name, cid, tsize }: DirectoryLink): number {
  const contentBytes =
    fieldBytes(cid.byteLength) + fieldBytes(Buffer.byteLength(name)) + 1 + varintBytes(tsize)
  return fieldBytes(contentBytes)
}
