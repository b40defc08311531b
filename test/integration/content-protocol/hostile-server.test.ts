import { randomBytes } from 'node:crypto'
import type { Libp2p, PeerId } from '@libp2p/interface'
import fc from 'fast-check'
import type { CID } from 'multiformats/cid'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FetchDagOptions, Helper } from '../../../protocols/content/types.ts'
import { encode, type FromClient } from '../../../protocols/content/messages.ts'
import { encodeBlockHeader } from '../../../protocols/content/data-frame.ts'
import {
  blockFrames,
  connect,
  importRandomFile,
  MemoryBlocks,
  rawCid,
  scriptServer,
  type ScriptedPeer,
  startBareNode,
  startNode,
  type TestNode,
  until,
} from '../../support/content-protocol.ts'
import { endNode } from '../../support/end-node.ts'

/** A client between a server that misbehaves and, where a test wants it, one that does not. */
let client: TestNode
let honest: TestNode
let hostile: Libp2p
let root: CID
const leaf = randomBytes(50_000)

beforeEach(async () => {
  ;[client, honest, hostile] = await Promise.all([
    startNode({ limits: { sourceIdleMs: 1_000 } }),
    startNode(),
    startBareNode(),
  ])
  root = (await importRandomFile(honest.blocks, 2 * 1024 * 1024, 32 * 1024)).root
})

afterEach(async () => {
  await Promise.all([client.stop(), honest.stop(), endNode(hostile)])
})

function options(sources: FetchDagOptions['sources']): FetchDagOptions {
  return {
    scope: 'all',
    sources,
    held: client.blocks,
    sink: client.blocks,
    signal: AbortSignal.timeout(20_000),
  }
}

let scripted: ScriptedPeer[]

async function script(answer: (message: FromClient, peer: ScriptedPeer) => void): Promise<void> {
  scripted = await scriptServer(hostile, answer)
  await connect(client.libp2p, hostile)
  await connect(client.libp2p, honest.libp2p)
}

/** The hostile server first, the other once that one has been asked. */
async function* hostileFirst(): AsyncGenerator<PeerId> {
  yield hostile.peerId
  await until(() => scripted.some(({ received }) => received.some(({ kind }) => kind === 'dag')))
  yield honest.peerId
}

/** Fetches the file with the hostile server asked first; the honest one must make up for it. */
async function fetchDespite(): Promise<void> {
  const statistics = await client.content.fetchDag(root, options(hostileFirst())).done
  expect(client.blocks.size).toBe(honest.blocks.size)
  expect(statistics.sources[honest.peerId.toString()]!.blocks).toBeGreaterThan(0)
}

const evidence = (kind: Parameters<typeof client.trust.of>[0]): object[] =>
  client.trust
    .of(kind)
    .filter(({ peer }) => peer === hostile.peerId.toString())
    .map(({ detail }) => detail)

describe('a server that lies', () => {
  it('with a block of the right name and wrong bytes is dropped, and others take over', async () => {
    await script((message, peer) => {
      if (message.kind === 'dag')
        peer.send(blockFrames(message.id, { cid: message.root }, randomBytes(10_000)))
    })
    await fetchDespite()
    expect(evidence('block-invalid')).toEqual([{ cid: root.toString() }])
  })

  it('after half of the blocks keeps what was right', async () => {
    let sent = 0
    await script((message, peer) => {
      if (message.kind === 'dag') {
        peer.send(blockFrames(message.id, { cid: root }, honest.blocks.peek(root)!))
        peer.send(encode.done(message.id, 1))
      }
      if (message.kind !== 'cids') return
      for (const [index, cid] of message.cids.entries()) {
        const bytes = Buffer.from(honest.blocks.peek(cid)!)
        if (sent++ === 5) bytes[100]! ^= 1
        if (peer.stream.status === 'open') peer.send(blockFrames(message.id, { index }, bytes))
      }
    })
    await fetchDespite()
    expect(evidence('block-invalid')).toHaveLength(1)
    expect(honest.content.statistics().servedBlocks).toBeLessThan(honest.blocks.size)
  })

  const lies: [string, string, (message: FromClient & { kind: 'cids' }, peer: ScriptedPeer) => void][] = [
    [
      'a block that was not asked for',
      'unrequested-block',
      ({ id }, peer) => peer.send(blockFrames(id, { index: 1 }, leaf)),
    ],
    [
      'an answer to no question',
      'unrequested-block',
      ({ id }, peer) => peer.send(blockFrames(id + 7, { index: 0 }, leaf)),
    ],
    [
      'the same block twice',
      'unrequested-block',
      ({ id }, peer) => {
        peer.send(blockFrames(id, { index: 0 }, leaf))
        peer.send(blockFrames(id, { index: 0 }, leaf))
      },
    ],
    [
      'a block by CID where it was asked by index',
      'unrequested-block',
      ({ id }, peer) => peer.send(blockFrames(id, { cid: rawCid(leaf) }, leaf)),
    ],
    [
      'a block that begins in its middle',
      'block-order',
      ({ id }, peer) =>
        peer.send(
          Buffer.concat([
            encodeBlockHeader({ want: id, index: 0, cid: undefined, offset: 10, totalBytes: 20 }, 10),
            Buffer.alloc(10),
          ]),
        ),
    ],
    [
      'a part of a block twice',
      'block-order',
      ({ id }, peer) => {
        const part = { want: id, index: 0, cid: undefined, offset: 0, totalBytes: 20 }
        for (let time = 0; time < 2; time++) {
          peer.send(Buffer.concat([encodeBlockHeader(part, 10), Buffer.alloc(10)]))
        }
      },
    ],
    [
      'missing what nobody wants',
      'unrequested-answer',
      ({ id }, peer) => peer.send(encode.missing(id, [root])),
    ],
    ['done before all was said', 'false-done', ({ id }, peer) => peer.send(encode.done(id, 0))],
    ['an oversize frame', 'oversize-frame', (_message, peer) => peer.send(Buffer.from('ffff7f', 'hex'))],
    [
      'an oversize control message',
      'oversize-frame',
      (_message, peer) =>
        peer.send(Buffer.concat([Buffer.from('80a006', 'hex'), Buffer.from([0x12]), Buffer.alloc(1_000)])),
    ],
    ['an empty frame', 'empty-frame', (_message, peer) => peer.send(Buffer.from([0]))],
    ['garbage', 'malformed-message', (_message, peer) => peer.send(Buffer.from('05ffffffffff', 'hex'))],
    [
      'the end of the stream inside a frame',
      'truncated-frame',
      ({ id }, peer) => {
        peer.send(blockFrames(id, { index: 0 }, leaf).subarray(0, 1_000))
        void peer.stream.close()
      },
    ],
  ]

  it.each(lies)('with %s breaks the rule %s', async (_name, rule, lie) => {
    await script((message, peer) => {
      if (message.kind === 'cids') lie(message, peer)
    })
    const asked = client.content.fetchBlock(rawCid(leaf), {
      peers: [hostile.peerId],
      signal: AbortSignal.timeout(10_000),
    })
    // The block itself may have come before the lie.
    await asked.catch(() => {})
    await until(() => evidence('protocol-violation').length > 0)
    expect(evidence('protocol-violation')).toEqual([{ protocol: 'content', rule }])
    await until(() => client.content.statistics().outboundStreams === 0)
  })

  it('by root with a block from elsewhere is dropped', async () => {
    await script((message, peer) => {
      if (message.kind !== 'dag') return
      peer.send(blockFrames(message.id, { cid: root }, honest.blocks.peek(root)!))
      peer.send(blockFrames(message.id, { cid: rawCid(leaf) }, leaf))
    })
    await fetchDespite()
    expect(evidence('protocol-violation')).toEqual([{ protocol: 'content', rule: 'unrequested-block' }])
  })

  it('and sends more than it was granted is dropped', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 64 * 1024 * 1024, 1024 * 1024)
    await script((message, peer) => {
      if (message.kind === 'dag') {
        peer.send(blockFrames(message.id, { cid: root }, store.peek(root)!))
        peer.send(encode.done(message.id, 1))
      }
      if (message.kind !== 'cids' || peer.stream.status !== 'open') return
      for (const [index, cid] of message.cids.entries()) {
        peer.send(blockFrames(message.id, { index }, store.peek(cid)!))
      }
    })
    // Nothing that arrives is ever kept, so no credit is given back beyond the bound on pending puts.
    const sink = { put: () => new Promise<void>(() => {}) }
    const fetch = client.content.fetchDag(root, {
      ...options([hostile.peerId]),
      sink,
    })
    await until(() => evidence('protocol-violation').length > 0)
    expect(evidence('protocol-violation')).toEqual([{ protocol: 'content', rule: 'credit-exceeded' }])
    expect(fetch.statistics.bytes).toBeLessThan(42 * 1024 * 1024)
    await expect(fetch.done).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})

describe('a server that is silent', () => {
  it('is given up after the idle timeout, and others take over', async () => {
    await script(() => {})
    await fetchDespite()
    expect(evidence('transfer-failed')).toEqual([{ reason: 'silent' }])
  })

  it('does not keep a single block from coming from elsewhere', async () => {
    await script(() => {})
    const bytes = randomBytes(1_000)
    honest.blocks.add(rawCid(bytes), bytes)
    const block = await client.content.fetchBlock(rawCid(bytes), {
      peers: [hostile.peerId, honest.peerId],
      signal: AbortSignal.timeout(10_000),
    })
    expect(block.peer.equals(honest.peerId)).toBe(true)
  })

  it('but for a byte now and then does not keep what helpers bring from coming', async () => {
    let trickle: NodeJS.Timeout | undefined
    await script((message, peer) => {
      if (message.kind !== 'dag') return
      // A frame of 200 bytes, of which one comes every 200 ms: never a silence, never a block.
      peer.send(Uint8Array.of(0xc8, 0x01))
      trickle = setInterval(() => {
        if (peer.stream.status === 'open') peer.send(Uint8Array.of(0x0a))
      }, 200)
    })
    const helped: Helper = {
      headStartMs: 1_000,
      fetch: async (cid) => ({ bytes: honest.blocks.peek(cid)!, from: 'helper' }),
    }
    try {
      await client.content.fetchDag(root, { ...options([hostile.peerId]), helpers: [helped] }).done
      expect(client.blocks.size).toBe(honest.blocks.size)
      expect(evidence('transfer-failed')).toEqual([{ reason: 'slow' }])
    } finally {
      clearInterval(trickle)
    }
  })

  it('after the first frames loses only what it owes', async () => {
    await script((message, peer) => {
      if (message.kind === 'dag') peer.send(blockFrames(message.id, { cid: root }, honest.blocks.peek(root)!))
    })
    await fetchDespite()
    expect(honest.content.statistics().servedBlocks).toBe(honest.blocks.size - 1)
  })
})

describe('any bytes from a server', () => {
  it('end the stream or are waited out; the fetch goes on elsewhere', async () => {
    let answer = Buffer.alloc(0)
    await script((message, peer) => {
      if (message.kind === 'dag' || message.kind === 'cids') {
        peer.send(answer)
        void peer.stream.close()
      }
    })
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 2_000 }), async (bytes) => {
        answer = Buffer.from(bytes)
        const cid = rawCid(bytes)
        const asked = client.content.fetchBlock(cid, {
          peers: [hostile.peerId],
          signal: AbortSignal.timeout(5_000),
        })
        await expect(asked).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
      }),
      { numRuns: 40 },
    )
    await fetchDespite()
  })

  it('valid frames with a byte changed never bring a wrong block', async () => {
    let change = { place: 0, xor: 1 }
    await script((message, peer) => {
      if (message.kind !== 'cids') return
      const frames = Buffer.concat([
        blockFrames(message.id, { index: 0 }, leaf, 20_000),
        encode.done(message.id, 0),
      ])
      frames[change.place % frames.length]! ^= change.xor
      peer.send(frames)
      void peer.stream.close()
    })
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.nat({ max: 60 }), fc.nat()),
        fc.integer({ min: 1, max: 255 }),
        async (place, xor) => {
          change = { place, xor }
          const asked = client.content.fetchBlock(rawCid(leaf), {
            peers: [hostile.peerId],
            signal: AbortSignal.timeout(5_000),
          })
          const block = await asked.catch(() => undefined)
          if (block !== undefined) expect(leaf.equals(block.bytes)).toBe(true)
        },
      ),
      { numRuns: 40 },
    )
  })
})
