import * as raw from 'multiformats/codecs/raw'
import type { Child, EncodedNode } from './node.ts'
import { cidFromDigest, encodeFileNode, encodeLeaf, encodeSmallFile } from './node.ts'
import type { Layout } from './profile.ts'

/** The unfinished nodes of one level of a file's tree, left to right, as JSON. Digests lie one behind the other. */
interface SavedLevel {
  digests: string
  tsizes: number[]
  sizes: number[]
}

/** What a half-imported file is taken up again from: at most `maxLinksPerNode - 1` children a level, few levels. */
export interface SavedFile {
  levels: SavedLevel[]
  chunks: number
}

const DIGEST_BYTES = 32

/**
 * Builds the balanced tree of one file chunk by chunk, level by level: a node is made as soon as it has all its links,
 * so that never more than one unfinished node a level is held. Gives the same tree as gathering all leaves first.
 *
 * A mode is written to every inner node, as js-ipfs-unixfs does; readers look only at the root's.
 */
export class FileBuilder {
  readonly #layout: Layout
  readonly #mode: number | undefined
  readonly #levels: Child[][] = []
  #chunks = 0
  /** The only chunk so far, held back: if no other follows and the file has a mode, it is no leaf but the file. */
  #first: Uint8Array | undefined

  constructor(layout: Layout, mode: number | undefined, saved?: SavedFile) {
    this.#layout = layout
    this.#mode = mode
    if (saved === undefined) return
    this.#chunks = saved.chunks
    for (const [depth, level] of saved.levels.entries()) {
      const digests = Buffer.from(level.digests, 'base64')
      this.#levels.push(
        level.tsizes.map((tsize, index) => {
          const digest = new Uint8Array(digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES))
          const cid = cidFromDigest(layout, depth === 0 && layout.rawLeaves, digest)
          return { cid, tsize, size: level.sizes[index] as number }
        }),
      )
    }
  }

  /** Takes the next chunk; gives the nodes that are complete now and must be stored. */
  *add(chunk: Uint8Array): Iterable<EncodedNode> {
    this.#chunks += 1
    if (this.#mode !== undefined && this.#chunks === 1) {
      this.#first = chunk
      return
    }
    yield* this.#releaseFirst()
    yield* this.#leaf(chunk)
  }

  /** The root last. The builder is of no use afterwards. */
  *finish(): Iterable<EncodedNode> {
    if (this.#chunks === 0) {
      const empty = new Uint8Array(0)
      yield this.#mode === undefined
        ? encodeLeaf(this.#layout, empty)
        : encodeSmallFile(this.#layout, empty, this.#mode)
      return
    }
    if (this.#first !== undefined && this.#mode !== undefined) {
      yield encodeSmallFile(this.#layout, this.#first, this.#mode)
      return
    }
    for (let depth = 0; depth < this.#levels.length; depth += 1) {
      const level = this.#levels[depth] as Child[]
      const isTop = depth === this.#levels.length - 1
      if (level.length === 0 || (isTop && level.length === 1)) continue
      yield this.#reduce(depth)
    }
  }

  /** False while a chunk is held back that is in no stored node yet. */
  get canSave(): boolean {
    return this.#first === undefined
  }

  save(): SavedFile {
    return {
      chunks: this.#chunks,
      levels: this.#levels.map((level) => ({
        digests: Buffer.concat(level.map((child) => child.cid.multihash.digest)).toString('base64'),
        tsizes: level.map((child) => child.tsize),
        sizes: level.map((child) => child.size),
      })),
    }
  }

  /** The finished root: the last node `finish` gave, or the only leaf, stored before. */
  root(last: EncodedNode | undefined): Child {
    const child = last?.child ?? this.#levels.at(-1)?.at(0)
    if (child === undefined) throw new Error('root() before finish()')
    return child
  }

  *#releaseFirst(): Iterable<EncodedNode> {
    if (this.#first === undefined) return
    const first = this.#first
    this.#first = undefined
    yield* this.#leaf(first)
  }

  *#leaf(chunk: Uint8Array): Iterable<EncodedNode> {
    const leaf = encodeLeaf(this.#layout, chunk)
    this.#push(0, leaf.child)
    yield leaf
    for (let depth = 0; (this.#levels[depth]?.length ?? 0) === this.#layout.maxLinksPerNode; depth += 1) {
      yield this.#reduce(depth)
    }
  }

  #reduce(depth: number): EncodedNode {
    const node = encodeFileNode(this.#layout, this.#levels[depth] as Child[], this.#mode)
    this.#levels[depth] = []
    this.#push(depth + 1, node.child)
    return node
  }

  #push(depth: number, child: Child): void {
    const level = this.#levels[depth]
    if (level === undefined) this.#levels[depth] = [child]
    else level.push(child)
  }
}

export function isRawChild(child: Child): boolean {
  return child.cid.code === raw.code
}
