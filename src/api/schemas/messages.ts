import { Type } from 'typebox'
import { Count, Instant, PeerText } from './common.ts'

const Topic = Type.String({ minLength: 1, maxLength: 128, description: 'one line, chosen by applications' })

/** Base64 of the most bytes that a message may have. */
const MAX_BASE64 = 65_536

export const SendMessage = Type.Object(
  {
    topic: Topic,
    data: Type.String({ maxLength: MAX_BASE64, description: 'base64, at most 49 152 bytes' }),
    to: Type.Optional(PeerText),
  },
  { $id: 'SendMessage', additionalProperties: false },
)

export const MessageSent = Type.Object(
  {
    topic: Topic,
    to: Type.Union([Type.String(), Type.Null()], { description: 'the one peer, or null: all who listen' }),
    neighbours: Type.Integer({
      minimum: 0,
      description: 'to so many neighbours it went at once; 1 where one peer has taken it',
    }),
  },
  { $id: 'MessageSent' },
)

export const ListenQuery = Type.Object({ topic: Topic }, { additionalProperties: false })

export const HeardMessage = Type.Object(
  {
    topic: Topic,
    sender: Type.String({ description: 'peer id, proven' }),
    direct: Type.Boolean({ description: 'to this node alone' }),
    sequence: Type.String({ description: 'decimal; greater than in every earlier message of the sender' }),
    timeMs: Instant,
    data: Type.String({ description: 'base64' }),
    text: Type.Union([Type.String(), Type.Null()], { description: 'the same where it is UTF-8' }),
    droppedBefore: Type.Integer({ minimum: 0, description: 'messages that there was no room for' }),
  },
  { $id: 'HeardMessage' },
)

export const MessageTopics = Type.Object(
  { topics: Type.Array(Type.Object({ topic: Topic, listeners: Count })) },
  { $id: 'MessageTopics' },
)

export const MessagePeers = Type.Object({ peers: Type.Array(Type.String()) }, { $id: 'MessagePeers' })

const HookFields = {
  id: Type.Integer(),
  topic: Topic,
  url: Type.String(),
  createdAtMs: Instant,
  state: Type.Enum(['ok', 'failing', 'disabled'], {
    type: 'string',
    description: 'failing: it goes on trying; disabled: it took nothing for a day, or said that it is gone',
  }),
  failingSinceMs: Type.Union([Instant, Type.Null()]),
  problem: Type.Union([Type.String(), Type.Null()], { description: 'what went wrong last' }),
  lastDeliveredMs: Type.Union([Instant, Type.Null()]),
  queued: Count,
  delivered: Count,
  dropped: Type.Integer({ minimum: 0, description: 'the oldest that waited, as there was no room' }),
  refused: Type.Integer({ minimum: 0, description: 'given up, since the receiver did not want them' }),
}

export const NewHook = Type.Object(
  {
    topic: Topic,
    url: Type.String({ minLength: 1, maxLength: 2_048, description: 'http: or https:' }),
    secret: Type.Optional(
      Type.String({
        maxLength: 128,
        description: 'whsec_ and base64 of 24 to 64 bytes; without it one is made',
      }),
    ),
  },
  { $id: 'NewHook', additionalProperties: false },
)

export const HookReport = Type.Object(HookFields, { $id: 'HookReport' })

export const AddedHook = Type.Object({ ...HookFields, secret: Type.String() }, { $id: 'AddedHook' })

export const HookList = Type.Object({ hooks: Type.Array(Type.Object(HookFields)) }, { $id: 'HookList' })

export const HookParams = Type.Object(
  { id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) },
  { additionalProperties: false },
)
