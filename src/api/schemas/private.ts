import { Type } from 'typebox'
import { CidText, Instant, Limit } from './common.ts'

export const MakePrivate = Type.Object({ cid: CidText }, { $id: 'MakePrivate', additionalProperties: false })

export const PrivateParams = Type.Object({ cid: CidText }, { additionalProperties: false })

export const PrivateListQuery = Type.Object(
  {
    after: Type.Optional(CidText),
    limit: Type.Optional(Limit),
  },
  { additionalProperties: false },
)

export const PrivateList = Type.Object(
  {
    roots: Type.Array(Type.Object({ cid: Type.String(), createdAtMs: Instant })),
  },
  { $id: 'PrivateList' },
)
