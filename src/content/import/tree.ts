import { entryRefused } from '../../tar/errors.ts'
import { treeTooLarge } from '../errors.ts'
import type { Pace } from '../pace.ts'
import { buildDirectory } from '../unixfs/directory.ts'
import { isRawChild } from '../unixfs/file.ts'
import type { Block, Child } from '../unixfs/node.ts'
import { cidFromDigest } from '../unixfs/node.ts'
import type { Layout } from '../unixfs/profile.ts'

/** Each entry costs about 200 bytes here (its name, its digest, two numbers): 200 MiB, half of what a node may use. */
export const MAX_TREE_ENTRIES = 1_000_000

const DIGEST_BYTES = 32
const SLAB_ENTRIES = 4096

/** Finished files by number, in slabs outside of the garbage collector's way. */
class ChildTable {
  readonly #digests: Uint8Array[] = []
  readonly #numbers: Float64Array[] = []
  readonly #raw: Uint8Array[] = []
  readonly #layout: Layout
  length = 0

  constructor(layout: Layout) {
    this.#layout = layout
  }

  add(child: Child): number {
    const index = this.length
    const slot = index % SLAB_ENTRIES
    if (slot === 0) {
      this.#digests.push(new Uint8Array(SLAB_ENTRIES * DIGEST_BYTES))
      this.#numbers.push(new Float64Array(SLAB_ENTRIES * 2))
      this.#raw.push(new Uint8Array(SLAB_ENTRIES))
    }
    this.#digests.at(-1)?.set(child.cid.multihash.digest, slot * DIGEST_BYTES)
    this.#numbers.at(-1)?.set([child.tsize, child.size], slot * 2)
    this.#raw.at(-1)?.set([isRawChild(child) ? 1 : 0], slot)
    this.length += 1
    return index
  }

  get(index: number): Child {
    const slab = Math.floor(index / SLAB_ENTRIES)
    const slot = index % SLAB_ENTRIES
    const digest = this.#digests[slab]?.slice(slot * DIGEST_BYTES, (slot + 1) * DIGEST_BYTES)
    const numbers = this.#numbers[slab]
    if (digest === undefined || numbers === undefined) throw new RangeError(`no entry ${index}`)
    return {
      cid: cidFromDigest(this.#layout, this.#raw[slab]?.[slot] === 1, digest),
      tsize: numbers[slot * 2] as number,
      size: numbers[slot * 2 + 1] as number,
    }
  }
}

interface Directory {
  mode: number | undefined
  children: Map<string, number | Directory>
}

/** The tree so far: names and finished entries, but none of their content. */
export class ImportTree {
  readonly #layout: Layout
  readonly #table: ChildTable
  readonly #root: Directory = { mode: undefined, children: new Map() }
  #directories = 0

  constructor(layout: Layout) {
    this.#layout = layout
    this.#table = new ChildTable(layout)
  }

  /**
   * Says, before its content is read, whether a file or symlink may take this place.
   *
   * @throws ERR_ENTRY_REFUSED, ERR_TREE_TOO_LARGE
   */
  checkFree(names: string[]): void {
    if (names.length === 0) throw entryRefused('.', 'the root of a tree must be a directory')
    let place: number | Directory | undefined = this.#root
    for (const name of names) {
      if (typeof place === 'number')
        throw entryRefused(names.join('/'), 'it lies below what is not a directory')
      place = place.children.get(name)
      if (place === undefined) break
    }
    if (typeof place === 'number')
      throw entryRefused(names.join('/'), 'the tree has two entries of this name')
    if (place !== undefined) throw entryRefused(names.join('/'), 'the tree has a directory of this name')
    if (this.#table.length + this.#directories >= MAX_TREE_ENTRIES) throw treeTooLarge(MAX_TREE_ENTRIES)
  }

  add(names: string[], child: Child): void {
    this.#place(names, this.#table.add(child))
  }

  /** Names again what `target` names: a hard link. */
  link(names: string[], target: string[]): Child {
    let found: number | Directory | undefined = this.#root
    for (const name of target) found = typeof found === 'object' ? found.children.get(name) : undefined
    if (typeof found !== 'number') {
      throw entryRefused(
        names.join('/'),
        `it is a hard link to "${target.join('/')}", which is no file before it in the stream`,
      )
    }
    this.#place(names, found)
    return this.#table.get(found)
  }

  /** A directory may come before its entries, after them, or not at all; the last mode told is kept. */
  addDirectory(names: string[], mode: number | undefined): void {
    this.#directory(names).mode = mode
  }

  /** Stores all directories, children first, and gives the root. */
  async build(put: (block: Block) => Promise<void>, pace: Pace): Promise<Child> {
    return this.#build(this.#root, put, pace)
  }

  #place(names: string[], index: number): void {
    this.checkFree(names)
    const parent = this.#directory(names.slice(0, -1))
    parent.children.set(names.at(-1) as string, index)
  }

  #directory(names: string[]): Directory {
    let place = this.#root
    for (const name of names) {
      let next = place.children.get(name)
      if (typeof next === 'number')
        throw entryRefused(names.join('/'), 'the tree has two entries of this name')
      if (next === undefined) {
        if (this.#table.length + this.#directories >= MAX_TREE_ENTRIES) throw treeTooLarge(MAX_TREE_ENTRIES)
        this.#directories += 1
        next = { mode: undefined, children: new Map() }
        place.children.set(name, next)
      }
      place = next
    }
    return place
  }

  async #build(directory: Directory, put: (block: Block) => Promise<void>, pace: Pace): Promise<Child> {
    const names = [...directory.children.keys()]
    const places = [...directory.children.values()]
    const built = new Map<number, Child>()
    for (const [index, place] of places.entries()) {
      if (typeof place !== 'number') built.set(index, await this.#build(place, put, pace))
    }
    const child = (index: number): Child => {
      const place = places[index]
      const found = typeof place === 'number' ? this.#table.get(place) : built.get(index)
      if (found === undefined) throw new RangeError(`no entry ${index}`)
      return found
    }
    return buildDirectory({ names, child }, { layout: this.#layout, mode: directory.mode, put, pace })
  }
}
