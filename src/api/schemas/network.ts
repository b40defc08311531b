import { Type } from 'typebox'
import { AfterId, CidText, Count, Instant, Limit, PeerText } from './common.ts'

export const PeerSummary = Type.Object(
  {
    peer: Type.String(),
    did: Type.String(),
    addresses: Type.Array(Type.String()),
    direction: Type.Enum(['inbound', 'outbound'], { type: 'string' }),
    limited: Type.Boolean({ description: 'through a relay with limits' }),
    transport: Type.String(),
    connectedAtMs: Instant,
    latencyMs: Type.Union([Type.Number(), Type.Null()]),
    streams: Count,
    protocols: Type.Array(Type.String()),
    agent: Type.Union([Type.String(), Type.Null()]),
    score: Type.Number({ minimum: 0, maximum: 1 }),
  },
  { $id: 'PeerSummary' },
)

export const PeerList = Type.Object({ peers: Type.Array(PeerSummary) }, { $id: 'PeerList' })

export const Connect = Type.Object(
  { multiaddr: Type.String({ minLength: 1, maxLength: 512 }) },
  { $id: 'Connect', additionalProperties: false },
)

export const PeerParams = Type.Object({ peer: PeerText }, { additionalProperties: false })

const ListEntry = Type.Object(
  {
    peer: Type.String({ description: 'a peer id; on the block list also a range of addresses' }),
    reason: Type.Union([Type.String(), Type.Null()]),
    sinceMs: Instant,
  },
  { $id: 'ListEntry' },
)

export const BlockList = Type.Object({ blocked: Type.Array(ListEntry) }, { $id: 'BlockList' })

export const BlockPeer = Type.Object(
  { peer: PeerText, reason: Type.Optional(Type.String({ maxLength: 256 })) },
  { $id: 'BlockPeer', additionalProperties: false },
)

export const AllowList = Type.Object({ allowed: Type.Array(ListEntry) }, { $id: 'AllowList' })

export const AllowPeer = Type.Object({ peer: PeerText }, { $id: 'AllowPeer', additionalProperties: false })

export const EvidenceQuery = Type.Object(
  { peer: Type.Optional(PeerText), limit: Type.Optional(Limit), afterId: Type.Optional(AfterId) },
  { additionalProperties: false },
)

export const EvidenceList = Type.Object(
  {
    evidence: Type.Array(
      Type.Object({
        id: Count,
        peer: Type.String(),
        kind: Type.String(),
        detail: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
        atMs: Instant,
        count: Count,
      }),
    ),
    nextAfterId: Type.Union([Count, Type.Null()]),
  },
  { $id: 'EvidenceList' },
)

export const ProviderQuery = Type.Object({ cid: CidText }, { additionalProperties: false })

export const Provider = Type.Object(
  { peer: Type.String(), kind: Type.Enum(['connected', 'dht'], { type: 'string' }) },
  { $id: 'Provider' },
)
