import type { MessageInitShape } from '@bufbuild/protobuf'
import {
  bounded,
  columnField,
  countField,
  hashField,
  malformed,
  segmentField,
  signedField,
  textField,
} from './fields.ts'
import { MAX_LEAVES } from './format/limits.ts'
import {
  LOCATE_ID_BYTES,
  MAX_CLAIM_MS,
  MAX_HOPS,
  MAX_PEER_TEXT,
  MAX_PEERS_PER_HINT,
  MAX_SLABS_PER_HAVE,
  MAX_SLABS_PER_LOCATE,
  MAX_STATEMENTS_PER_MESSAGE,
} from './limits.ts'
import type { Request as RequestMessage, RequestSchema } from './messages_pb.ts'
import type { Hint, LocateQuery, SignedBytes, SlabId } from './types.ts'

/** Small questions that share a stream; each has one answer. */
export type ControlRequest =
  | { kind: 'capacity' }
  | { kind: 'have'; slabs: readonly SlabId[] }
  | { kind: 'index'; slab: SlabId }
  | { kind: 'lease'; slab: SlabId }
  | { kind: 'audit'; slab: SlabId; column: number; segment: number; leaf: number }
  | { kind: 'renew'; leases: readonly SignedBytes[] }
  | { kind: 'delete'; deletions: readonly SignedBytes[] }
  | { kind: 'tombstones'; after: number }
  | { kind: 'claim'; slab: SlabId; column: number; ttlMs: number }
  | { kind: 'hint'; hint: Hint }
  | { kind: 'locate'; query: LocateQuery }

type RequestBody = NonNullable<MessageInitShape<typeof RequestSchema>['body']>

export function requestBody(request: ControlRequest): RequestBody {
  switch (request.kind) {
    case 'capacity':
      return { case: 'capacity', value: {} }
    case 'have':
      return { case: 'have', value: { slabs: [...request.slabs] } }
    case 'index':
    case 'lease':
      return { case: request.kind, value: { slab: request.slab } }
    case 'audit': {
      const { slab, column, segment, leaf } = request
      return { case: 'audit', value: { slab, column, segment, leaf } }
    }
    case 'renew':
      return { case: 'renew', value: { leases: [...request.leases] } }
    case 'delete':
      return { case: 'delete', value: { deletions: [...request.deletions] } }
    case 'tombstones':
      return { case: 'tombstones', value: { after: BigInt(request.after) } }
    case 'claim': {
      const { slab, column, ttlMs } = request
      return { case: 'claim', value: { slab, column, ttlMs } }
    }
    case 'hint':
      return { case: 'hint', value: request.hint }
    case 'locate': {
      const { id, slabs, hopsLeft } = request.query
      return { case: 'locate', value: { query: id, slabs, hopsLeft } }
    }
  }
}

/** Undefined for a kind that this version does not have. @throws ProtocolViolationError */
export function decodeRequest({ body }: RequestMessage): ControlRequest | undefined {
  switch (body.case) {
    case 'capacity':
      return { kind: 'capacity' }
    case 'have':
      return { kind: 'have', slabs: bounded(body.value.slabs, MAX_SLABS_PER_HAVE).map(hashField) }
    case 'index':
    case 'lease':
      return { kind: body.case, slab: hashField(body.value.slab) }
    case 'audit': {
      const { slab, column, segment, leaf } = body.value
      if (leaf >= MAX_LEAVES) throw malformed('a leaf beyond the last that there can be')
      return {
        kind: 'audit',
        slab: hashField(slab),
        column: columnField(column),
        segment: segmentField(segment),
        leaf,
      }
    }
    case 'renew':
      return { kind: 'renew', leases: statements(body.value.leases) }
    case 'delete':
      return { kind: 'delete', deletions: statements(body.value.deletions) }
    case 'tombstones':
      return { kind: 'tombstones', after: countField(body.value.after) }
    case 'claim': {
      const { slab, column, ttlMs } = body.value
      return {
        kind: 'claim',
        slab: hashField(slab),
        column: columnField(column),
        ttlMs: Math.min(ttlMs, MAX_CLAIM_MS),
      }
    }
    case 'hint': {
      const peers = bounded(body.value.peers, MAX_PEERS_PER_HINT)
      return {
        kind: 'hint',
        hint: {
          group: hashField(body.value.group),
          peers: peers.map((peer) => textField(peer, MAX_PEER_TEXT)),
        },
      }
    }
    case 'locate': {
      const { query, slabs, hopsLeft } = body.value
      if (query.length !== LOCATE_ID_BYTES) throw malformed('a query id that is not 16 bytes')
      return {
        kind: 'locate',
        query: {
          id: query,
          slabs: bounded(slabs, MAX_SLABS_PER_LOCATE).map(hashField),
          hopsLeft: Math.min(hopsLeft, MAX_HOPS),
        },
      }
    }
    default:
      return undefined
  }
}

function statements(list: { payload: Uint8Array; signature: Uint8Array }[]): SignedBytes[] {
  return bounded(list, MAX_STATEMENTS_PER_MESSAGE).map((signed) => signedField(signed))
}

/** About what a request takes of its answerer's memory. */
export function requestWeight(request: ControlRequest | undefined): number {
  const base = 256
  switch (request?.kind) {
    case 'have':
      return base + request.slabs.length * 64
    case 'renew':
      return base + request.leases.length * 256
    case 'delete':
      return base + request.deletions.length * 256
    case 'locate':
      return base + request.query.slabs.length * 64
    case 'hint':
      return base + request.hint.peers.length * 128
    default:
      return base
  }
}
