import { Type } from 'typebox'
import { CidText, Count, Instant } from './common.ts'

const Score = Type.Number({ minimum: 0, maximum: 1 })
const Bytes = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })

const AutoRule = Type.Object(
  {
    kind: Type.Literal('auto'),
    minScore: Score,
    budgetBytes: Bytes,
    peer: Type.Optional(Type.String({ maxLength: 128, description: 'only what this peer announces' })),
  },
  { additionalProperties: false },
)

const RecentRule = Type.Object(
  {
    kind: Type.Literal('recent'),
    windowMs: Type.Integer({ minimum: 1_000, maximum: 315_360_000_000 }),
    budgetBytes: Bytes,
  },
  { additionalProperties: false },
)

const CopiesRule = Type.Object(
  {
    kind: Type.Literal('copies'),
    copies: Type.Integer({ minimum: 1, maximum: 16 }),
    minScore: Score,
    cid: Type.Optional(CidText),
  },
  { additionalProperties: false },
)

export const PolicyBody = Type.Union([AutoRule, RecentRule, CopiesRule], { $id: 'PolicyRule' })

const RecordMembers = { id: Count, rule: PolicyBody, createdAtMs: Instant }

export const PolicyRecord = Type.Object(RecordMembers, { $id: 'PolicyRecord' })

export const PolicyList = Type.Object(
  {
    policies: Type.Array(
      Type.Object({
        ...RecordMembers,
        items: Type.Integer({
          minimum: 0,
          description: 'what it keeps; for copies the roots it looks after',
        }),
        usedBytes: Count,
        short: Type.Optional(
          Type.Integer({ minimum: 0, description: 'roots with fewer copies than wanted' }),
        ),
        promised: Type.Optional(Type.Integer({ minimum: 0, description: 'copies that others promised' })),
      }),
    ),
  },
  { $id: 'PolicyList' },
)

export const PolicyParams = Type.Object(
  { id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) },
  { additionalProperties: false },
)

export const CopyList = Type.Object(
  {
    copies: Type.Array(
      Type.Object({
        cid: Type.String(),
        peer: Type.String(),
        untilMs: Instant,
        provenMs: Type.Union([Instant, Type.Null()]),
      }),
    ),
  },
  { $id: 'CopyList' },
)
