import { entryRefused } from '../errors.ts'
import type { Pace } from '../pace.ts'
import { HAMT_FANOUT, HAMT_HASH_BYTES, HAMT_HASH_CODE, hamtHash, slotPrefix } from './hamt.ts'
import type { Block, Child, DirectoryLink, EncodedNode } from './node.ts'
import { DEFAULT_DIRECTORY_MODE, encodeFlatDirectory, encodeShard } from './node.ts'
import type { Layout } from './profile.ts'

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
  if (measure(links, layout, mode) > layout.shardThresholdBytes) {
    const items = links.map((link) => ({ ...link, hash: hamtHash(link.name) }))
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
  for (const item of items) {
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

function measure(links: DirectoryLink[], layout: Layout, mode: number | undefined): number {
  if (layout.shardMeasure === 'links-bytes') {
    return links.reduce((sum, link) => sum + Buffer.byteLength(link.name) + link.cid.byteLength, 0)
  }
  const modeBytes = mode === undefined || mode === DEFAULT_DIRECTORY_MODE ? 0 : 1 + varintBytes(mode)
  let sizeBytes = fieldBytes(2 + modeBytes)
  for (const link of links) {
    const linkBytes =
      fieldBytes(link.cid.byteLength) + fieldBytes(Buffer.byteLength(link.name)) + 1 + varintBytes(link.tsize)
    sizeBytes += fieldBytes(linkBytes)
  }
  return sizeBytes
}
