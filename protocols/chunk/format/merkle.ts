import { hash } from 'node:crypto'
import type { Proof } from '../types.ts'
import { HASH_BYTES, LEAF_BYTES, MAX_PATH_HASHES } from './limits.ts'
import { sameBytes } from './slab-id.ts'

/**
 * Merkle trees over the leaves of a piece, as in RFC 6962: `SHA-256(0x00 ‖ leaf)`, `SHA-256(0x01 ‖ left ‖ right)`, split at
 * the largest power of two below the number of leaves. Other prefixes for leaves than for nodes: no node can be passed off
 * as a leaf.
 */
const LEAF_PREFIX = 0x00
const NODE_PREFIX = 0x01

/**
 * The root of a piece that arrives in parts of any size. Bytes are copied once, into a leaf's buffer: hashing that at once
 * is faster than feeding a hash object, which is made anew for each leaf.
 */
export class PieceHasher {
  readonly #leaf = leafBuffer()
  readonly #hashes: Uint8Array[] = []
  #filled = 0

  update(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      const count = Math.min(LEAF_BYTES - this.#filled, bytes.length - at)
      this.#leaf.set(bytes.subarray(at, at + count), 1 + this.#filled)
      this.#filled += count
      at += count
      if (this.#filled === LEAF_BYTES) this.#endLeaf()
    }
  }

  /** The root of what came since the last one. @throws RangeError where nothing did: no piece is empty */
  digest(): Uint8Array {
    if (this.#filled > 0) this.#endLeaf()
    return rootOf(this.#hashes.splice(0))
  }

  #endLeaf(): void {
    this.#hashes.push(hash('sha256', this.#leaf.subarray(0, 1 + this.#filled), 'buffer'))
    this.#filled = 0
  }
}

/** @throws RangeError where the piece is empty */
export function pieceRoot(piece: Uint8Array): Uint8Array {
  const hasher = new PieceHasher()
  hasher.update(piece)
  return hasher.digest()
}

export function leafCount(pieceBytes: number): number {
  return Math.ceil(pieceBytes / LEAF_BYTES)
}

/** A leaf of the piece with its path. @throws RangeError where the piece has no such leaf */
export function prove(piece: Uint8Array, leaf: number): Proof {
  checkLeaf(piece.length, leaf)
  const buffer = leafBuffer()
  const hashes: Uint8Array[] = []
  for (let at = 0; at < piece.length; at += LEAF_BYTES) {
    hashes.push(hashLeaf(piece.subarray(at, at + LEAF_BYTES), buffer))
  }
  const begin = leaf * LEAF_BYTES
  // A copy: who sends it must not keep the whole piece alive.
  return { leaf: piece.slice(begin, begin + LEAF_BYTES), path: pathOf(hashes, leaf) }
}

/** Whether the proof shows that a piece of `pieceBytes` with this root has these bytes as its leaf number `leaf`. */
export function verifyProof(root: Uint8Array, pieceBytes: number, leaf: number, proof: Proof): boolean {
  if (!hasLeaf(pieceBytes, leaf)) return false
  if (proof.leaf.length !== Math.min(LEAF_BYTES, pieceBytes - leaf * LEAF_BYTES)) return false
  if (proof.path.length > MAX_PATH_HASHES) return false
  if (proof.path.some((sibling) => sibling.length !== HASH_BYTES)) return false
  let node = hashLeaf(proof.leaf, leafBuffer())
  let next = 0
  for (const side of sidesOf(leafCount(pieceBytes), leaf)) {
    const sibling = proof.path[next++]
    if (sibling === undefined) return false
    node = side === 'left' ? hashNode(sibling, node) : hashNode(node, sibling)
  }
  return next === proof.path.length && sameBytes(node, root)
}

function hasLeaf(pieceBytes: number, leaf: number): boolean {
  return Number.isInteger(leaf) && leaf >= 0 && leaf < leafCount(pieceBytes)
}

function checkLeaf(pieceBytes: number, leaf: number): void {
  if (!hasLeaf(pieceBytes, leaf)) throw new RangeError(`a piece of ${pieceBytes} bytes has no leaf ${leaf}`)
}

function leafBuffer(): Uint8Array {
  const buffer = Buffer.allocUnsafe(1 + LEAF_BYTES)
  buffer[0] = LEAF_PREFIX
  return buffer
}

function hashLeaf(leaf: Uint8Array, buffer: Uint8Array): Uint8Array {
  buffer.set(leaf, 1)
  return hash('sha256', buffer.subarray(0, 1 + leaf.length), 'buffer')
}

function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  const both = Buffer.allocUnsafe(1 + 2 * HASH_BYTES)
  both[0] = NODE_PREFIX
  both.set(left, 1)
  both.set(right, 1 + HASH_BYTES)
  return hash('sha256', both, 'buffer')
}

function splitOf(count: number): number {
  let split = 1
  while (split * 2 < count) split *= 2
  return split
}

function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  const [only] = hashes
  if (only === undefined) throw new RangeError('a piece has at least one byte')
  if (hashes.length === 1) return only
  const split = splitOf(hashes.length)
  return hashNode(rootOf(hashes.slice(0, split)), rootOf(hashes.slice(split)))
}

function pathOf(hashes: readonly Uint8Array[], leaf: number): Uint8Array[] {
  if (hashes.length === 1) return []
  const split = splitOf(hashes.length)
  const left = hashes.slice(0, split)
  const right = hashes.slice(split)
  return leaf < split
    ? [...pathOf(left, leaf), rootOf(right)]
    : [...pathOf(right, leaf - split), rootOf(left)]
}

/** On which side the sibling stands, from the leaf up. */
function sidesOf(count: number, leaf: number): ('left' | 'right')[] {
  if (count === 1) return []
  const split = splitOf(count)
  return leaf < split ? [...sidesOf(split, leaf), 'right'] : [...sidesOf(count - split, leaf - split), 'left']
}
