import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatTime, printable } from '../format.ts'
import { tableText } from '../table.ts'

/** As protocols/message has it; a command does not load a protocol. */
const MAX_MESSAGE_BYTES = 48 * 1024

export async function pub(
  context: CliContext,
  topic: string,
  text: string | undefined,
  to: string | undefined,
): Promise<number> {
  const data = text === undefined ? await standardInput() : Buffer.from(text, 'utf8')
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/messages', {
      body: { topic, data: data.toString('base64'), ...(to === undefined ? {} : { to }) },
      signal: context.signal,
    })
    context.output.result(answer, () => {
      if (answer.to !== null) return `taken by ${answer.to}`
      return answer.neighbours === 0 ? 'nobody else listens now' : `sent to ${answer.neighbours} neighbours`
    })
    return 0
  })
}

export async function sub(context: CliContext, topic: string, count: number | undefined): Promise<number> {
  return withClient(context, async (client) => {
    let heard = 0
    for await (const message of client.lines('/api/v1/messages', {
      query: { topic },
      signal: context.signal,
    })) {
      context.output.line(message, () => {
        const lost = message.droppedBefore === 0 ? '' : `(${message.droppedBefore} messages were lost here)\n`
        const what = message.text === null ? `base64 ${message.data}` : printable(message.text)
        return `${lost}${formatTime(message.timeMs)}  ${message.sender}${message.direct ? '  to you' : ''}  ${what}`
      })
      heard += 1
      if (heard === count) break
    }
    return 0
  })
}

export async function topics(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/messages/topics', { signal: context.signal })
    context.output.result(answer, () =>
      answer.topics.length === 0
        ? 'nobody on this node listens; listen with: p2pnode pubsub sub TOPIC'
        : tableText(
            context.output,
            ['TOPIC', 'LISTENERS'],
            answer.topics.map((entry) => [printable(entry.topic), String(entry.listeners)]),
          ),
    )
    return 0
  })
}

export async function peers(context: CliContext, topic: string): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/messages/peers', {
      params: { query: { topic } },
      signal: context.signal,
    })
    context.output.result(answer, () =>
      answer.peers.length === 0 ? 'no neighbour hears it now' : answer.peers.join('\n'),
    )
    return 0
  })
}

/** @throws ERR_MESSAGE_TOO_LARGE */
async function standardInput(): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of process.stdin) {
    parts.push(part as Buffer)
    bytes += (part as Buffer).length
    if (bytes > MAX_MESSAGE_BYTES) {
      const message = `a message may have ${MAX_MESSAGE_BYTES} bytes: add a file and send its CID`
      throw new P2pnodeError('ERR_MESSAGE_TOO_LARGE', 'too-large', message)
    }
  }
  return Buffer.concat(parts)
}
