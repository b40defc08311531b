import { randomBytes } from 'node:crypto'
import type { Libp2p } from '@libp2p/interface'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MAX_CAPABILITIES_PER_MINUTE } from '../../../protocols/content/limits.ts'
import type { Capabilities } from '../../../protocols/content/index.ts'
import { encode, type FromClient } from '../../../protocols/content/messages.ts'
import { didFromPeerId } from '../../../src/identity/did.ts'
import {
  blockFrames,
  connect,
  importRandomFile,
  rawCid,
  rawClient,
  scriptServer,
  type ScriptedPeer,
  startBareNode,
  startNode,
  type TestNode,
  until,
} from '../../support/content-protocol.ts'

const OLD = '/p2pnode/test/content/1.0.0'

interface Teller extends TestNode {
  own: Capabilities
  told: { peer: string; capabilities: Capabilities }[]
}

async function startTeller(): Promise<Teller> {
  const told: Teller['told'] = []
  const own: Capabilities = {
    did: '',
    role: 'worker',
    versions: { p2pnode: '0.1.0' },
    ipfs: 'none',
    gatewayUrl: null,
    addresses: [],
    bandwidthBytesPerSecond: null,
    freeBytes: 1_000,
    filter: null,
  }
  const node = await startNode({
    capabilities: {
      own: () => own,
      didOf: didFromPeerId,
      onPeer: () => {},
      onPeerGone: () => {},
      onTold: (peer, capabilities) => void told.push({ peer: peer.toString(), capabilities }),
    },
  })
  own.did = didFromPeerId(node.peerId) ?? ''
  return { ...node, own, told }
}

let node: Teller
let other: Libp2p
const signal = AbortSignal.timeout(50_000)

beforeEach(async () => {
  ;[node, other] = await Promise.all([startTeller(), startBareNode()])
})

afterEach(async () => {
  await Promise.all([node.stop(), other.stop()])
})

const violations = (): unknown[] => node.trust.of('protocol-violation').map(({ detail }) => detail['rule'])
const others = (): Capabilities => ({ ...node.own, did: didFromPeerId(other.peerId) ?? '' })

/** The node is to ask a hand-made server. */
async function script(
  answer: (message: FromClient, peer: ScriptedPeer) => void,
  protocol?: string,
): Promise<void> {
  await scriptServer(other, answer, protocol)
  await connect(node.libp2p, other)
  await until(() => node.content.peers().length > 0)
}

describe('two nodes', () => {
  it('tell each other what they are in one exchange', async () => {
    const second = await startTeller()
    try {
      second.own.role = 'master'
      await connect(node.libp2p, second.libp2p)
      await until(() => node.content.peers().length > 0)
      expect(await node.content.exchangeCapabilities(second.peerId, signal)).toEqual(second.own)
      expect(second.told).toEqual([{ peer: node.peerId.toString(), capabilities: node.own }])
      expect([...node.trust.evidence, ...second.trust.evidence]).toEqual([])
    } finally {
      await second.stop()
    }
  })

  it('of which one does not take part exchange blocks, and nothing else', async () => {
    const silent = await startNode()
    try {
      const { root } = await importRandomFile(silent.blocks, 200_000)
      await connect(node.libp2p, silent.libp2p)
      await until(() => node.content.peers().length > 0)
      await expect(node.content.exchangeCapabilities(silent.peerId, signal)).rejects.toThrow()
      await expect(silent.content.exchangeCapabilities(node.peerId, signal)).rejects.toMatchObject({
        code: 'ERR_CAPABILITIES_UNSUPPORTED',
      })
      await node.content.fetchDag(root, {
        scope: 'all',
        sources: [silent.peerId],
        held: node.blocks,
        sink: node.blocks,
        signal,
      }).done
      expect(node.blocks.size).toBe(silent.blocks.size)
    } finally {
      await silent.stop()
    }
  })
})

describe('a peer of version 1.0', () => {
  it('is never sent capabilities, and gives blocks', async () => {
    const bytes = randomBytes(100)
    const messages: string[] = []
    await script((message, peer) => {
      messages.push(message.kind)
      if (message.kind !== 'cids') return
      peer.send(blockFrames(message.id, { index: 0 }, bytes))
      peer.send(encode.done(message.id, 0))
    }, OLD)
    await expect(node.content.exchangeCapabilities(other.peerId, signal)).rejects.toMatchObject({
      code: 'ERR_CAPABILITIES_UNSUPPORTED',
    })
    const got = await node.content.fetchBlock(rawCid(bytes), { peers: [other.peerId], signal })
    expect(Buffer.from(got.bytes)).toEqual(bytes)
    expect(messages).toEqual(['credit', 'cids'])
  })

  it('is served', async () => {
    const bytes = randomBytes(100)
    node.blocks.add(rawCid(bytes), bytes)
    const client = await rawClient(other, node, OLD)
    client.send(encode.credit(1_000_000))
    client.send(encode.want({ kind: 'cids', id: 1, cids: [rawCid(bytes)] }))
    await until(() => client.messages.some(({ kind }) => kind === 'done'))
    expect(client.blocks).toHaveLength(1)
  })
})

describe('a client that misbehaves', () => {
  it.each<[string, () => Uint8Array[], string]>([
    [
      'tells twice on a stream',
      () => [encode.tellCapabilities(others()), encode.tellCapabilities(others())],
      'repeated-capabilities',
    ],
    ['tells under the name of another', () => [encode.tellCapabilities(node.own)], 'foreign-did'],
    ['tells under no name', () => [encode.tellCapabilities({ ...others(), did: '' })], 'foreign-did'],
    [
      'tells of 17 addresses',
      () => [Buffer.from(`8701228401${'32062f6970342f31'.repeat(17)}`.slice(0, 6 + 4 + 272), 'hex')],
      'malformed-message',
    ],
  ])('and %s is cut off', async (_name, frames, rule) => {
    const client = await rawClient(other, node)
    for (const frame of frames()) client.send(frame)
    await until(() => client.isClosed)
    expect(violations()).toEqual([rule])
  })

  it('and tells too often is cut off, which is evidence', async () => {
    for (let time = 0; time < MAX_CAPABILITIES_PER_MINUTE; time += 1) {
      const client = await rawClient(other, node)
      client.send(encode.tellCapabilities(others()))
      await until(() => client.messages.length === 1)
      client.stream.abort(new Error('enough'))
    }
    const client = await rawClient(other, node)
    client.send(encode.tellCapabilities(others()))
    await until(() => client.isClosed)
    expect(node.told).toHaveLength(MAX_CAPABILITIES_PER_MINUTE)
    expect(node.trust.of('limit-exceeded').map(({ detail }) => detail)).toEqual([
      { protocol: 'content', limit: 'capabilities' },
    ])
  })
})

describe('a server that misbehaves', () => {
  it('by silence is waited for no longer than is wanted', async () => {
    await script(() => {})
    const soon = AbortSignal.timeout(200)
    await expect(node.content.exchangeCapabilities(other.peerId, soon)).rejects.toThrow('timeout')
  })

  it('by an end of the stream has told nothing', async () => {
    await script((_message, peer) => void peer.stream.close())
    await expect(node.content.exchangeCapabilities(other.peerId, signal)).rejects.toMatchObject({
      code: 'ERR_STREAM_FAILED',
    })
    expect(node.trust.evidence).toEqual([])
  })

  it.each<[string, () => Uint8Array, string]>([
    ['the name of another', () => encode.answerCapabilities(node.own), 'foreign-did'],
    ['another message', () => encode.done(1, 0), 'unrequested-answer'],
    ['garbage', () => Buffer.from('03ffffff', 'hex'), 'malformed-message'],
    ['a frame that is too long', () => Buffer.from('80808004', 'hex'), 'oversize-frame'],
  ])('by %s is evidence', async (_name, answer, rule) => {
    await script((_message, peer) => peer.send(answer()))
    await expect(node.content.exchangeCapabilities(other.peerId, signal)).rejects.toThrow()
    expect(violations()).toEqual([rule])
  })

  it('by a block larger than it announced is cut off before the block has come', async () => {
    const bytes = randomBytes(100_000)
    await script((message, peer) => {
      if (message.kind === 'cids') peer.send(blockFrames(message.id, { index: 0 }, bytes))
    })
    const options = { peers: [other.peerId], maxBytes: 50_000, signal }
    await expect(node.content.fetchBlock(rawCid(bytes), options)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
    expect(violations()).toEqual(['oversize-block'])
  })
})
