import { Type } from 'typebox'

/** The shapes of the Pinning Service API (https://ipfs.github.io/pinning-services-api-spec/), version 1. */

const Nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()])

/** What a client sends; fields that are not known are not looked at. */
export const PinBody = Type.Object(
  {
    cid: Type.String({ minLength: 1, maxLength: 512 }),
    name: Type.Optional(Nullable(Type.String({ maxLength: 255 }))),
    origins: Type.Optional(Nullable(Type.Array(Type.String({ maxLength: 1024 }), { maxItems: 20 }))),
    meta: Type.Optional(Nullable(Type.Record(Type.String(), Type.String()))),
  },
  { $id: 'Pin' },
)

const PinShown = Type.Object({
  cid: Type.String(),
  name: Type.Optional(Type.String()),
  origins: Type.Array(Type.String()),
  meta: Type.Optional(Type.Record(Type.String(), Type.String())),
})

export const PinStatus = Type.Object(
  {
    requestid: Type.String(),
    status: Type.Enum(['queued', 'pinning', 'pinned', 'failed'], { type: 'string' }),
    created: Type.String({ format: 'date-time' }),
    pin: PinShown,
    delegates: Type.Array(Type.String(), { description: 'addresses of this node' }),
    info: Type.Optional(Type.Record(Type.String(), Type.String())),
  },
  { $id: 'PinStatus' },
)

export const PinResults = Type.Object(
  {
    count: Type.Integer({ minimum: 0, description: 'requests that fit, beyond the limit' }),
    results: Type.Array(PinStatus),
  },
  { $id: 'PinResults' },
)

export const PinsQuery = Type.Object({
  cid: Type.Optional(Type.String({ maxLength: 4096, description: 'at most 10 CIDs, separated by commas' })),
  name: Type.Optional(Type.String({ maxLength: 255 })),
  match: Type.Optional(
    Type.Enum(['exact', 'iexact', 'partial', 'ipartial'], { type: 'string', default: 'exact' }),
  ),
  status: Type.Optional(
    Type.String({
      maxLength: 64,
      description: 'queued, pinning, pinned, failed, separated by commas; pinned',
    }),
  ),
  before: Type.Optional(Type.String({ maxLength: 64, description: 'RFC 3339; created before it' })),
  after: Type.Optional(Type.String({ maxLength: 64, description: 'RFC 3339; created after it' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 10 })),
  meta: Type.Optional(Type.String({ maxLength: 8192, description: 'a JSON object of texts' })),
})

export const RequestIdParams = Type.Object(
  { requestid: Type.String({ minLength: 1, maxLength: 128 }) },
  { additionalProperties: false },
)

/** The one shape of the API's failures. */
export const PinFailure = Type.Object(
  {
    error: Type.Object({
      reason: Type.String({ description: 'for programs' }),
      details: Type.Optional(Type.String({ description: 'for people' })),
    }),
  },
  { $id: 'PinFailure' },
)
