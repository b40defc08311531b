import { Type } from 'typebox'
import { Address, Count, Instant, PeerText } from './common.ts'

/** As protocols/catalog has them; longer ones are refused there, with a reason. */
const MAX_TEXT = 4096
const MAX_SEQUENCES = 10_000

const Kind = Type.Enum(['other', 'file', 'directory', 'release', 'private'], {
  type: 'string',
  description: 'what it leads to, by its publisher; private: opened by a link',
})
const Sequence = Type.Integer({ minimum: 1, description: "the number in its publisher's log" })
const Size = Type.Union([Count, Type.Null()], { description: 'bytes; null where it is not told' })

export const CatalogEntry = Type.Object(
  {
    publisher: Type.String({ description: 'peer id whose key signed it' }),
    sequence: Sequence,
    id: Type.String({ description: 'SHA-256 of what was signed, in hexadecimal' }),
    kind: Kind,
    title: Type.String(),
    description: Type.String(),
    tags: Type.Array(Type.String()),
    mime: Type.String({ description: 'empty where it is not told' }),
    sizeBytes: Size,
    address: Type.String({ description: '/ipfs/…, /ipns/… or a capability link' }),
    atMs: Instant,
    untilMs: Instant,
    isOwn: Type.Boolean({ description: 'published by this node' }),
  },
  { $id: 'CatalogEntry' },
)

export const CatalogQuery = Type.Object(
  {
    text: Type.Optional(
      Type.String({
        maxLength: 512,
        description:
          'words that must all occur; "two words" together, begin*, -without. Without it, the newest entries',
      }),
    ),
    kind: Type.Optional(Kind),
    tag: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
    mime: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'video/mp4, or video/ for all of them' }),
    ),
    publisher: Type.Optional(PeerText),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 20 })),
    after: Type.Optional(Type.String({ maxLength: 16, description: '`next` of the page before' })),
  },
  { additionalProperties: false },
)

export const CatalogPage = Type.Object(
  {
    entries: Type.Array(CatalogEntry),
    total: Type.Integer({ minimum: 0, description: 'that match and are shown, on all pages' }),
    hidden: Type.Object(
      { entries: Count, publishers: Count },
      { description: 'that match and are not trusted' },
    ),
    next: Type.Union([Type.String(), Type.Null()]),
  },
  { $id: 'CatalogPage' },
)

export const PublishEntryBody = Type.Object(
  {
    address: Address,
    title: Type.Optional(
      Type.String({
        maxLength: MAX_TEXT,
        description: 'by default the name of the pin of what is held here',
      }),
    ),
    description: Type.Optional(Type.String({ maxLength: MAX_TEXT })),
    tags: Type.Optional(Type.Array(Type.String({ maxLength: MAX_TEXT }), { maxItems: 64 })),
    kind: Type.Optional(Kind),
    mime: Type.Optional(Type.String({ maxLength: MAX_TEXT })),
    sizeBytes: Type.Optional(Count),
    lifetimeMs: Type.Optional(Type.Integer({ minimum: 1, description: 'catalog.lifetime by default' })),
    revealsLink: Type.Optional(
      Type.Boolean({ description: 'needed for a capability link: everybody can read what it opens' }),
    ),
  },
  { $id: 'PublishEntryBody', additionalProperties: false },
)

const Neighbours = Type.Integer({
  minimum: 0,
  description: 'that were told at once; others learn of it later',
})

export const PublishedEntry = Type.Object(
  { entry: CatalogEntry, neighbours: Neighbours },
  { $id: 'PublishedEntry' },
)

export const WithdrawBody = Type.Object(
  {
    sequences: Type.Union([
      Type.Array(Sequence, { minItems: 1, maxItems: MAX_SEQUENCES }),
      Type.Literal('all', { description: 'everything that this node has published' }),
    ]),
  },
  { $id: 'WithdrawBody', additionalProperties: false },
)

export const WithdrawnEntries = Type.Object(
  { publisher: Type.String(), sequences: Type.Array(Sequence), neighbours: Neighbours },
  { $id: 'WithdrawnEntries' },
)

export const CatalogPublisher = Type.Object(
  {
    publisher: Type.String(),
    entries: Type.Integer({ minimum: 0, description: 'that are kept here' }),
    sequence: Type.Integer({ minimum: 0, description: 'the highest number that was seen of its log' }),
    headSequence: Type.Union([Count, Type.Null()], {
      description: 'the highest number that it tells in the DHT, as last asked',
    }),
    isShown: Type.Boolean(),
    isForked: Type.Boolean({ description: 'it signed two histories' }),
    isOwn: Type.Boolean(),
  },
  { $id: 'CatalogPublisher' },
)

export const CatalogPublishers = Type.Object(
  { publishers: Type.Array(CatalogPublisher) },
  { $id: 'CatalogPublishers' },
)

export const SyncBody = Type.Object(
  { publisher: Type.Optional(PeerText) },
  { $id: 'SyncBody', additionalProperties: false },
)

export const CatalogSynced = Type.Object(
  {
    peers: Type.Integer({ minimum: 0, description: 'with which it is the same now' }),
    failed: Count,
    taken: Count,
    given: Count,
    publisher: Type.Union([CatalogPublisher, Type.Null()]),
  },
  { $id: 'CatalogSynced' },
)
