import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, Stream } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { pEvent } from 'p-event'
import { afterEach, describe, expect, it } from 'vitest'
import {
  encodeEnvelope,
  MAX_PAYLOAD_BYTES,
  message,
  type Messages,
} from '../../../protocols/message/index.ts'
import { frame } from '../../../protocols/shared/framing.ts'
import { createAppMessages, partOf, type RunningAppMessages } from '../../../src/gossip/messages/index.ts'
import type { AppMessage } from '../../../src/gossip/messages/types.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { eventually, quietLogger, startTestNode, type TestNode } from '../../support/network.ts'

const PROTOCOL = '/p2pnode/test/message/1.0.0'
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = ({ payload }: AppMessage): string => new TextDecoder().decode(payload)
const soon = (): AbortSignal => AbortSignal.timeout(10_000)

interface Talker extends TestNode {
  messages: RunningAppMessages
  send: Messages['send']
}

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** A node with messages, as the daemon joins them; a clock of its own, where a test moves it. */
async function start(
  options: { clock?: () => number; privateKey?: Ed25519PrivateKey; mayNotSpeak?: boolean } = {},
): Promise<Talker> {
  const folder = await mkdtemp(join(tmpdir(), 'p2pnode-messages-'))
  const state: StateDatabase = await openState({ path: join(folder, 'state.db'), log: quietLogger() })
  const privateKey = options.privateKey ?? (await generateKeyPair('Ed25519'))
  const self = peerIdFromPrivateKey(privateKey).toString()
  const messages = createAppMessages({
    state,
    log: quietLogger(),
    self,
    ...(options.clock === undefined ? {} : { now: options.clock }),
  })
  const reported: { trust?: TestNode['trust'] } = {}
  const node = await startTestNode({
    privateKey,
    topics: messages.rules,
    init: {
      services: {
        message: message({
          networkName: 'test',
          take: messages.take,
          trust: {
            decide: (...question) =>
              options.mayNotSpeak === true
                ? { allowed: false, reason: 'score' }
                : (reported.trust?.decide(...question) ?? { allowed: true }),
            report: (...evidence) => reported.trust?.report(...evidence),
          },
          log: quietLogger(),
        }),
      },
    },
  })
  reported.trust = node.trust
  const service = (node.libp2p.services as unknown as { message: Messages }).message
  messages.start({ gossip: node.gossip, message: service })
  cleanups.push(async () => {
    messages.stop()
    await node.stop()
    await state.close()
    await rm(folder, { recursive: true, force: true })
  })
  return { ...node, messages, send: service.send.bind(service) }
}

async function pair(): Promise<[Talker, Talker]> {
  const [a, b] = [await start(), await start()]
  await a.network.connect(b.address, soon())
  return [a, b]
}

/** Collects what a node hears, from when its neighbours know that it listens. */
async function hear(node: Talker, topic: string, neighbours: Talker[]): Promise<AppMessage[]> {
  const heard: AppMessage[] = []
  const listening = node.messages.listen(topic, new AbortController().signal)
  void (async () => {
    for await (const heardMessage of listening) heard.push(heardMessage)
  })()
  await eventually('neighbours know', () =>
    neighbours.every(({ messages }) => messages.peers(topic).includes(node.peer)),
  )
  return heard
}

describe('messages to all', () => {
  it('reach everybody who listens to the topic, over others too, and oneself', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    await a.network.connect(b.address, soon())
    await b.network.connect(c.address, soon())
    const byB = await hear(b, 'weather', [a, c])
    const byC = await hear(c, 'weather', [b])
    const byA = await hear(a, 'weather', [b])
    const other = await hear(b, 'another topic', [])

    expect(await a.messages.publish('weather', bytes('sunny'))).toBeGreaterThan(0)
    await eventually('all heard', () => [byA, byB, byC].every(({ length }) => length === 1))
    for (const [heard] of [byA, byB, byC])
      expect(heard).toMatchObject({ topic: 'weather', sender: a.peer, direct: false, droppedBefore: 0 })
    expect(text(byC[0]!)).toBe('sunny')
    expect(other).toEqual([])
  })

  it('are heard no more once nobody listens, and their part of the gossip is left', async () => {
    const [a, b] = await pair()
    const controller = new AbortController()
    const listening = b.messages.listen('weather', controller.signal)
    await eventually('known', () => a.messages.peers('weather').includes(b.peer))
    expect(b.messages.topics()).toEqual([{ topic: 'weather', listeners: 1 }])
    controller.abort()
    expect(await listening.next()).toMatchObject({ done: true })
    expect(b.messages.topics()).toEqual([])
    await eventually('left', () => a.messages.peers('weather').length === 0)
  })

  it('are taken once: replayed, old or misplaced ones go nowhere', async () => {
    let offsetMs = 0
    const a = await start({ clock: () => Date.now() + offsetMs })
    const b = await start()
    await a.network.connect(b.address, soon())
    const heard = await hear(b, 'weather', [a])
    const part = partOf('weather')
    const again = encodeEnvelope({
      topic: 'weather',
      sequence: 5n,
      timeMs: Date.now(),
      payload: bytes('once'),
    })
    // gossip signs anew, so that only what lies inside tells that it is the same.
    await a.gossip.publish(part, again)
    await a.gossip.publish(part, again)
    offsetMs = -6 * 60_000
    await a.messages.publish('weather', bytes('old'))
    offsetMs = 2 * 60_000
    await a.messages.publish('weather', bytes('of the future'))
    offsetMs = 0
    await a.messages.publish('weather', bytes('last'))
    await eventually('the last was heard', () => heard.some((one) => text(one) === 'last'))
    expect(heard.map(text)).toEqual(['once', 'last'])
    expect(b.messages.statistics()).toMatchObject({ repeated: 1, stale: 2 })

    await a.gossip.publish(part, bytes('no envelope'))
    await eventually('it is evidence', () =>
      b.trust.evidence({ peer: a.peer }).evidence.some(({ kind }) => kind === 'message-invalid'),
    )
  })
})

describe('messages to one', () => {
  it('are taken by who listens, with a receipt, and by nobody else', async () => {
    const [a, b] = await pair()
    const heard = await hear(b, 'weather', [a])
    const to = peerIdFromString(b.peer)
    await a.messages.send(to, 'weather', bytes('for you'), soon())
    await eventually('heard', () => heard.length === 1)
    expect(heard[0]).toMatchObject({ sender: a.peer, direct: true })
    await expect(a.messages.send(to, 'unheard', bytes('x'), soon())).rejects.toMatchObject({
      code: 'ERR_MESSAGE_REFUSED',
      details: { status: 8 },
    })
  })

  it('are refused when sent again or out of time', async () => {
    const [a, b] = await pair()
    await hear(b, 'weather', [a])
    const to = peerIdFromString(b.peer)
    const envelope = { topic: 'weather', sequence: 9n, timeMs: Date.now(), payload: bytes('x') }
    await a.send(to, envelope, soon())
    for (const repeated of [envelope, { ...envelope, sequence: 10n, timeMs: Date.now() - 10 * 60_000 }])
      await expect(a.send(to, repeated, soon())).rejects.toMatchObject({ details: { status: 7 } })
  })

  it('say what is wrong before they leave', async () => {
    const [a, b] = await pair()
    const to = peerIdFromString(b.peer)
    await expect(a.messages.publish('two\nlines', bytes('x'))).rejects.toMatchObject({
      code: 'ERR_MESSAGE_TOPIC',
    })
    await expect(
      a.messages.send(to, 'weather', new Uint8Array(MAX_PAYLOAD_BYTES + 1), soon()),
    ).rejects.toMatchObject({ code: 'ERR_MESSAGE_TOO_LARGE' })
    await expect(a.messages.send(to, 'weather', bytes('x'), AbortSignal.abort())).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    })
    const gone = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    await expect(a.messages.send(gone, 'weather', bytes('x'), soon())).rejects.toMatchObject({
      code: 'ERR_PEER_UNREACHABLE',
    })
  })

  it('of one who says too much are put off', async () => {
    const [a, b] = await pair()
    await hear(b, 'weather', [a])
    const to = peerIdFromString(b.peer)
    const sends = await Promise.allSettled(
      Array.from({ length: 400 }, async (_, index) => {
        const envelope = {
          topic: 'weather',
          sequence: BigInt(index + 1),
          timeMs: Date.now(),
          payload: bytes('x'),
        }
        await a.send(to, envelope, soon())
      }),
    )
    const refused = sends.filter(({ status }) => status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    expect(sends.length - refused.length).toBeGreaterThan(0)
    // It kept to what may be under way at once.
    expect(
      b.trust.evidence({ peer: a.peer }).evidence.filter(({ kind }) => kind === 'limit-exceeded'),
    ).toEqual([])
  })
})

describe('a peer that breaks the rules of messages', () => {
  const good = (): Uint8Array =>
    frame(encodeEnvelope({ topic: 'weather', sequence: 1n, timeMs: Date.now(), payload: bytes('x') }))

  async function open(a: Talker, b: Talker): Promise<Stream> {
    return a.libp2p.dialProtocol(peerIdFromString(b.peer), PROTOCOL, { signal: soon() })
  }

  const openOnes = (streams: Stream[]): number => streams.filter(({ status }) => status === 'open').length

  it.each<[string, () => Uint8Array]>([
    ['garbage', () => new Uint8Array(100).fill(0xff)],
    ['a frame that is no message', () => frame(new Uint8Array([1, 2, 3, 4]))],
    ['two messages on a stream', () => Buffer.concat([good(), good()])],
    [
      'a topic of two lines',
      () => frame(encodeEnvelope({ topic: 'a\nb', sequence: 1n, timeMs: 1, payload: bytes('') })),
    ],
    [
      'too much in a message',
      () =>
        frame(
          encodeEnvelope({
            topic: 'a',
            sequence: 1n,
            timeMs: 1,
            payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1),
          }),
        ),
    ],
  ])('by %s loses the stream, and it is evidence', async (_, what) => {
    const [a, b] = await pair()
    await hear(b, 'weather', [a])
    const stream = await open(a, b)
    const ended = pEvent(stream, 'close', { signal: soon() })
    stream.send(what())
    await ended
    await eventually('it is evidence', () =>
      b.trust.evidence({ peer: a.peer }).evidence.some(({ kind }) => kind === 'protocol-violation'),
    )
  })

  it('by a reset in the midst of a frame is no evidence', async () => {
    const [a, b] = await pair()
    await hear(b, 'weather', [a])
    const stream = await open(a, b)
    stream.send(good().subarray(0, 5))
    stream.abort(new Error('gone'))
    await a.messages.send(peerIdFromString(b.peer), 'weather', bytes('still here'), soon())
    expect(
      b.trust.evidence({ peer: a.peer }).evidence.filter(({ kind }) => kind === 'protocol-violation'),
    ).toEqual([])
  })

  it('by opening streams and saying nothing keeps nobody else from being heard, and loses them', async () => {
    const [a, b] = await pair()
    const heard = await hear(b, 'weather', [a])
    const silent = await startTestNode()
    cleanups.push(() => silent.stop())
    const streams: Stream[] = []
    for (let count = 0; count < 4; count += 1) {
      const connection = await silent.libp2p.dial(multiaddr(b.address), { force: true, signal: soon() })
      const opened = await Promise.allSettled(
        Array.from({ length: 32 }, () =>
          connection.newStream(PROTOCOL, { maxOutboundStreams: 1_000, signal: soon() }),
        ),
      )
      streams.push(...opened.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : [])))
    }
    await eventually('what is over its bound is closed', () => openOnes(streams) <= 32)
    expect(b.trust.evidence({ peer: silent.peer }).evidence).toContainEqual(
      expect.objectContaining({ kind: 'limit-exceeded', detail: { limit: 'message-streams' } }),
    )
    await a.messages.send(peerIdFromString(b.peer), 'weather', bytes('heard'), soon())
    await eventually('it is heard', () => heard.length === 1)
    await eventually('nobody waits for it', () => openOnes(streams) === 0)
  })

  it('is not read where it may not speak', async () => {
    const [a, b] = [await start(), await start({ mayNotSpeak: true })]
    await a.network.connect(b.address, soon())
    const stream = await open(a, b)
    // Long before what is said would have to be there.
    await eventually('it is closed', () => stream.status !== 'open', 2_000)
    await expect(
      a.messages.send(peerIdFromString(b.peer), 'weather', bytes('x'), soon()),
    ).rejects.toMatchObject({ code: 'ERR_PEER_UNREACHABLE' })
  })
})
