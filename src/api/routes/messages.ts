import { isUtf8 } from 'node:buffer'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Hooks } from '../../gossip/hooks/types.ts'
import type { AppMessage } from '../../gossip/messages/types.ts'
import { parsePeer } from '../../trust/subject.ts'
import type { ApiContext } from '../context.ts'
import { messageEncoding, messagesAbsent } from '../errors.ts'
import { MESSAGE_HEARTBEAT_MS } from '../limits.ts'
import { route, type Route } from '../route.ts'
import {
  AddedHook,
  HeardMessage,
  HookList,
  HookParams,
  HookReport,
  ListenQuery,
  MessagePeers,
  MessageSent,
  MessageTopics,
  NewHook,
  SendMessage,
} from '../schemas/messages.ts'
import { StreamAnswer } from '../streaming.ts'

/** What applications say to each other through their nodes. */
export const messageRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/api/v1/messages',
    operationId: 'sendMessage',
    tag: 'messages',
    access: 'write',
    summary: 'Say something to all who listen to a topic, or to one peer',
    body: SendMessage,
    replies: { 200: { description: 'sent', schema: MessageSent } },
    handle: async ({ body, signal }, { messages }) => {
      if (messages === undefined) throw messagesAbsent()
      const payload = fromBase64(body.data)
      if (body.to === undefined)
        return { topic: body.topic, to: null, neighbours: await messages.publish(body.topic, payload) }
      const to = parsePeer(body.to)
      await messages.send(peerIdFromString(to), body.topic, payload, signal)
      return { topic: body.topic, to, neighbours: 1 }
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/messages',
    operationId: 'listen',
    tag: 'messages',
    access: 'read',
    summary: 'What is said under a topic, as it is said',
    description:
      'One JSON text a line; an empty line now and then tells that the node is there. With `Accept: text/event-stream`, events `message` with the same data.',
    query: ListenQuery,
    replies: { 200: { description: 'messages', schema: HeardMessage, type: 'application/x-ndjson' } },
    handle: async ({ query, rawHeaders, signal }, { messages }) => {
      if (messages === undefined) throw messagesAbsent()
      const asEvents = rawHeaders['accept']?.includes('text/event-stream') === true
      const heard = messages.listen(query.topic, signal)
      const type = asEvents ? 'text/event-stream' : 'application/x-ndjson'
      return new StreamAnswer(
        200,
        { 'content-type': type, 'cache-control': 'no-store' },
        lines(heard, asEvents),
      )
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/messages/topics',
    operationId: 'listMessageTopics',
    tag: 'messages',
    access: 'read',
    summary: 'Topics that somebody on this node listens to',
    replies: { 200: { description: 'topics', schema: MessageTopics } },
    handle: async (_call, { messages }) => ({ topics: messages?.topics() ?? [] }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/messages/peers',
    operationId: 'listMessagePeers',
    tag: 'messages',
    access: 'read',
    summary: 'Neighbours that hear a topic',
    description:
      'Those that follow the part of the gossip in which the topic lies; they may listen to another one there.',
    query: ListenQuery,
    replies: { 200: { description: 'peers', schema: MessagePeers } },
    handle: async ({ query }, { messages }) => ({ peers: messages?.peers(query.topic) ?? [] }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/messages/hooks',
    operationId: 'listHooks',
    tag: 'messages',
    access: 'admin',
    summary: 'Where messages are sent by HTTP, and how that goes',
    replies: { 200: { description: 'oldest first, without secrets', schema: HookList } },
    handle: async (_call, context) => ({ hooks: hooksOf(context).list() }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/messages/hooks',
    operationId: 'addHook',
    tag: 'messages',
    access: 'admin',
    summary: 'Send what is said under a topic to an address, by HTTP',
    description:
      'Signed as Standard Webhooks has it, in order, at least once, over restarts. This node can reach what the client cannot, loopback too.',
    body: NewHook,
    replies: { 201: { description: 'the hook, with its secret, shown this once', schema: AddedHook } },
    handle: async ({ body }, context) => hooksOf(context).add(body),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/messages/hooks/:id',
    operationId: 'removeHook',
    tag: 'messages',
    access: 'admin',
    summary: 'Send nothing there any more',
    description: 'What waits for it is given up.',
    params: HookParams,
    replies: { 200: { description: 'the hook that was', schema: HookReport } },
    handle: async ({ params }, context) => hooksOf(context).remove(params.id),
  }),
  route({
    method: 'POST',
    path: '/api/v1/messages/hooks/:id/enable',
    operationId: 'enableHook',
    tag: 'messages',
    access: 'admin',
    summary: 'Try a hook again at once, disabled or not',
    params: HookParams,
    replies: { 200: { description: 'the hook', schema: HookReport } },
    handle: async ({ params }, context) => hooksOf(context).enable(params.id),
  }),
]

/** @throws ERR_MESSAGES_ABSENT */
function hooksOf({ hooks }: ApiContext): Hooks {
  if (hooks === undefined) throw messagesAbsent()
  return hooks
}

/** @throws ERR_MESSAGE_ENCODING: Node itself takes anything for base64 */
function fromBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw messageEncoding()
  return bytes
}

async function* lines(heard: AsyncIterableIterator<AppMessage>, asEvents: boolean): AsyncGenerator<string> {
  let next = heard.next()
  // Sent at once, so that the client knows that it is heard from here on.
  yield asEvents ? ':\n\n' : '\n'
  try {
    for (;;) {
      const beat = Promise.withResolvers<'beat'>()
      const timer = setTimeout(beat.resolve, MESSAGE_HEARTBEAT_MS, 'beat' as const)
      const step = await Promise.race([next, beat.promise])
      clearTimeout(timer)
      if (step === 'beat') {
        yield asEvents ? ':\n\n' : '\n'
        continue
      }
      if (step.done === true) return
      next = heard.next()
      const text = JSON.stringify(present(step.value))
      yield asEvents ? `event: message\ndata: ${text}\n\n` : `${text}\n`
    }
  } finally {
    await heard.return?.()
  }
}

function present({ payload, sequence, ...message }: AppMessage): {
  topic: string
  sender: string
  direct: boolean
  sequence: string
  timeMs: number
  data: string
  text: string | null
  droppedBefore: number
} {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  return {
    ...message,
    sequence: sequence.toString(),
    data: bytes.toString('base64'),
    text: isUtf8(bytes) ? bytes.toString('utf8') : null,
  }
}
