import { Type } from 'typebox'
import { AfterId, CidText, Count, Instant, Limit, PinName } from './common.ts'

export const StorageUsage = Type.Object(
  {
    usedBytes: Type.Integer({ minimum: 0, description: 'everything that counts towards the quota' }),
    quotaBytes: Count,
    blocks: Count,
    blockBytes: Count,
    quarantined: Type.Integer({ minimum: 0, description: 'blocks found rotten and not healed so far' }),
    pins: Count,
  },
  { $id: 'StorageUsage' },
)

export const PinKind = Type.Enum(['recursive', 'direct'], { type: 'string' })

export const PinRecord = Type.Object(
  {
    cid: Type.String(),
    name: Type.String(),
    kind: PinKind,
    state: Type.Enum(['pinning', 'pinned', 'unpinning'], { type: 'string' }),
    createdAtMs: Instant,
  },
  { $id: 'PinRecord' },
)

export const PinList = Type.Object(
  { pins: Type.Array(PinRecord), nextAfterId: Type.Union([Count, Type.Null()]) },
  { $id: 'PinList' },
)

export const PinListQuery = Type.Object(
  {
    cid: Type.Optional(CidText),
    name: Type.Optional(PinName),
    kind: Type.Optional(PinKind),
    limit: Type.Optional(Limit),
    afterId: Type.Optional(AfterId),
  },
  { additionalProperties: false },
)

export const PinParams = Type.Object({ cid: CidText }, { additionalProperties: false })

export const UnpinQuery = Type.Object(
  { name: Type.Optional(PinName), kind: Type.Optional(PinKind) },
  { additionalProperties: false },
)

export const Unpinned = Type.Object({ removed: Type.Array(PinRecord) }, { $id: 'Unpinned' })
