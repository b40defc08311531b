import { Type } from 'typebox'
import { MAX_ADDRESS_LENGTH, MAX_LINK_LENGTH, MAX_PASSPHRASE_LENGTH, MAX_PHRASE_LENGTH } from '../limits.ts'
import { Count, Instant, Name } from './common.ts'

/** Its form is checked by the vault, which tells a typing error from a file that is not there. */
const LinkText = Type.String({
  minLength: 1,
  maxLength: MAX_LINK_LENGTH,
  description: 'a capability link: a secret',
})

const PathText = Type.String({
  minLength: 1,
  maxLength: MAX_ADDRESS_LENGTH,
  description: 'a file or folder of the tree, with forward slashes',
})

const ReadId = Type.String({
  pattern: '^[A-Za-z0-9_-]{8,64}$',
  description: 'chosen by the client: under it GET /vault/reads/{id} tells what came from whom',
})

const Redundancy = Type.String({
  pattern: '^(auto|copies:[1-9][0-9]?|rs:[1-9][0-9]?/[1-9][0-9]?)$',
  description: 'auto, copies:N or rs:K/N',
})

export const PutParams = Type.Object(
  {
    source: Type.Enum(['file', 'tree'], {
      type: 'string',
      description: 'the file itself, or a tar stream of a tree',
    }),
    fileName: Name,
    name: Name,
    redundancy: Type.Optional(Redundancy),
    allowDegraded: Type.Boolean({ default: false }),
    preserveMode: Type.Boolean({ default: true }),
  },
  { $id: 'PutParams', additionalProperties: false },
)

const EntryType = Type.Enum(['file', 'directory', 'symlink'], { type: 'string' })
const ObjectKind = Type.Enum(['file', 'tree'], { type: 'string' })
const Sha256 = Type.Union([Type.String(), Type.Null()], { description: 'in hexadecimal' })
const HealthState = Type.Enum(['healthy', 'degraded', 'critical', 'lost'], { type: 'string' })

export const VaultObject = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    version: Type.Integer({ minimum: 1 }),
    kind: ObjectKind,
    size: Count,
    stored: Type.Integer({ minimum: 0, description: 'bytes on all holders together' }),
    redundancy: Type.String(),
    link: Type.Union([Type.String(), Type.Null()], { description: 'null for tokens with the scope read' }),
    createdAtMs: Instant,
    expiresAtMs: Instant,
    state: Type.Enum(['putting', 'stored', 'degraded', 'deleting'], { type: 'string' }),
    health: Type.Enum(['healthy', 'degraded', 'critical', 'lost', 'unknown'], {
      type: 'string',
      description: 'as it was last measured; unknown where that is longer ago than proofs count',
    }),
    healthAtMs: Type.Union([Instant, Type.Null()], { description: 'when that was; null: never' }),
  },
  { $id: 'VaultObject' },
)

export const VaultObjectList = Type.Object({ objects: Type.Array(VaultObject) }, { $id: 'VaultObjectList' })

export const VaultResolved = Type.Object(
  {
    link: Type.String(),
    name: Type.String(),
    kind: ObjectKind,
    type: EntryType,
    size: Count,
    sha256: Sha256,
    mime: Type.Union([Type.String(), Type.Null()]),
    createdAtMs: Instant,
    redundancy: Type.String(),
  },
  { $id: 'VaultResolved' },
)

export const VaultEntry = Type.Object(
  {
    path: Type.String(),
    type: EntryType,
    size: Count,
    mode: Type.Union([Count, Type.Null()]),
    sha256: Sha256,
    mime: Type.Union([Type.String(), Type.Null()]),
    target: Type.Union([Type.String(), Type.Null()]),
  },
  { $id: 'VaultEntry' },
)

export const VaultHealth = Type.Object(
  {
    state: HealthState,
    slabs: Type.Array(
      Type.Object({
        id: Type.String(),
        k: Count,
        n: Count,
        live: Type.Integer({ minimum: 0, description: 'columns proven within two audit intervals' }),
        lastAudit: Type.Union([Type.String(), Type.Null()], { description: 'ISO 8601' }),
        margin: Type.Integer({ description: 'live columns above k' }),
        columns: Type.Array(
          Type.Object({
            column: Count,
            peer: Type.Union([Type.String(), Type.Null()]),
            live: Type.Boolean(),
          }),
        ),
      }),
    ),
  },
  { $id: 'VaultHealth' },
)

export const VaultInspection = Type.Object(
  {
    kind: Type.Enum(['link', 'manifest'], { type: 'string' }),
    power: Type.Enum(['read', 'verify'], { type: 'string' }),
    slab: Type.String(),
    name: Type.Union([Type.String(), Type.Null()]),
    size: Type.Union([Count, Type.Null()]),
    redundancy: Type.Union([Type.String(), Type.Null()]),
    slabs: Type.Union([Count, Type.Null()]),
  },
  { $id: 'VaultInspection' },
)

export const ReadReport = Type.Object(
  {
    sources: Type.Array(Type.Object({ peer: Type.String(), pieces: Count, bytes: Count, failures: Count })),
  },
  { $id: 'ReadReport' },
)

export const ReadParams = Type.Object({ id: ReadId }, { additionalProperties: false })

export const LinkBody = Type.Object({ link: LinkText }, { $id: 'LinkBody', additionalProperties: false })

export const LinkPathBody = Type.Object(
  { link: LinkText, path: Type.Optional(PathText) },
  { $id: 'LinkPathBody', additionalProperties: false },
)

export const VaultCatBody = Type.Object(
  {
    link: LinkText,
    path: Type.Optional(PathText),
    offset: Type.Optional(Type.Integer({ minimum: 0, description: 'first byte' })),
    length: Type.Optional(Type.Integer({ minimum: 0, description: 'bytes at most' })),
    read: Type.Optional(ReadId),
  },
  { $id: 'VaultCatBody', additionalProperties: false },
)

export const VaultTarBody = Type.Object(
  { link: LinkText, path: Type.Optional(PathText), name: Type.Optional(Name), read: Type.Optional(ReadId) },
  { $id: 'VaultTarBody', additionalProperties: false },
)

export const FileParams = Type.Object({ link: LinkText }, { additionalProperties: false })

export const FilePathParams = Type.Object({ link: LinkText, '*': PathText }, { additionalProperties: false })

export const FileQuery = Type.Object({ read: Type.Optional(ReadId) }, { additionalProperties: false })

export const HealthBody = Type.Object(
  {
    link: LinkText,
    fresh: Type.Optional(
      Type.Boolean({ default: false, description: 'challenge the holders now, in place of the last audits' }),
    ),
  },
  { $id: 'HealthBody', additionalProperties: false },
)

export const ShareBody = Type.Object(
  {
    link: LinkText,
    power: Type.Enum(['read', 'verify', 'owner'], {
      type: 'string',
      description: 'owner: what state import takes; needs the scope admin',
    }),
  },
  { $id: 'ShareBody', additionalProperties: false },
)

export const Shared = Type.Object({ text: Type.String() }, { $id: 'Shared' })

export const OpenedManifest = Type.Object({ link: Type.String() }, { $id: 'OpenedManifest' })

export const PruneBody = Type.Object(
  { dryRun: Type.Boolean({ default: false, description: 'only say what would be removed' }) },
  { $id: 'PruneBody', additionalProperties: false },
)

export const LeaveBody = Type.Object(
  {
    force: Type.Boolean({ default: false, description: 'end also where something drops below its minimum' }),
  },
  { $id: 'LeaveBody', additionalProperties: false },
)

export const VaultReport = Type.Object(
  {
    objects: Count,
    health: Type.Object(
      { healthy: Count, degraded: Count, critical: Count, lost: Count, unknown: Count },
      { description: 'objects by what was measured of them; unknown: not lately' },
    ),
    heldColumns: Count,
    heldBytes: Count,
    offeredBytes: Count,
    degradedSlabs: Count,
    soonestExpiryMs: Type.Union([Instant, Type.Null()]),
    problems: Type.Array(Type.String()),
  },
  { $id: 'VaultReport' },
)

const Passphrase = Type.String({ minLength: 1, maxLength: MAX_PASSPHRASE_LENGTH })

export const ExportStateBody = Type.Object(
  { passphrase: Type.Optional(Passphrase) },
  { $id: 'ExportStateBody', additionalProperties: false },
)

export const ImportStateHeaders = Type.Object({
  'state-passphrase': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 3 * MAX_PASSPHRASE_LENGTH,
      description: 'percent-encoded UTF-8, since headers take no other letters',
    }),
  ),
})

export const ImportedState = Type.Object({ objects: Count }, { $id: 'ImportedState' })

export const RecoveryPhrase = Type.Object(
  { phrase: Type.String({ description: '24 words: whoever has them has every file' }) },
  { $id: 'RecoveryPhrase' },
)

export const RecoverBody = Type.Object(
  { phrase: Type.String({ minLength: 1, maxLength: MAX_PHRASE_LENGTH }) },
  { $id: 'RecoverBody', additionalProperties: false },
)

export const RecoveredState = Type.Object({ objects: Count, version: Count }, { $id: 'RecoveredState' })
