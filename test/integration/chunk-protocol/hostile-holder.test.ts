import { randomBytes } from 'node:crypto'
import type { Libp2p } from '@libp2p/interface'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encodeIndexHeader, encodePieceHeader } from '../../../protocols/chunk/data-frame.ts'
import { encodeSigned, signDeletion, signLease, signReceipt } from '../../../protocols/chunk/format/index.ts'
import { encode, type FromClient } from '../../../protocols/chunk/messages.ts'
import type { SignedBytes } from '../../../protocols/chunk/types.ts'
import { frame } from '../../../protocols/shared/framing.ts'
import { connect, until } from '../../support/content-protocol.ts'
import {
  type ChunkNode,
  codeOf,
  collect,
  makeSlab,
  NETWORK,
  type RawEnd,
  scriptHolder,
  startBareNode,
  startChunkNode,
  statusOf,
  storeColumn,
  type TestSlab,
} from '../../support/chunk-protocol.ts'
import { endNode } from '../../support/end-node.ts'

const MIB = 1024 * 1024
let owner: ChunkNode
let made: TestSlab
let signal: AbortSignal

beforeEach(async () => {
  owner = await startChunkNode({
    limits: { holderIdleMs: 600, requestTimeoutMs: 800, fetchWindowBytes: 2 * MIB },
  })
  made = makeSlab({ segments: 6, sealedBytes: 2 * 524_298, k: 2, n: 3 })
  signal = AbortSignal.timeout(30_000)
})

afterEach(async () => {
  await owner.stop()
})

const piece = (segment: number, bytes: Uint8Array, changes: { offset?: number; total?: number } = {}) => {
  const { offset = 0, total = bytes.length } = changes
  return Buffer.concat([encodePieceHeader({ segment, offset, totalBytes: total }, bytes.length), bytes])
}

describe('a holder that lies', () => {
  let holder: ChunkNode

  beforeEach(async () => {
    holder = await startChunkNode()
    await connect(owner.libp2p, holder.libp2p)
    await storeColumn(owner, holder.peerId, made, 1)
  })

  afterEach(async () => {
    await holder.stop()
  })

  const flipped = (bytes: Uint8Array): Uint8Array => {
    const copy = Uint8Array.from(bytes)
    copy[copy.length >> 1]! ^= 1
    return copy
  }

  it('in a piece is found out before the piece is given; what came before stays good', async () => {
    let sent = 0
    holder.holder.bendPiece = (bytes) => (++sent === 3 ? flipped(bytes) : bytes)
    const got: number[] = []
    const fetch = owner.chunk.fetch(holder.peerId, made.index, 1, { segments: [0, 1, 2, 3], signal })
    const reading = (async () => {
      for await (const { segment } of fetch) got.push(segment)
    })()
    expect(await codeOf(reading)).toBe('ERR_CHUNK_INVALID')
    expect(got.every((segment) => segment < 2)).toBe(true)
    expect(owner.trust.of('piece-invalid')).toEqual([
      {
        peer: holder.peerId.toString(),
        kind: 'piece-invalid',
        detail: { slab: Buffer.from(made.slab).toString('hex'), column: 1, segment: 2 },
      },
    ])
    // A stream that brought a wrong piece is not used again.
    holder.holder.bendPiece = undefined
    const all = await collect(owner.chunk.fetch(holder.peerId, made.index, 1, { segments: [0, 2], signal }))
    expect([...all.keys()]).toEqual([0, 2])
  })

  it('in a proof is found out', async () => {
    const place = { column: 1, segment: 0, leaf: 3 }
    await owner.chunk.audit(holder.peerId, made.index, place, signal)
    for (const bend of [
      (proof: { leaf: Uint8Array; path: Uint8Array[] }) => ({ ...proof, leaf: flipped(proof.leaf) }),
      (proof: { leaf: Uint8Array; path: Uint8Array[] }) => ({ ...proof, path: proof.path.toReversed() }),
      () => ({ leaf: new Uint8Array(0), path: [] }),
    ]) {
      holder.holder.bendProof = bend
      expect(await codeOf(owner.chunk.audit(holder.peerId, made.index, place, signal))).toBe(
        'ERR_CHUNK_INVALID',
      )
    }
  })

  it('in a deletion is found out: neither another slab nor another key excuses a lost column', async () => {
    const other = makeSlab()
    const atMs = Date.now()
    holder.holder.columns.clear()
    const lies = [
      signDeletion(other.signer, NETWORK, { atMs }).signed,
      signDeletion(made.signer, 'other', { atMs }).signed,
      { payload: signDeletion(made.signer, NETWORK, { atMs }).signed.payload, signature: randomBytes(64) },
    ]
    for (const lie of lies) {
      holder.holder.bendTombstone = () => lie
      const audit = owner.chunk.audit(holder.peerId, made.index, { column: 1, segment: 0, leaf: 0 }, signal)
      expect(await codeOf(audit)).toBe('ERR_CHUNK_INVALID')
    }
    expect(owner.trust.of('message-invalid')).toHaveLength(lies.length)
  })

  it('in a receipt is found out', async () => {
    const other = makeSlab()
    const fields = {
      slab: other.slab,
      column: 0,
      indexHash: other.index.hash,
      untilMs: other.lease.untilMs,
      atMs: Date.now(),
    }
    const bent: ((receipt: SignedBytes) => SignedBytes)[] = [
      ({ payload }) => ({ payload, signature: randomBytes(64) }),
      () => signReceipt(owner.signer, NETWORK, fields).signed,
      () => signReceipt(holder.signer, 'other', fields).signed,
      () => signReceipt(holder.signer, NETWORK, { ...fields, column: 1 }).signed,
      () => signReceipt(holder.signer, NETWORK, { ...fields, slab: made.slab }).signed,
      () => signReceipt(holder.signer, NETWORK, { ...fields, indexHash: made.index.hash }).signed,
      () => signReceipt(holder.signer, NETWORK, { ...fields, untilMs: fields.untilMs - 1 }).signed,
    ]
    for (const bend of bent) {
      holder.holder.bendReceipt = bend
      expect(await codeOf(storeColumn(owner, holder.peerId, other, 0))).toBe('ERR_CHUNK_INVALID')
      holder.holder.columns.clear()
    }
    expect(owner.trust.of('receipt-broken')).toHaveLength(bent.length)
    holder.holder.bendReceipt = () => signReceipt(holder.signer, NETWORK, fields).signed
    await storeColumn(owner, holder.peerId, other, 0)
  })

  it('or is busy, says so, and is asked again on the same stream', async () => {
    holder.holder.beforePiece = async () => {
      throw new Error('the disk is gone')
    }
    const fetch = (): Promise<unknown> =>
      collect(owner.chunk.fetch(holder.peerId, made.index, 1, { segments: [0, 1], signal }))
    expect(await statusOf(fetch())).toBe(9)
    holder.holder.beforePiece = undefined
    await fetch()
    expect(owner.chunk.statistics().outboundStreams).toBe(2)
  })
})

describe('a peer that keeps no rules', () => {
  let bare: Libp2p
  let ends: RawEnd<FromClient>[]
  let answer: (message: FromClient, end: RawEnd<FromClient>) => void

  beforeEach(async () => {
    bare = await startBareNode()
    ends = await scriptHolder(bare, (message, end) => answer(message, end))
    await connect(owner.libp2p, bare)
  })

  afterEach(async () => {
    await endNode(bare)
  })

  const column = (): Uint8Array[] => made.columnOf(1)
  const fetchAll = (): Promise<unknown> =>
    collect(owner.chunk.fetch(bare.peerId, made.index, 1, { segments: [0, 1, 2], signal }))
  const rule = (): unknown => owner.trust.of('protocol-violation').map(({ detail }) => detail['rule'])
  const wrongOrder = (): Uint8Array => Buffer.concat([piece(1, column()[1]!), piece(0, column()[0]!)])

  const fetches: [string, string, () => Uint8Array][] = [
    ['pieces in another order', 'unrequested-piece', wrongOrder],
    ['a piece that was not asked for', 'unrequested-piece', () => piece(5, column()[5]!)],
    ['a piece of another length', 'piece-order', () => piece(0, column()[0]!, { total: 524_299 })],
    ['a piece with a hole', 'piece-order', () => piece(0, part, { offset: 10, total: 524_298 })],
    ['an index', 'unrequested-piece', () => index(0, made)],
    ['the end before the end', 'false-done', () => encode.fetchDone(0)],
    [
      'the end within a piece',
      'false-done',
      () => Buffer.concat([piece(0, part, { total: 524_298 }), encode.fetchDone(5)]),
    ],
    ['another answer', 'unrequested-answer', () => encode.accepted(5)],
    ['garbage', 'malformed-message', () => frame(Buffer.from('ffffffff', 'hex'))],
    ['an oversize frame', 'oversize-frame', () => Buffer.from('ffff7f', 'hex')],
    ['a tiny part', 'malformed-frame', () => piece(0, small, { total: 524_298 })],
  ]
  const small = new Uint8Array(100)
  const part = new Uint8Array(16 * 1024)
  const index = (id: number, of: TestSlab): Uint8Array => {
    const bytes = encodeSigned(of.index.signed)
    return Buffer.concat([encodeIndexHeader(id, bytes.length), bytes])
  }

  it.each(fetches)('answers a fetch with %s: %s', async (_what, broken, bytes) => {
    answer = (_message, end) => end.send(bytes())
    expect(await codeOf(fetchAll())).toBe('ERR_PROTOCOL_VIOLATION')
    expect(rule()).toEqual([broken])
    expect(owner.chunk.statistics().outboundStreams).toBe(0)
  })

  it.each([
    ['within a frame', () => piece(0, column()[0]!).subarray(0, 1_000), ['truncated-frame']],
    ['between pieces', () => piece(0, column()[0]!), []],
  ] as const)('closes a fetch %s', async (_where, bytes, broken) => {
    answer = (_message, end) => {
      end.send(bytes())
      void end.stream.close()
    }
    expect(await codeOf(fetchAll())).toBe(broken.length > 0 ? 'ERR_PROTOCOL_VIOLATION' : 'ERR_STREAM_FAILED')
    expect(rule()).toEqual(broken)
  })

  it('sends more of a fetch than it was granted', async () => {
    answer = (_message, end) => {
      for (const [segment, bytes] of column().entries()) end.send(piece(segment, bytes))
    }
    const segments = [0, 1, 2, 3, 4, 5]
    const fetch = owner.chunk.fetch(bare.peerId, made.index, 1, { segments, signal })[Symbol.asyncIterator]()
    // One is taken, and the next not before all have come: 3 MiB where 2 were granted.
    expect((await fetch.next()).value).toMatchObject({ segment: 0 })
    await until(() => ends[0]!.isClosed)
    expect(rule()).toEqual(['credit-exceeded'])
    const rest = async (): Promise<void> => {
      while ((await fetch.next()).done !== true);
    }
    expect(await codeOf(rest())).toBe('ERR_PROTOCOL_VIOLATION')
  })

  it('goes away during a fetch, or falls silent', async () => {
    answer = (message, end) => {
      if (message.kind === 'fetch') end.send(piece(0, column()[0]!))
      else end.stream.abort(new Error('gone'))
    }
    expect(await codeOf(fetchAll())).toBe('ERR_STREAM_FAILED')
    answer = (message, end) => {
      if (message.kind === 'fetch') end.send(piece(0, column()[0]!))
    }
    expect(await codeOf(fetchAll())).toBe('ERR_STREAM_FAILED')
    const reasons = owner.trust.of('transfer-failed').map(({ detail }) => detail['reason'])
    expect(reasons).toEqual(['closed', 'silent'])
  })

  it('is sent nothing for which it granted nothing, and no piece that it refused', async () => {
    answer = (message, end) => {
      if (message.kind === 'store') end.send(encode.accepted(600_000))
    }
    const stream = await owner.chunk.store(bare.peerId, made.open(1), signal)
    await stream.write(column()[0]!, signal)
    const second = stream.write(column()[1]!, signal)
    await until(() => ends[0]!.dataBytes === 524_298)
    // Refused while the second waits for credit.
    ends[0]!.send(encode.storeDone(32))
    expect(await statusOf(second)).toBe(32)
    expect(await statusOf(stream.write(column()[2]!, signal))).toBe(32)
    expect(await statusOf(stream.finish(made.index, signal))).toBe(32)
    expect(ends[0]!.dataBytes).toBe(524_298)
    await until(() => owner.chunk.statistics().outboundStreams === 0)
    expect(owner.trust.evidence).toEqual([])
  })

  const stores: [string, string, () => Uint8Array][] = [
    ['a receipt before it has anything', 'wrong-answer', () => encode.storeDone(0, made.lease.signed)],
    ['an end without a receipt', 'wrong-answer', () => encode.storeDone(0)],
    ['a refusal with a receipt', 'wrong-answer', () => encode.storeDone(32, made.lease.signed)],
    ['two acceptances', 'unrequested-answer', () => encode.accepted(5)],
    ['data', 'wrong-order', () => piece(0, small)],
    ['too much credit', 'credit-overflow', () => encode.serverCredit(2 ** 32 - 1)],
    ['the end of a fetch', 'unrequested-answer', () => encode.fetchDone(0)],
  ]

  it.each(stores)('answers a store with %s: %s', async (_what, broken, bytes) => {
    answer = (message, end) => {
      if (message.kind === 'store') end.send(encode.accepted(1_000), bytes())
    }
    const storing = (async () => {
      const stream = await owner.chunk.store(bare.peerId, made.open(1), signal)
      await stream.write(column()[0]!, signal)
    })()
    expect(await codeOf(storing)).toBe('ERR_PROTOCOL_VIOLATION')
    expect(rule()).toEqual([broken])
  })

  it('goes away during a store, or falls silent', async () => {
    answer = () => {}
    expect(await codeOf(owner.chunk.store(bare.peerId, made.open(1), signal))).toBe('ERR_STREAM_FAILED')
    answer = (message, end) => {
      if (message.kind === 'store') end.send(encode.accepted(4 * MIB))
    }
    const left = await owner.chunk.store(bare.peerId, made.open(1), signal)
    await left.write(column()[0]!, signal)
    ends.at(-1)!.stream.abort(new Error('gone'))
    expect(await codeOf(left.finish(made.index, signal))).toBe('ERR_STREAM_FAILED')

    const silent = await owner.chunk.store(bare.peerId, made.open(1), signal)
    for (const bytes of column()) await silent.write(bytes, signal)
    expect(await codeOf(silent.finish(made.index, signal))).toBe('ERR_STREAM_FAILED')
  })

  it('is left in the middle of a store, by signal or by abort', async () => {
    answer = (message, end) => {
      if (message.kind === 'store') end.send(encode.accepted(600_000))
    }
    const stream = await owner.chunk.store(bare.peerId, made.open(1), signal)
    await stream.write(column()[0]!, signal)
    expect(await codeOf(stream.write(column()[1]!, AbortSignal.timeout(50)))).toBe('ERR_CANCELLED')
    await until(() => ends[0]!.isClosed)
    const other = await owner.chunk.store(bare.peerId, made.open(1), signal)
    other.abort(new Error('changed its mind'))
    await until(() => ends[1]!.isClosed)
    expect(owner.chunk.statistics().outboundStreams).toBe(0)
  })

  const longer = (): SignedBytes =>
    signLease(makeSlab({ segments: 1 }).signer, NETWORK, { untilMs: 5, sequence: 1 }).signed
  const requests: [
    string,
    string | undefined,
    (id: number) => Uint8Array,
    (end: ChunkNode) => Promise<unknown>,
  ][] = [
    ['to another question', 'unrequested-answer', (id) => encode.answer(id + 1, 0), ask],
    ['without what was asked for', 'wrong-answer', (id) => encode.answer(id, 0), ask],
    [
      'of another kind',
      'wrong-answer',
      (id) => encode.answer(id, 0, { kind: 'claimed', granted: true }),
      ask,
    ],
    [
      'about a slab that nobody asked for',
      'wrong-answer',
      (id) =>
        encode.answer(id, 0, {
          kind: 'held',
          columns: [{ slab: 1, column: 0, indexHash: new Uint8Array(32), untilMs: 0, isRebuilt: false }],
        }),
      (node) => node.chunk.have(bare.peerId, [made.slab], signal),
    ],
    [
      'with a status too many',
      'wrong-answer',
      (id) => encode.answer(id, 0, { kind: 'statuses', statuses: [0, 0] }),
      (node) => node.chunk.renew(bare.peerId, [made.lease.signed], signal),
    ],
    ['without the index', 'wrong-answer', (id) => encode.answer(id, 0), askIndex],
    [
      'with an index twice',
      'unrequested-answer',
      (id) => Buffer.concat([index(id, made), index(id, made)]),
      askIndex,
    ],
    ['with an index that nobody asked for', 'unrequested-answer', (id) => index(id, made), ask],
    [
      'with the index of another slab',
      undefined,
      (id) => Buffer.concat([index(id, makeSlab()), encode.answer(id, 0)]),
      askIndex,
    ],
    [
      'with the lease of another slab',
      undefined,
      (id) => encode.answer(id, 0, { kind: 'lease', lease: longer() }),
      (node) => node.chunk.lease(bare.peerId, made.slab, signal),
    ],
  ]
  function ask(node: ChunkNode): Promise<unknown> {
    return node.chunk.capacity(bare.peerId, signal)
  }
  function askIndex(node: ChunkNode): Promise<unknown> {
    return node.chunk.index(bare.peerId, made.slab, signal)
  }

  it.each(requests)('answers %s: %s', async (_what, broken, bytes, question) => {
    answer = (message, end) => {
      if (message.kind === 'request') end.send(bytes(message.id))
    }
    const code = await codeOf(question(owner))
    if (broken === undefined) {
      expect(code).toBe('ERR_CHUNK_INVALID')
      expect(owner.trust.of('message-invalid')).toHaveLength(1)
    } else {
      expect(code).toBe('ERR_PROTOCOL_VIOLATION')
      expect(rule()).toEqual([broken])
    }
  })

  it('answers only some: the others time out, and one that leaves too many is left', async () => {
    answer = (message, end) => {
      if (message.kind === 'request' && message.request?.kind === 'hint')
        end.send(encode.answer(message.id, 0))
    }
    const hint = { group: made.slab, peers: [] }
    const unanswered = Array.from({ length: 17 }, () => codeOf(owner.chunk.capacity(bare.peerId, signal)))
    let isSettled = false
    const codes = Promise.all(unanswered).finally(() => {
      isSettled = true
    })
    while (!isSettled) await owner.chunk.hint(bare.peerId, hint, signal).catch(() => {})
    expect(new Set(await codes)).toEqual(new Set(['ERR_REQUEST_TIMEOUT']))
    await until(() => ends[0]!.isClosed)
  })
})

describe('a node that stops', () => {
  it('ends what it asked and what it answers', async () => {
    const holder = await startChunkNode()
    await connect(owner.libp2p, holder.libp2p)
    await storeColumn(owner, holder.peerId, made, 0)
    holder.holder.beforePiece = () => new Promise(() => {})
    holder.holder.beforeLocate = () => new Promise(() => {})
    const other = makeSlab()
    const storing = await owner.chunk.store(holder.peerId, other.open(0), signal)
    const ends = [
      codeOf(collect(owner.chunk.fetch(holder.peerId, made.index, 0, { segments: [0], signal }))),
      codeOf(owner.chunk.locate(holder.peerId, { id: randomBytes(16), slabs: [], hopsLeft: 0 }, signal)),
    ]
    await until(() => holder.holder.reads > 0)
    await holder.libp2p.stop()
    expect(await Promise.all(ends)).toEqual(['ERR_STREAM_FAILED', 'ERR_STREAM_FAILED'])
    expect(await codeOf(storing.finish(other.index, signal))).toBe('ERR_STREAM_FAILED')
    await until(() => holder.holder.openDrafts === 0)
    expect(holder.chunk.statistics()).toMatchObject({ inboundStreams: 0, outboundStreams: 0 })
    await until(() => owner.chunk.statistics().outboundStreams === 0)
  })

  it('cancels what is asked of it while and after it stops, and starts again', async () => {
    const holder = await startChunkNode()
    await connect(owner.libp2p, holder.libp2p)
    holder.holder.beforeLocate = () => new Promise(() => {})
    const query = { id: randomBytes(16), slabs: [], hopsLeft: 0 }
    const asked = codeOf(owner.chunk.locate(holder.peerId, query, signal))
    await until(() => holder.chunk.statistics().inboundStreams === 1)
    await owner.libp2p.stop()
    expect(await asked).toBe('ERR_CANCELLED')
    expect(await codeOf(owner.chunk.capacity(holder.peerId, signal))).toBe('ERR_CANCELLED')
    await owner.libp2p.start()
    await connect(owner.libp2p, holder.libp2p)
    expect(await owner.chunk.capacity(holder.peerId, signal)).toMatchObject({ accepts: true })
    await holder.stop()
  })
})
