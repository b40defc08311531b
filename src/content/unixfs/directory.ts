import { entryRefused } from '../../tar/errors.ts'
import type { Pace } from '../pace.ts'
import { HAMT_FANOUT, HAMT_HASH_BYTES, HAMT_HASH_CODE, hamtHash, slotPrefix } from './hamt.ts'
import type { Block, Child, DirectoryLink } from './node.ts'
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

/** What is in a directory. Children are made when they are asked for: a million of them are not held at once. */
export interface DirectoryEntries {
  readonly names: readonly string[]
  child(index: number): Child
}

/**
 * Builds a directory: one node, or shards (a HAMT) once that node would be larger than the profile allows. The measure
 * counts every link, of subdirectories too, as IPIP-0499 has it; ipfs-unixfs-importer leaves subdirectories out and so
 * keeps a directory of very many subdirectories in one node.
 */
export async function buildDirectory(entries: DirectoryEntries, options: DirectoryOptions): Promise<Child> {
  const { layout, mode, put, pace } = options
  if (isLarge(entries, layout, mode)) {
    const hashes = new Uint8Array(entries.names.length * HAMT_HASH_BYTES)
    for (const [index, name] of entries.names.entries()) {
      hashes.set(hamtHash(name), index * HAMT_HASH_BYTES)
      if (index % STEP_LINKS === 0) await pace.breathe()
    }
    const all = Uint32Array.from(entries.names, (_, index) => index)
    return await new ShardBuilder(entries, hashes, options).build(all, 0)
  }
  const node = encodeFlatDirectory(
    layout,
    entries.names.map((_, index) => linkTo(entries, index)),
    mode,
  )
  await put(node)
  await pace.breathe()
  return node.child
}

function linkTo(entries: DirectoryEntries, index: number, prefix = ''): DirectoryLink {
  const { cid, tsize } = entries.child(index)
  return { name: `${prefix}${entries.names[index]}`, cid, tsize }
}

class ShardBuilder {
  readonly #entries: DirectoryEntries
  readonly #hashes: Uint8Array
  readonly #options: DirectoryOptions

  constructor(entries: DirectoryEntries, hashes: Uint8Array, options: DirectoryOptions) {
    this.#entries = entries
    this.#hashes = hashes
    this.#options = options
  }

  /** The shard of the entries at `indexes`, whose hashes agree in the first `depth` bytes. */
  async build(indexes: Uint32Array, depth: number): Promise<Child> {
    const { layout, mode, put, pace } = this.#options
    const slots = await this.#distribute(indexes, depth)
    const links: DirectoryLink[] = []
    for (const [slot, members] of slots) {
      const [only] = members
      const prefix = slotPrefix(slot)
      if (members.length === 1 && only !== undefined) {
        links.push(linkTo(this.#entries, only, prefix))
      } else {
        const { cid, tsize } = await this.build(Uint32Array.from(members), depth + 1)
        links.push({ name: prefix, cid, tsize })
      }
    }
    const shard = { bitfield: bitfieldOf(slots.keys()), fanout: HAMT_FANOUT, hashCode: HAMT_HASH_CODE }
    // Only the root of the shards is the directory that has a mode.
    const node = encodeShard(layout, links, shard, depth === 0 ? mode : undefined)
    await put(node)
    await pace.breathe()
    return node.child
  }

  async #distribute(indexes: Uint32Array, depth: number): Promise<Map<number, number[]>> {
    const [first] = indexes
    if (depth === HAMT_HASH_BYTES && first !== undefined) {
      const name = this.#entries.names[first] ?? ''
      throw entryRefused(name, 'its hash equals that of another name in the same directory')
    }
    const slots = new Map<number, number[]>()
    for (const [position, index] of indexes.entries()) {
      if (position % STEP_LINKS === STEP_LINKS - 1) await this.#options.pace.breathe()
      const slot = this.#hashes[index * HAMT_HASH_BYTES + depth] as number
      const members = slots.get(slot)
      if (members === undefined) slots.set(slot, [index])
      else members.push(index)
    }
    return slots
  }
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
function isLarge(entries: DirectoryEntries, layout: Layout, mode: number | undefined): boolean {
  const isByBlock = layout.shardMeasure === 'block-bytes'
  const modeBytes = mode === undefined || mode === DEFAULT_DIRECTORY_MODE ? 0 : 1 + varintBytes(mode)
  let sizeBytes = isByBlock ? fieldBytes(2 + modeBytes) : 0
  for (const index of entries.names.keys()) {
    const link = linkTo(entries, index)
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
