import { Type } from 'typebox'
import { Address, Count, Instant, Name, Offline } from './common.ts'

const NameText = Type.String({
  minLength: 1,
  maxLength: 4096,
  description: 'an IPNS name (k51…, a peer id) or a domain, with or without a path',
})

/** A uint64, more than JSON's numbers hold. */
const Sequence = Type.String({ pattern: '^\\d{1,20}$', description: 'the number of the record' })

export const PublishedName = Type.Object(
  {
    name: Type.String({ description: 'base36 CID of the key' }),
    key: Type.String(),
    value: Type.String({ description: 'where it leads' }),
    sequence: Sequence,
    ttlMs: Count,
    lifetimeMs: Count,
    validUntilMs: Instant,
    nextMs: Type.Integer({ description: 'when the network will be told again' }),
    told: Type.Integer({ minimum: 0, description: 'peers that took the record the last time' }),
    problem: Type.Union([Type.String(), Type.Null()], { description: 'why nobody was told' }),
  },
  { $id: 'PublishedName' },
)

export const PublishedNames = Type.Object({ names: Type.Array(PublishedName) }, { $id: 'PublishedNames' })

export const PublishBody = Type.Object(
  {
    address: Address,
    key: Type.Optional(Name),
    lifetimeMs: Type.Optional(Type.Integer({ minimum: 0, description: 'how long a record is valid; 48 h' })),
    ttlMs: Type.Optional(Type.Integer({ minimum: 0, description: 'how long an answer may be kept; 5 min' })),
    offline: Type.Optional(Type.Boolean({ description: 'sign and keep; the network is told later' })),
  },
  { $id: 'PublishBody', additionalProperties: false },
)

export const KeyParams = Type.Object({ key: Name }, { additionalProperties: false })

export const NameQuery = Type.Object(
  {
    name: NameText,
    offline: Type.Optional(Offline),
    maxAgeMs: Type.Optional(
      Type.Integer({ minimum: 0, description: 'a kept answer may be so old; 0 asks the network first' }),
    ),
  },
  { additionalProperties: false },
)

export const ResolvedName = Type.Object(
  {
    path: Type.String({ description: '/ipfs/CID[/…]' }),
    ttlMs: Type.Integer({ minimum: 0, description: 'how long the answer may be kept' }),
  },
  { $id: 'ResolvedName' },
)

export const NameRecord = Type.Object(
  {
    name: Type.String({ description: 'base36 CID of the key' }),
    value: Type.String(),
    sequence: Sequence,
    ttlMs: Count,
    validUntilMs: Instant,
    record: Type.String({ description: 'the signed record, base64' }),
  },
  { $id: 'NameRecord' },
)

export const ImportNameQuery = Type.Object(
  {
    name: NameText,
    keep: Type.Optional(
      Type.Boolean({ default: true, description: 'tell the network again until the record expires' }),
    ),
  },
  { additionalProperties: false },
)

export const ImportedName = Type.Object(
  {
    name: Type.String(),
    value: Type.String(),
    sequence: Sequence,
    validUntilMs: Instant,
    told: Type.Integer({ minimum: 0, description: 'peers that took the record' }),
  },
  { $id: 'ImportedName' },
)

export const NameKey = Type.Object(
  {
    key: Type.String(),
    name: Type.String({ description: 'the name that it publishes under' }),
    createdAtMs: Type.Union([Instant, Type.Null()]),
  },
  { $id: 'NameKey' },
)

export const NameKeys = Type.Object({ keys: Type.Array(NameKey) }, { $id: 'NameKeys' })

export const CreateKeyBody = Type.Object({ key: Name }, { $id: 'CreateKeyBody', additionalProperties: false })
