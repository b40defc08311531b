import { Type } from 'typebox'
import { Count, Instant, Limit, PeerText } from './common.ts'

const Score = Type.Number({ minimum: 0, maximum: 1 })
const View = Type.Union([Type.Literal('honesty'), Type.Literal('reliability')])

export const TrustedPeer = Type.Object(
  {
    peer: Type.String(),
    score: Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'honesty, or the mean of honesty and reliability where that is less',
    }),
    storageScore: Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'the same for who is to keep something: messages add nothing, lost columns take',
    }),
    honesty: Score,
    reliability: Score,
    confidence: Type.Number({ minimum: 0, maximum: 1, description: 'how well the peer is known' }),
    baseline: Score,
    heard: Type.Object(
      { honesty: Type.Number(), reliability: Type.Number() },
      { description: 'what others say adds to each view now, or takes from it; nothing to storageScore' },
    ),
    recommendations: Type.Array(
      Type.Object({
        by: Type.String(),
        view: View,
        score: Score,
        evidence: Type.Integer({
          minimum: 0,
          description: 'how much of it stands behind the score; 0: taken back',
        }),
        atMs: Instant,
        range: Type.String({
          description: 'network of the recommender; those of one count together. Empty: not known',
        }),
        recommender: Type.Number({
          minimum: 0,
          maximum: 1,
          description: "the recommender's own score, by what was seen of it; 0: it is not heard",
        }),
        worth: Type.Number({ description: 'what it would add or take where nothing was seen' }),
      }),
      { description: 'what others say' },
    ),
    terms: Type.Array(
      Type.Object({
        sum: Type.String(),
        value: Type.Number({ description: 'what it adds to the baseline now, or takes from it' }),
        views: Type.Array(Type.String(), { description: 'what it counts for' }),
        halfLifeMs: Count,
      }),
    ),
    totals: Type.Array(Type.Object({ kind: Type.String(), count: Count, lastMs: Instant }), {
      description: 'everything that was ever reported',
    }),
    override: Type.Union([Score, Type.Null()], { description: 'what the operator said instead' }),
    listed: Type.Union([Type.Literal('blocked'), Type.Literal('allowed'), Type.Null()]),
    bannedUntilMs: Type.Union([Instant, Type.Null()]),
    decisions: Type.Array(
      Type.Object({
        action: Type.String(),
        measure: Type.String(),
        value: Score,
        threshold: Score,
        allowed: Type.Boolean(),
      }),
      { description: 'what the peer may' },
    ),
  },
  { $id: 'TrustedPeer' },
)

export const ExplainedPeer = Type.Object(
  {
    ...TrustedPeer.properties,
    membership: Type.Union(
      [
        Type.Literal('owner'),
        Type.Literal('admin'),
        Type.Literal('member'),
        Type.Literal('revoked'),
        Type.Literal('none'),
        Type.Null(),
      ],
      {
        description:
          "what it is in this node's swarm; null where this node is in none. That it is the owner is known of this node alone",
      },
    ),
  },
  { $id: 'ExplainedPeer' },
)

export const TrustQuery = Type.Object(
  { limit: Type.Optional(Limit), afterPeer: Type.Optional(PeerText) },
  { additionalProperties: false },
)

export const TrustList = Type.Object(
  {
    peers: Type.Array(TrustedPeer),
    nextAfterPeer: Type.Union([Type.String(), Type.Null()], { description: 'where the next page begins' }),
  },
  { $id: 'TrustList' },
)

export const SetScore = Type.Object(
  { score: Type.Union([Score, Type.Null()], { description: 'null: what was seen counts again' }) },
  { $id: 'SetScore', additionalProperties: false },
)

const ToldRecommendation = Type.Object({
  subject: Type.String(),
  view: View,
  score: Score,
  evidence: Type.Integer({ minimum: 0, description: '0: what was said before is taken back' }),
  atMs: Instant,
  isByHand: Type.Boolean({ description: 'the operator said it, and not what was seen' }),
})

export const Recommend = Type.Object(
  { withdraw: Type.Optional(Type.Boolean({ description: 'take back what was said' })) },
  { $id: 'Recommend', additionalProperties: false },
)

export const Recommended = Type.Object(
  {
    told: Type.Array(ToldRecommendation),
    recipients: Type.Integer({ minimum: 0, description: 'neighbours that it went to' }),
  },
  { $id: 'Recommended' },
)

export const ToldList = Type.Object({ told: Type.Array(ToldRecommendation) }, { $id: 'ToldList' })

const Mark = Type.Object({ id: Count, hash: Type.String({ description: 'SHA-256, hexadecimal' }) })

export const LedgerAudit = Type.Object(
  {
    ok: Type.Boolean(),
    verified: Count,
    unsealed: Type.Integer({ minimum: 0, description: 'entries of the last minutes, not in the chain yet' }),
    checkpoint: Mark,
    head: Mark,
    firstBroken: Type.Union([Type.Object({ id: Count, reason: Type.String() }), Type.Null()]),
  },
  { $id: 'LedgerAudit' },
)
