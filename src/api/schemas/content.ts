import { Type } from 'typebox'
import { Address, Count, Name, Offline } from './common.ts'

const EntryType = Type.Enum(['file', 'directory', 'symlink', 'raw', 'other'], { type: 'string' })

export const Resolved = Type.Object(
  {
    root: Type.String(),
    cid: Type.String(),
    path: Type.Array(Type.String()),
    name: Type.String({ description: 'the last name on the path, or the CID' }),
    type: EntryType,
    size: Type.Union([Count, Type.Null()]),
    mode: Type.Union([Count, Type.Null()]),
  },
  { $id: 'Resolved' },
)

export const Entry = Type.Object(
  {
    name: Type.String(),
    cid: Type.String(),
    type: EntryType,
    size: Type.Union([Count, Type.Null()]),
    mode: Type.Union([Count, Type.Null()]),
    target: Type.Optional(Type.String()),
  },
  { $id: 'Entry' },
)

export const AddressQuery = Type.Object(
  { address: Address, offline: Type.Optional(Offline) },
  { additionalProperties: false },
)

export const CarQuery = Type.Object(
  {
    address: Address,
    offline: Type.Optional(Offline),
    private: Type.Optional(
      Type.Boolean({ description: 'private content too; the CAR does not say that it is private' }),
    ),
  },
  { additionalProperties: false },
)

export const CatQuery = Type.Object(
  {
    address: Address,
    offset: Type.Optional(Type.Integer({ minimum: 0, description: 'first byte' })),
    length: Type.Optional(Type.Integer({ minimum: 0, description: 'bytes at most' })),
    offline: Type.Optional(Offline),
  },
  { additionalProperties: false },
)

export const TarQuery = Type.Object(
  { address: Address, name: Type.Optional(Name), offline: Type.Optional(Offline) },
  { additionalProperties: false },
)
