import type { Libp2p } from '@libp2p/interface'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encodeIndexHeader, encodePieceHeader } from '../../../protocols/chunk/data-frame.ts'
import { encodeSigned } from '../../../protocols/chunk/format/index.ts'
import { encode } from '../../../protocols/chunk/messages.ts'
import { frame } from '../../../protocols/shared/framing.ts'
import { connect, until } from '../../support/content-protocol.ts'
import {
  type ChunkNode,
  codeOf,
  collect,
  makeSlab,
  rawClient,
  startBareNode,
  startChunkNode,
  storeColumn,
  type TestSlab,
} from '../../support/chunk-protocol.ts'
import { endNode } from '../../support/end-node.ts'

const MIB = 1024 * 1024
let server: ChunkNode
let bare: Libp2p
let made: TestSlab

beforeEach(async () => {
  const limits = {
    clientIdleMs: 600,
    storeIdleMs: 600,
    unusedStreamMs: 2_000,
    maxInboundStreamsPerPeer: 4,
    maxDraftsPerPeer: 2,
  }
  ;[server, bare] = await Promise.all([startChunkNode({ limits }), startBareNode()])
  made = makeSlab({ segments: 16, sealedBytes: 2 * 524_298, k: 2, n: 3 })
})

afterEach(async () => {
  await Promise.all([server.stop(), endNode(bare)])
})

/** Puts a column of `made` into the server's holder. */
function hold(): void {
  const column = 0
  const pieces = made.columnOf(column)
  const key = Buffer.from(made.slab).toString('hex')
  server.holder.columns.set(key, { column, index: made.index, pieces, lease: made.lease })
}

const piece = (segment: number, bytes: Uint8Array, changes: { offset?: number; total?: number } = {}) => {
  const { offset = 0, total = bytes.length } = changes
  return Buffer.concat([encodePieceHeader({ segment, offset, totalBytes: total }, bytes.length), bytes])
}
const indexFrame = (of: TestSlab): Uint8Array => {
  const bytes = encodeSigned(of.index.signed)
  return Buffer.concat([encodeIndexHeader(0, bytes.length), bytes])
}
const fetchOf = (changes: object = {}): Uint8Array =>
  encode.fetch({ slab: made.slab, column: 0, segments: [0, 1, 2, 3], creditBytes: 16 * MIB, ...changes })
const capacity = (id: number): Uint8Array => encode.request(id, { kind: 'capacity' })
const small = new Uint8Array(100)
const part = new Uint8Array(16 * 1024)

describe('a client', () => {
  it('is sent no more than it grants, and credit may come in any steps', async () => {
    hold()
    const client = await rawClient(bare, server)
    client.send(fetchOf({ creditBytes: 600_000 }))
    await until(() => client.dataBytes === 524_298)
    expect(server.holder.reads).toBeLessThanOrEqual(5)
    for (let count = 0; count < 20; count++) client.send(encode.clientCredit(100_000))
    await until(() => client.messages.length === 1)
    expect(client.messages).toEqual([{ kind: 'fetch-done', status: 0 }])
    expect(client.data.map(({ header }) => header.kind === 'piece' && header.segment)).toEqual([0, 1, 2, 3])
    // Credit that comes late is nothing to anybody, and the stream carries another fetch.
    client.send(encode.clientCredit(1_000), fetchOf({ segments: [9] }))
    await until(() => client.messages.length === 2)
  })

  it('that closes its end is still answered, and the stream then ends', async () => {
    hold()
    const fetching = await rawClient(bare, server)
    fetching.send(fetchOf())
    await fetching.stream.close()
    const asking = await rawClient(bare, server)
    asking.send(...Array.from({ length: 40 }, (_, id) => capacity(id)))
    await asking.stream.close()
    await until(() => fetching.isClosed && asking.isClosed)
    expect(fetching.data).toHaveLength(4)
    expect(asking.messages).toHaveLength(40)
    expect(server.chunk.statistics().inboundStreams).toBe(0)
    expect(server.trust.evidence).toEqual([])
  })

  it('is answered with a status where its question makes no sense', async () => {
    const asking = await rawClient(bare, server)
    // A request of a kind that does not exist: field 15.
    asking.send(frame(Buffer.from('1a0408017a00', 'hex')))
    await until(() => asking.messages.length === 1)
    expect(asking.messages).toEqual([{ kind: 'answer', id: 1, status: 6, body: undefined }])

    const storing = await rawClient(bare, server)
    for (const changes of [{ k: 4, n: 4 }, { k: 0 }, { n: 65 }, { column: 3 }, { maxColumnBytes: 0 }]) {
      storing.send(encode.store(made.open(0, changes)))
    }
    await until(() => storing.messages.length >= 1)
    expect(storing.messages[0]).toEqual({ kind: 'store-done', status: 7, receipt: undefined })
  })

  it('may bring another column after one that was refused half-way', async () => {
    server.holder.beforeWrite = async () => {
      throw new Error('the disk is gone')
    }
    const client = await rawClient(bare, server)
    client.send(encode.store(made.open(0)))
    await until(() => client.messages.length === 1)
    client.send(piece(0, made.columnOf(0)[0]!))
    await until(() => client.messages.length === 2)
    expect(client.messages[1]).toEqual({ kind: 'store-done', status: 9, receipt: undefined })
    // What was on its way is thrown away up to its end.
    server.holder.beforeWrite = undefined
    const other = makeSlab({ segments: 1, sealedBytes: 100, k: 1, n: 1 })
    client.send(piece(1, made.columnOf(0)[1]!), indexFrame(made), encode.store(other.open(0)))
    await until(() => client.messages.length === 3)
    client.send(piece(0, other.columnOf(0)[0]!), indexFrame(other))
    await until(() => client.messages.length === 4)
    expect(client.messages[3]).toMatchObject({ kind: 'store-done', status: 0 })
    expect([...server.holder.columns.keys()]).toEqual([Buffer.from(other.slab).toString('hex')])
  })
})

describe('a client that misbehaves', () => {
  const open = (): Uint8Array => encode.store(made.open(0))
  const bulk = { kind: 'have' as const, slabs: Array.from({ length: 1_024 }, () => small.subarray(0, 32)) }
  /** What it sends at first, and what once it was answered. */
  const rules: [string, string, () => Uint8Array[], (() => Uint8Array[])?][] = [
    ['garbage', 'malformed-message', () => [frame(Buffer.from('ffffffffff', 'hex'))]],
    ['an oversize frame', 'oversize-frame', () => [Buffer.from('ffff7f', 'hex')]],
    ['an empty frame', 'empty-frame', () => [Buffer.from([0])]],
    ['a message of no kind', 'unknown-message', () => [frame(Buffer.from('7a00', 'hex'))]],
    ['data at first', 'wrong-order', () => [piece(0, small)]],
    ['credit at first', 'wrong-order', () => [encode.clientCredit(5)]],
    ['a request id twice', 'request-id-in-use', () => [locate(1), locate(1)]],
    ['a store among requests', 'wrong-order', () => [capacity(1), open()]],
    ['data among requests', 'wrong-order', () => [capacity(1), piece(0, small)]],
    ['too many requests', 'too-many-requests', () => Array.from({ length: 90 }, (_, id) => locate(id))],
    [
      'requests that are too large',
      'too-many-requests',
      () => Array.from({ length: 16 }, (_, id) => encode.request(id, bulk)),
    ],
    [
      'a list that is too long',
      'oversize-list',
      () => [encode.request(1, { ...bulk, slabs: [...bulk.slabs, small.subarray(0, 32)] })],
    ],
    ['a slab id of 31 bytes', 'malformed-message', () => [fetchOf({ slab: small.subarray(0, 31) })]],
    ['segments twice', 'malformed-message', () => [fetchOf({ segments: [1, 1] })]],
    ['segments that there cannot be', 'malformed-message', () => [fetchOf({ segments: [64] })]],
    ['no segments', 'malformed-message', () => [fetchOf({ segments: [] })]],
    ['two fetches at once', 'wrong-order', () => [fetchOf({ creditBytes: 0 }), fetchOf()]],
    ['too much credit', 'credit-overflow', () => [fetchOf({ creditBytes: 2 ** 32 - 1 })]],
    ['data in a fetch', 'wrong-order', () => [fetchOf({ creditBytes: 0 }), piece(0, small)]],
    ['pieces before it was accepted', 'wrong-order', () => [open(), piece(0, small)]],
    ['a store in a store', 'wrong-order', () => [open()], () => [open()]],
    ['a piece that is not the first', 'piece-order', () => [open()], () => [piece(1, small)]],
    ['a piece twice', 'piece-order', () => [open()], () => [piece(0, small), piece(0, small)]],
    [
      'a hole in a piece',
      'piece-order',
      () => [open()],
      () => [piece(0, part, { offset: 9, total: 40_000 })],
    ],
    [
      'a piece that changes its length',
      'piece-order',
      () => [open()],
      () => [piece(0, part, { total: 40_000 }), piece(0, part, { offset: part.length, total: 50_000 })],
    ],
    [
      'a piece begun before the last has ended',
      'piece-order',
      () => [open()],
      () => [piece(0, part, { total: 40_000 }), piece(1, small)],
    ],
    [
      'an index inside a piece',
      'wrong-order',
      () => [open()],
      () => [piece(0, part, { total: 40_000 }), indexFrame(made)],
    ],
    ['an index and no piece', 'wrong-order', () => [open()], () => [indexFrame(made)]],
    ['a tiny part', 'malformed-frame', () => [open()], () => [piece(0, small, { total: 300 })]],
    ['an empty part', 'malformed-frame', () => [open()], () => [frame(Buffer.from('0a0418642864', 'hex'))]],
    [
      'more than there is room reserved for',
      'oversize-column',
      () => [encode.store(made.open(0, { maxColumnBytes: 150 }))],
      () => [piece(0, small), piece(1, small)],
    ],
    ['a piece longer than any', 'oversize-piece', () => [open()], () => [piece(0, part, { total: 2 * MIB })]],
  ]
  const locate = (id: number): Uint8Array =>
    encode.request(id, { kind: 'locate', query: { id: small.subarray(0, 16), slabs: [], hopsLeft: 1 } })

  it.each(rules)('with %s breaks the rule %s', async (name, rule, first, second) => {
    server.holder.beforeLocate = () => new Promise(() => {})
    if (name.includes('fetch')) hold()
    const client = await rawClient(bare, server)
    client.send(...first())
    if (second !== undefined) {
      await until(() => client.messages.length === 1)
      client.send(...second())
    }
    await until(() => server.trust.evidence.length > 0)
    expect(server.trust.evidence).toEqual([
      { peer: bare.peerId.toString(), kind: 'protocol-violation', detail: { protocol: 'chunk', rule } },
    ])
    await until(() => server.chunk.statistics().inboundStreams === 0)
    await until(() => server.holder.openDrafts === 0)
  })

  it('and sends more than it was granted is cut off', async () => {
    server.holder.beforeWrite = () => new Promise(() => {})
    const client = await rawClient(bare, server)
    client.send(encode.store(made.open(0)))
    await until(() => client.messages.length === 1)
    expect(client.messages[0]).toEqual({ kind: 'accepted', creditBytes: 2 * MIB })
    for (const [segment, bytes] of made.columnOf(0).entries()) client.send(piece(segment, bytes))
    await until(() => server.trust.of('protocol-violation').length > 0)
    expect(server.trust.of('protocol-violation')[0]!.detail['rule']).toBe('credit-exceeded')
  })

  it('and stops in the middle of a frame breaks a rule', async () => {
    const client = await rawClient(bare, server)
    client.send(open().subarray(0, 20))
    await client.stream.close()
    await until(() => server.trust.of('protocol-violation').length > 0)
    expect(server.trust.of('protocol-violation')[0]!.detail['rule']).toBe('truncated-frame')
  })

  it('and goes away during a store leaves nothing behind', async () => {
    for (const leave of ['close', 'abort'] as const) {
      const client = await rawClient(bare, server)
      client.send(encode.store(made.open(0)))
      await until(() => client.messages.length === 1)
      client.send(piece(0, made.columnOf(0)[0]!))
      await until(() => server.holder.writtenBytes > 0)
      if (leave === 'close') await client.stream.close()
      else client.stream.abort(new Error('gone'))
      await until(() => server.holder.openDrafts === 0 && server.chunk.statistics().inboundStreams === 0)
      server.holder.writtenBytes = 0
    }
    expect(server.holder.columns.size).toBe(0)
    // Its room and its places are free again.
    const client = await rawClient(bare, server)
    client.send(encode.store(made.open(0)))
    await until(() => client.messages.length === 1)
    expect(client.messages[0]!.kind).toBe('accepted')
  })

  it('and goes away while its store is being opened leaves nothing behind', async () => {
    let go = (): void => {}
    server.holder.beforeBegin = () => new Promise((resolve) => (go = resolve))
    const client = await rawClient(bare, server)
    client.send(encode.store(made.open(0)))
    await until(() => server.chunk.statistics().inboundStreams === 1)
    client.stream.abort(new Error('gone'))
    await until(() => server.chunk.statistics().inboundStreams === 0)
    go()
    await until(() => server.holder.openDrafts === 0)
  })

  it('and says nothing is cut off, before, during and after its turn', async () => {
    const silent = await rawClient(bare, server)
    const storing = await rawClient(bare, server)
    storing.send(encode.store(made.open(0)))
    await until(() => storing.messages.length === 1)
    await until(() => storing.isClosed && server.holder.openDrafts === 0)
    await until(() => silent.isClosed)
    expect(server.chunk.statistics().inboundStreams).toBe(0)
  })

  it('and grants no credit, or never reads, is cut off, holding little memory meanwhile', async () => {
    hold()
    const mean = await rawClient(bare, server)
    mean.send(fetchOf({ creditBytes: 0, segments: Array.from({ length: 16 }, (_, segment) => segment) }))
    await until(() => server.holder.reads > 0)
    await until(() => mean.isClosed)
    expect(server.holder.reads).toBeLessThanOrEqual(4)

    const deaf = await rawClient(bare, server)
    deaf.stream.pause()
    deaf.send(
      fetchOf({ creditBytes: 64 * MIB, segments: Array.from({ length: 16 }, (_, segment) => segment) }),
    )
    await until(() => server.holder.reads > 4)
    await until(() => server.chunk.statistics().inboundStreams === 0)
    // What is read ahead, and what the muxer and the sockets hold.
    expect(server.chunk.statistics().sentBytes).toBeLessThanOrEqual(6 * MIB)
  })

  it('and opens too many streams, stores or streams of requests is bounded', async () => {
    await bare.dial(server.libp2p.getMultiaddrs())
    const clients = [
      await rawClient(bare, server),
      await rawClient(bare, server),
      await rawClient(bare, server),
    ]
    const slabs = clients.map(() => makeSlab())
    for (const [place, client] of clients.entries()) {
      client.send(encode.store(slabs[place]!.open(0)))
      await until(() => client.messages.length === 1)
    }
    // The third is told that there is too much under way.
    expect(clients.map((client) => client.messages[0]!.kind)).toEqual(['accepted', 'accepted', 'store-done'])
    expect(clients[2]!.messages[0]).toMatchObject({ status: 8 })
    for (const client of clients) client.stream.abort(new Error('done'))
    await until(() => server.chunk.statistics().inboundStreams === 0)

    const asking = [
      await rawClient(bare, server),
      await rawClient(bare, server),
      await rawClient(bare, server),
    ]
    for (const client of asking) client.send(capacity(1))
    await until(() => asking.filter((client) => client.messages.length === 1).length === 2)
    await until(() => server.trust.of('limit-exceeded').length === 1)
    expect(server.trust.of('limit-exceeded')[0]!.detail).toEqual({
      protocol: 'chunk',
      limit: 'control-streams',
    })

    for (let count = 0; count < 4; count++) rawClient(bare, server).catch(() => {})
    await until(() =>
      server.trust.of('limit-exceeded').some(({ detail }) => detail['limit'] === 'streams-per-peer'),
    )
    expect(server.chunk.statistics().inboundStreams).toBeLessThanOrEqual(4)
  })

  it('sends any bytes, and others are served meanwhile', async () => {
    const good = await startChunkNode()
    await connect(good.libp2p, server.libp2p)
    await until(() => good.chunk.peers().length === 1)
    const signal = AbortSignal.timeout(60_000)
    let rounds = 0
    const serving = (async () => {
      do {
        const column = makeSlab({ segments: 2 })
        await storeColumn(good, server.peerId, column, 0)
        const fetch = good.chunk.fetch(server.peerId, column.index, 0, { segments: [0, 1], signal })
        expect([...(await collect(fetch)).values()]).toHaveLength(2)
      } while (++rounds < 10)
    })()
    const begin = fc.constantFrom(open(), capacity(1), fetchOf(), piece(0, small), indexFrame(made), small)
    await fc.assert(
      fc.asyncProperty(begin, fc.uint8Array({ maxLength: 500 }), fc.nat(200), async (start, bytes, cut) => {
        const bad = await rawClient(bare, server)
        bad.send(start.subarray(0, start.length - cut), bytes)
        void bad.stream.close()
        await until(() => bad.isClosed)
      }),
      { numRuns: 40 },
    )
    await serving
    expect(rounds).toBe(10)
    expect(await codeOf(good.chunk.capacity(server.peerId, signal))).toBeUndefined()
    await until(() => server.holder.openDrafts === 0)
    await good.stop()
  })
})
