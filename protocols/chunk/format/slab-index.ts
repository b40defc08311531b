import { hash } from 'node:crypto'
import { create, toBinary } from '@bufbuild/protobuf'
import { chunkInvalid } from '../errors.ts'
import type { SignedBytes, SlabId, SlabIndex } from '../types.ts'
import type { Signer } from '../../shared/ed25519.ts'
import { IndexSchema } from './format_pb.ts'
import {
  HASH_BYTES,
  MAX_COLUMNS,
  MAX_INDEX_PAYLOAD_BYTES,
  MAX_SEALED_BYTES,
  MAX_SEGMENTS,
  PUBLIC_KEY_BYTES,
} from './limits.ts'
import { parsePayload } from './payload.ts'
import { signStatement, verifyStatement } from './signed.ts'
import { slabIdOf } from './slab-id.ts'

export interface IndexFields {
  group: SlabId
  k: number
  n: number
  /** Bytes of each sealed segment. */
  sealedBytes: readonly number[]
  /** Segment by segment the n roots of its pieces. */
  roots: readonly Uint8Array[]
}

/** `⌈sealed / k⌉`: the last data piece is padded with zeros. */
export function pieceBytesOf(sealedBytes: number, k: number): number {
  return Math.ceil(sealedBytes / k)
}

/** Undefined where a slab may be coded so; otherwise what is wrong. */
export function redundancyProblem(k: number, n: number): string | undefined {
  if (!Number.isInteger(k) || !Number.isInteger(n)) return 'k and n that are not whole numbers'
  if (k < 1 || n < k || n > MAX_COLUMNS) return 'k and n out of bounds'
  return k > 1 && k === n ? 'pieces without any that may be lost' : undefined
}

/** @throws ERR_CHUNK_INVALID where no reader would take it */
export function signIndex(signer: Signer, networkName: string, fields: IndexFields): SlabIndex {
  const { group, k, n, sealedBytes, roots } = fields
  if (roots.some((root) => root.length !== HASH_BYTES)) throw chunkInvalid('a root that is not 32 bytes')
  const message = create(IndexSchema, {
    publicKey: signer.publicKey,
    group,
    k,
    n,
    sealedBytes: [...sealedBytes],
    roots: Buffer.concat(roots),
  })
  checkIndex(message)
  return toIndex(message, signStatement(signer, 'index', networkName, toBinary(IndexSchema, message)))
}

/** @throws ERR_CHUNK_INVALID where bounds do not hold or the slab's key did not sign it for this network */
export function decodeIndex(signed: SignedBytes, networkName: string): SlabIndex {
  const message = parsePayload(IndexSchema, signed, MAX_INDEX_PAYLOAD_BYTES, 'index')
  checkIndex(message)
  if (!verifyStatement(message.publicKey, 'index', networkName, signed)) {
    throw chunkInvalid('an index that its slab did not sign')
  }
  return toIndex(message, signed)
}

/**
 * For an index that was verified before, by whoever compares its hash then: a holder reads its own files so, as the network
 * they were signed for may have another name now.
 *
 * @throws ERR_CHUNK_INVALID where bounds do not hold
 */
export function parseIndex(signed: SignedBytes): SlabIndex {
  const message = parsePayload(IndexSchema, signed, MAX_INDEX_PAYLOAD_BYTES, 'index')
  checkIndex(message)
  return toIndex(message, signed)
}

interface IndexMessage {
  publicKey: Uint8Array
  group: Uint8Array
  k: number
  n: number
  sealedBytes: number[]
  roots: Uint8Array
}

function checkIndex({ publicKey, group, k, n, sealedBytes, roots }: IndexMessage): void {
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw chunkInvalid('an index without a public key')
  if (group.length !== HASH_BYTES) throw chunkInvalid('an index without a group')
  const problem = redundancyProblem(k, n)
  if (problem !== undefined) throw chunkInvalid(`an index with ${problem}`)
  if (sealedBytes.length < 1 || sealedBytes.length > MAX_SEGMENTS) {
    throw chunkInvalid('an index of no segments, or of too many')
  }
  if (sealedBytes.some((bytes) => !Number.isInteger(bytes) || bytes < 1 || bytes > MAX_SEALED_BYTES)) {
    throw chunkInvalid('an index with a segment that is empty or too large')
  }
  if (roots.length !== sealedBytes.length * n * HASH_BYTES) {
    throw chunkInvalid('an index with the wrong number of roots')
  }
}

function toIndex(message: IndexMessage, signed: SignedBytes): SlabIndex {
  const { publicKey, group, k, n, sealedBytes, roots } = message
  return {
    slab: slabIdOf(publicKey),
    publicKey,
    group,
    k,
    n,
    sealedBytes,
    hash: hash('sha256', signed.payload, 'buffer'),
    signed,
    columnBytes: sealedBytes.reduce((sum, bytes) => sum + pieceBytesOf(bytes, k), 0),
    root(segment, column) {
      if (sealedBytes[segment] === undefined || !Number.isInteger(column) || column < 0 || column >= n) {
        throw new RangeError(`the slab has no piece ${segment}, ${column}`)
      }
      const begin = (segment * n + column) * HASH_BYTES
      return roots.subarray(begin, begin + HASH_BYTES)
    },
    pieceBytes(segment) {
      const bytes = sealedBytes[segment]
      if (bytes === undefined) throw new RangeError(`the slab has no segment ${segment}`)
      return pieceBytesOf(bytes, k)
    },
  }
}
