import { Type } from 'typebox'
import { MAX_PARAM_LENGTH } from '../limits.ts'
import { AfterId, CidText, Count, Instant, Limit, PeerText } from './common.ts'

/** Of the content, chunk and Bitswap protocols, over all connections that there ever were. */
const BytesMoved = Type.Integer({ minimum: 0, description: 'data exchanged over all connections so far' })

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
    bytesIn: BytesMoved,
    bytesOut: BytesMoved,
    firstSeenMs: Type.Union([Instant, Type.Null()], { description: 'null where nothing is remembered' }),
    connections: Count,
    failures: Count,
  },
  { $id: 'PeerSummary' },
)

export const KnownPeer = Type.Object(
  {
    peer: Type.String(),
    did: Type.String(),
    addresses: Type.Array(Type.String(), { description: 'where it was reached last comes first' }),
    firstSeenMs: Instant,
    lastSeenMs: Instant,
    successes: Count,
    failures: Count,
    failuresInRow: Count,
    bytesIn: BytesMoved,
    bytesOut: BytesMoved,
    latencyMs: Type.Union([Type.Number(), Type.Null()]),
    agent: Type.Union([Type.String(), Type.Null()]),
    score: Type.Number({ minimum: 0, maximum: 1 }),
  },
  { $id: 'KnownPeer' },
)

export const KnownPeerQuery = Type.Object({ limit: Type.Optional(Limit) }, { additionalProperties: false })

export const KnownPeerList = Type.Object({ peers: Type.Array(KnownPeer) }, { $id: 'KnownPeerList' })

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

const BlockedText = Type.String({
  minLength: 1,
  maxLength: MAX_PARAM_LENGTH,
  description: 'a peer id, did:key, address, range, or content such as /ipfs/CID',
})

export const BlockedParams = Type.Object({ peer: BlockedText }, { additionalProperties: false })

export const BlockPeer = Type.Object(
  { peer: BlockedText, reason: Type.Optional(Type.String({ maxLength: 256 })) },
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

/** Counted less the longer ago it was, so that it is no whole number. */
const Lately = Type.Number({ minimum: 0 })

export const ProviderQuery = Type.Object({ cid: CidText }, { additionalProperties: false })

export const Provider = Type.Object(
  {
    peer: Type.String(),
    kind: Type.Enum(['connected', 'dht'], { type: 'string' }),
    score: Type.Number({ description: 'the router asks the highest first' }),
    claim: Type.Enum(['yes', 'no', 'unknown'], {
      type: 'string',
      description: "what the peer's content filter says about this CID",
    }),
    successes: Lately,
    failures: Lately,
    bytes: Lately,
    bytesPerSecond: Type.Union([Type.Number(), Type.Null()]),
    latencyMs: Type.Union([Type.Number(), Type.Null()]),
  },
  { $id: 'Provider' },
)

export const RouteQuery = Type.Object(
  {
    cid: CidText,
    size: Type.Optional(
      Type.Integer({ minimum: 0, description: 'bytes, in place of what the root says where it is held' }),
    ),
  },
  { additionalProperties: false },
)

export const RouteReport = Type.Object(
  {
    cid: Type.String(),
    facts: Type.Object({
      isPrivate: Type.Boolean(),
      sizeBytes: Type.Union([Count, Type.Null()]),
      ageMs: Type.Union([Type.Number({ minimum: 0 }), Type.Null()]),
    }),
    preference: Type.Enum(['p2p', 'ipfs', 'none'], {
      type: 'string',
      description: 'what the rules of content.router.prefer say together',
    }),
    count: Type.Integer({ minimum: 1, description: 'sources that content of this size is worth' }),
    sources: Type.Array(
      Type.Object({
        kind: Type.Enum(['peer', 'provider', 'ipfs', 'proxy', 'gateway'], { type: 'string' }),
        id: Type.String({ description: 'a peer id, the URL of a gateway, or ipfs' }),
        score: Type.Number(),
        terms: Type.Array(Type.Object({ name: Type.String(), value: Type.String(), points: Type.Number() })),
      }),
      { description: 'the best first' },
    ),
    steps: Type.Array(Type.String(), {
      description:
        'ipfs, proxy, gateways, as far as they are on: in the order in which a fetch asks them after the peers',
    }),
  },
  { $id: 'RouteReport' },
)
