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
