import type { MessageInitShape } from '@bufbuild/protobuf'
import { bounded, columnField, countField, hashField, malformed, signedField, textField } from './fields.ts'
import { HASH_BYTES, LEAF_BYTES, MAX_PATH_HASHES } from './format/limits.ts'
import {
  MAX_ADDRESS_TEXT,
  MAX_ADDRESSES,
  MAX_FOUND,
  MAX_LOCATED_BYTES,
  MAX_PEER_TEXT,
  MAX_SLABS_PER_HAVE,
  MAX_STATEMENTS_PER_MESSAGE,
} from './limits.ts'
import type { Answer as AnswerMessage, AnswerSchema } from './messages_pb.ts'
import type { Capacity, Found, HeldColumn, Proof, SignedBytes, SlabId } from './types.ts'
import { slabKeyOf } from './format/slab-id.ts'

/** A held column by the position of its slab in the question. */
export interface HeldAnswer {
  slab: number
  column: number
  indexHash: Uint8Array
  untilMs: number
  isRebuilt: boolean
}

export interface FoundAnswer {
  slab: number
  peer: string
  addresses: string[]
}

/** What an Answer carries beside its status. An index comes as a data frame before it. */
export type AnswerBody =
  | { kind: 'capacity'; capacity: Capacity }
  | { kind: 'held'; columns: HeldAnswer[] }
  | { kind: 'lease'; lease: SignedBytes }
  | { kind: 'proof'; proof: Proof }
  | { kind: 'statuses'; statuses: number[] }
  | { kind: 'tombstones'; deletions: SignedBytes[]; next: number }
  | { kind: 'claimed'; granted: boolean }
  | { kind: 'located'; found: FoundAnswer[] }

type Body = NonNullable<MessageInitShape<typeof AnswerSchema>['body']>

export function answerBody(body: AnswerBody): Body {
  switch (body.kind) {
    case 'capacity': {
      const { accepts, offeredBytes, freeBytes, repairFreeBytes } = body.capacity
      const value = {
        accepts,
        offeredBytes: BigInt(offeredBytes),
        freeBytes: BigInt(freeBytes),
        repairFreeBytes: BigInt(repairFreeBytes),
      }
      return { case: 'capacity', value }
    }
    case 'held': {
      const columns = body.columns.map(({ isRebuilt, ...held }) => ({
        ...held,
        untilMs: BigInt(held.untilMs),
        rebuilt: isRebuilt,
      }))
      return { case: 'held', value: { columns } }
    }
    case 'lease':
      return { case: 'lease', value: body.lease }
    case 'proof':
      return { case: 'proof', value: body.proof }
    case 'statuses':
      return { case: 'statuses', value: { statuses: body.statuses } }
    case 'tombstones':
      return { case: 'tombstones', value: { deletions: body.deletions, next: BigInt(body.next) } }
    case 'claimed':
      return { case: 'claimed', value: { granted: body.granted } }
    case 'located':
      return { case: 'located', value: { found: body.found } }
  }
}

/** Undefined where there is none, or one of a kind that this version does not have. @throws ProtocolViolationError */
export function decodeAnswer({ body }: AnswerMessage): AnswerBody | undefined {
  switch (body.case) {
    case 'capacity': {
      const { accepts, offeredBytes, freeBytes, repairFreeBytes } = body.value
      return {
        kind: 'capacity',
        capacity: {
          accepts,
          offeredBytes: countField(offeredBytes),
          freeBytes: countField(freeBytes),
          repairFreeBytes: countField(repairFreeBytes),
        },
      }
    }
    case 'held': {
      const columns = bounded(body.value.columns, MAX_SLABS_PER_HAVE)
      return {
        kind: 'held',
        columns: columns.map(({ slab, column, indexHash, untilMs, rebuilt }) => ({
          slab,
          column: columnField(column),
          indexHash: hashField(indexHash),
          untilMs: countField(untilMs),
          isRebuilt: rebuilt,
        })),
      }
    }
    case 'lease':
      return { kind: 'lease', lease: signedField(body.value) }
    case 'proof': {
      const { leaf, path } = body.value
      if (leaf.length > LEAF_BYTES) throw malformed('a leaf that is too long')
      return { kind: 'proof', proof: { leaf, path: bounded(path, MAX_PATH_HASHES).map(hashField) } }
    }
    case 'statuses':
      return { kind: 'statuses', statuses: bounded(body.value.statuses, MAX_STATEMENTS_PER_MESSAGE) }
    case 'tombstones': {
      const deletions = bounded(body.value.deletions, MAX_STATEMENTS_PER_MESSAGE)
      return {
        kind: 'tombstones',
        deletions: deletions.map((signed) => signedField(signed)),
        next: countField(body.value.next),
      }
    }
    case 'claimed':
      return { kind: 'claimed', granted: body.value.granted }
    case 'located': {
      const found = bounded(body.value.found, MAX_FOUND)
      return {
        kind: 'located',
        found: found.map(({ slab, peer, addresses }) => ({
          slab,
          peer: textField(peer, MAX_PEER_TEXT),
          addresses: bounded(addresses, MAX_ADDRESSES).map((text) => textField(text, MAX_ADDRESS_TEXT)),
        })),
      }
    }
    default:
      return undefined
  }
}

/** As the wire names them. What was not asked for, or is not well formed, is left out. */
export function heldAnswers(slabs: readonly SlabId[], columns: readonly HeldColumn[]): HeldAnswer[] {
  const places = placesOf(slabs)
  const answers: HeldAnswer[] = []
  for (const { slab, column, indexHash, untilMs, isRebuilt = false } of columns) {
    const place = places.get(slabKeyOf(slab))
    if (place === undefined || answers.length >= MAX_SLABS_PER_HAVE) continue
    if (indexHash.length === HASH_BYTES) answers.push({ slab: place, column, indexHash, untilMs, isRebuilt })
  }
  return answers
}

/** The same for places of columns; no more than fits a message. */
export function foundAnswers(slabs: readonly SlabId[], found: readonly Found[]): FoundAnswer[] {
  const places = placesOf(slabs)
  const answers: FoundAnswer[] = []
  let bytes = 0
  for (const { slab, peer, addresses } of found) {
    const place = places.get(slabKeyOf(slab))
    if (place === undefined || peer.length === 0 || peer.length > MAX_PEER_TEXT) continue
    const kept = addresses.filter(isAddress).slice(0, MAX_ADDRESSES)
    // Tags and lengths: 16 bytes for the entry, 4 for each address. Peer ids and multiaddrs are ASCII.
    bytes += 16 + peer.length + kept.reduce((sum, text) => sum + 4 + text.length, 0)
    if (answers.length >= MAX_FOUND || bytes > MAX_LOCATED_BYTES) break
    answers.push({ slab: place, peer, addresses: kept })
  }
  return answers
}

function isAddress(text: string): boolean {
  return text.length > 0 && text.length <= MAX_ADDRESS_TEXT
}

function placesOf(slabs: readonly SlabId[]): Map<string, number> {
  return new Map(slabs.map((slab, place) => [slabKeyOf(slab), place]))
}
