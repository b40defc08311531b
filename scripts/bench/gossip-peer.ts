/**
 * Neighbours that say as much as they can: `gossip-peer.ts ADDRESS TOPIC SPEAKERS MESSAGES COPIES FIRST` connects so many to a node that
 * listens, signs so many messages for each, numbered from FIRST on, and prints a line; at the next line of its standard input it sends
 * them, each so many times. What signing costs is not the listener's, and is over by then.
 */
import { once } from 'node:events'
import { type RawMessage, rawSpeaker, signMessages } from '../../test/support/raw-gossip.ts'

const PAYLOAD_BYTES = 200
/** What a node sends at once: a few messages in a frame, as gossipsub does where they come together. */
const MESSAGES_PER_FRAME = 4
const [address = '', topic = '', speakers = '1', messages = '1', copies = '1', first = '0'] =
  process.argv.slice(2)

const all: { send(some: readonly RawMessage[]): Promise<void>; messages: RawMessage[] }[] = []
for (let speaker = 0; speaker < Number(speakers); speaker++) {
  const { privateKey, send } = await rawSpeaker(address)
  const payloads = Array.from({ length: Number(messages) }, (_, index) => {
    const payload = new Uint8Array(PAYLOAD_BYTES)
    new DataView(payload.buffer).setUint32(0, Number(first) + speaker * Number(messages) + index)
    return payload
  })
  all.push({ send, messages: await signMessages(privateKey, topic, payloads) })
}
process.stdout.write(`${JSON.stringify({ ready: true })}\n`)
await once(process.stdin, 'data')
await Promise.all(
  all.map(async ({ send, messages: own }) => {
    for (let at = 0; at < own.length; at += MESSAGES_PER_FRAME)
      for (let copy = 0; copy < Number(copies); copy++) await send(own.slice(at, at + MESSAGES_PER_FRAME))
  }),
)
// Ended by the benchmark, once everything was heard.
setInterval(() => {}, 1_000)
