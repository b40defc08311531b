import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { signDeletion, signIndex, signLease } from '../../../protocols/chunk/format/index.ts'
import { connect, until } from '../../support/content-protocol.ts'
import {
  type ChunkNode,
  codeOf,
  collect,
  makeSlab,
  NETWORK,
  startChunkNode,
  statusOf,
  storeColumn,
  YEAR_MS,
} from '../../support/chunk-protocol.ts'

let owner: ChunkNode
let holder: ChunkNode
let signal: AbortSignal

beforeEach(async () => {
  ;[owner, holder] = await Promise.all([startChunkNode(), startChunkNode()])
  await connect(owner.libp2p, holder.libp2p)
  signal = AbortSignal.timeout(30_000)
})

afterEach(async () => {
  await Promise.all([owner.stop(), holder.stop()])
})

describe('a column', () => {
  it('is stored, found, audited, fetched, renewed, deleted and remembered as deleted', async () => {
    const made = makeSlab({ segments: 5 })
    const receipt = await storeColumn(owner, holder.peerId, made, 2)
    expect(receipt).toMatchObject({ column: 2, untilMs: made.lease.untilMs })
    expect(Buffer.from(receipt.indexHash)).toEqual(made.index.hash)
    expect(holder.holder.openDrafts).toBe(0)

    const held = await owner.chunk.have(holder.peerId, [makeSlab().slab, made.slab], signal)
    expect(held).toHaveLength(1)
    expect(held[0]).toMatchObject({ slab: made.slab, column: 2, untilMs: made.lease.untilMs })
    const index = await owner.chunk.index(holder.peerId, made.slab, signal)
    expect(index.hash).toEqual(made.index.hash)
    const lease = await owner.chunk.lease(holder.peerId, made.slab, signal)
    expect(lease).toMatchObject({ untilMs: made.lease.untilMs, sequence: 1 })

    for (const [segment, leaf] of [
      [0, 0],
      [4, 9],
    ] as const) {
      await owner.chunk.audit(holder.peerId, index, { column: 2, segment, leaf }, signal)
    }

    const all = await collect(
      owner.chunk.fetch(holder.peerId, index, 2, { segments: [0, 1, 2, 3, 4], signal }),
    )
    expect([...all.values()]).toEqual(made.columnOf(2).map((piece) => Buffer.from(piece)))
    const some = await collect(owner.chunk.fetch(holder.peerId, index, 2, { segments: [1, 4], signal }))
    expect([...some.keys()]).toEqual([1, 4])
    expect(owner.trust.of('transfer-served')).toHaveLength(2)

    const longer = signLease(made.signer, NETWORK, { untilMs: Date.now() + YEAR_MS + 5_000, sequence: 2 })
    const forged = { ...longer.signed, signature: randomBytes(64) }
    expect(
      await owner.chunk.renew(holder.peerId, [longer.signed, made.lease.signed, forged], signal),
    ).toEqual([0, 34, 7])
    const deletion = signDeletion(made.signer, NETWORK, { atMs: Date.now() })
    expect(await owner.chunk.remove(holder.peerId, [deletion.signed], signal)).toEqual([0])
    expect(await owner.chunk.have(holder.peerId, [made.slab], signal)).toEqual([])
    const { deletions, next } = await owner.chunk.tombstones(holder.peerId, 0, signal)
    expect(deletions.map(({ payload }) => Buffer.from(payload))).toEqual([
      Buffer.from(deletion.signed.payload),
    ])
    expect(await owner.chunk.tombstones(holder.peerId, next, signal)).toEqual({ deletions: [], next })
    expect(await statusOf(storeColumn(owner, holder.peerId, made, 2))).toBe(33)
    for (const gone of [
      owner.chunk.index(holder.peerId, made.slab, signal),
      owner.chunk.lease(holder.peerId, made.slab, signal),
      collect(owner.chunk.fetch(holder.peerId, index, 2, { segments: [0], signal })),
    ]) {
      expect(await codeOf(gone)).toBe('ERR_NOT_FOUND')
    }
    // Not a loss: the holder shows the owner's deletion.
    const audit = owner.chunk.audit(holder.peerId, index, { column: 2, segment: 0, leaf: 0 }, signal)
    expect(await statusOf(audit)).toBe(33)
    expect(owner.trust.of('message-invalid')).toEqual([])
  })

  it.each([
    ['copies of full segments', { segments: 3, sealedBytes: 1024 * 1024 + 20, k: 1, n: 3 }],
    ['k = 2 of full segments', { segments: 3, sealedBytes: 1024 * 1024 + 20, k: 2, n: 3 }],
    ['the least there is', { segments: 1, sealedBytes: 1, k: 1, n: 1 }],
    ['many small pieces', { segments: 64, sealedBytes: 65_556, k: 20, n: 40 }],
    ['the largest index', { segments: 64, sealedBytes: 1_044, k: 32, n: 64 }],
  ])('of %s comes back byte for byte', async (_what, shape) => {
    const made = makeSlab(shape)
    await storeColumn(owner, holder.peerId, made, shape.n - 1)
    const index = await owner.chunk.index(holder.peerId, made.slab, signal)
    expect(Buffer.from(index.signed.payload)).toEqual(Buffer.from(made.index.signed.payload))
    const segments = made.index.sealedBytes.map((_bytes, segment) => segment)
    const all = await collect(owner.chunk.fetch(holder.peerId, index, shape.n - 1, { segments, signal }))
    expect([...all.values()]).toEqual(made.columnOf(shape.n - 1).map((piece) => Buffer.from(piece)))
  })

  it('of another number is not there', async () => {
    const made = makeSlab()
    await storeColumn(owner, holder.peerId, made, 0)
    const audit = { column: 1, segment: 0, leaf: 0 }
    expect(await codeOf(owner.chunk.audit(holder.peerId, made.index, audit, signal))).toBe('ERR_NOT_FOUND')
    const fetch = owner.chunk.fetch(holder.peerId, made.index, 1, { segments: [0], signal })
    expect(await codeOf(collect(fetch))).toBe('ERR_NOT_FOUND')
  })

  it('is stored one after another on the same stream, and many at the same time', async () => {
    for (let count = 0; count < 3; count++) await storeColumn(owner, holder.peerId, makeSlab(), 0)
    expect(owner.chunk.statistics().outboundStreams).toBe(1)
    const slabs = Array.from({ length: 20 }, () => makeSlab({ segments: 2 }))
    await Promise.all(slabs.map((made) => storeColumn(owner, holder.peerId, made, 1)))
    expect(holder.holder.columns.size).toBe(23)
    expect(owner.chunk.statistics().outboundStreams).toBeLessThanOrEqual(8)
    await Promise.all(
      slabs.map(async (made) => {
        const fetch = owner.chunk.fetch(holder.peerId, made.index, 1, { segments: [0, 1], signal })
        expect([...(await collect(fetch)).values()]).toEqual(
          made.columnOf(1).map((piece) => Buffer.from(piece)),
        )
      }),
    )
    await until(() => holder.holder.openDrafts === 0)
  })
})

describe('requests', () => {
  it('say what room there is', async () => {
    holder.holder.freeBytes = 5_000
    expect(await owner.chunk.capacity(holder.peerId, signal)).toEqual({
      accepts: true,
      offeredBytes: 1024 ** 3,
      freeBytes: 5_000,
      repairFreeBytes: 2_500,
    })
    expect(await statusOf(storeColumn(owner, holder.peerId, makeSlab(), 0))).toBe(32)
    // The stream on which a store was refused at once carries the next one.
    holder.holder.freeBytes = 1024 ** 3
    await storeColumn(owner, holder.peerId, makeSlab(), 0)
    expect(owner.chunk.statistics().outboundStreams).toBe(2)
  })

  it('claim, hint and locate', async () => {
    const made = makeSlab()
    const claim = { slab: made.slab, column: 1, ttlMs: 60_000 }
    expect(await owner.chunk.claim(holder.peerId, claim, signal)).toBe(true)
    holder.holder.claims.set([...holder.holder.claims.keys()][0]!, 'somebody else')
    expect(await owner.chunk.claim(holder.peerId, claim, signal)).toBe(false)

    const hint = { group: made.slab, peers: [owner.peerId.toString()] }
    await owner.chunk.hint(holder.peerId, hint, signal)
    expect(holder.holder.hints).toEqual([{ group: Uint8Array.from(made.slab), peers: hint.peers }])

    const other = makeSlab().slab
    holder.holder.found = [
      { slab: made.slab, peer: owner.peerId.toString(), addresses: ['/ip4/127.0.0.1/tcp/1'] },
      { slab: other, peer: 'not asked for', addresses: [] },
    ]
    const query = { id: randomBytes(16), slabs: [made.slab], hopsLeft: 3 }
    expect(await owner.chunk.locate(holder.peerId, query, signal)).toEqual([holder.holder.found[0]])
  })

  it('are pipelined on one stream, thousands at once, long ones beside short ones', async () => {
    let release = (): void => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    holder.holder.beforeLocate = () => gate
    const locate = (): Promise<unknown> =>
      owner.chunk.locate(holder.peerId, { id: randomBytes(16), slabs: [], hopsLeft: 0 }, signal)
    const slow = [locate(), locate(), locate(), locate()]
    const fast = Array.from({ length: 1_000 }, () => owner.chunk.capacity(holder.peerId, signal))
    expect(await Promise.all(fast)).toHaveLength(1_000)
    // A fifth query is refused rather than kept.
    expect(await statusOf(locate())).toBe(8)
    release()
    expect(await Promise.all(slow)).toEqual([[], [], [], []])
    expect(owner.chunk.statistics().outboundStreams).toBe(1)
    expect(holder.trust.evidence).toEqual([])
  })

  it('carry full lists', async () => {
    const slabs = Array.from({ length: 1_024 }, () => randomBytes(32))
    const made = makeSlab({ segments: 1, sealedBytes: 100 })
    await storeColumn(owner, holder.peerId, made, 0)
    const column = [...holder.holder.columns.values()][0]!
    for (const slab of slabs) holder.holder.columns.set(slab.toString('hex'), column)
    const held = await owner.chunk.have(holder.peerId, slabs, signal)
    expect(held.map(({ slab }) => slab)).toEqual(slabs)
    await expect(owner.chunk.have(holder.peerId, [...slabs, made.slab], signal)).rejects.toThrow(RangeError)

    const leases = Array.from({ length: 600 }, (_, sequence) =>
      signLease(made.signer, NETWORK, { untilMs: Date.now(), sequence: sequence + 2 }),
    )
    const statuses = await owner.chunk.renew(
      holder.peerId,
      leases.map(({ signed }) => signed),
      signal,
    )
    expect(statuses).toEqual(Array.from({ length: 600 }, () => 0))
  })

  it('are asked of trust first', async () => {
    const made = makeSlab()
    await storeColumn(owner, holder.peerId, made, 0)
    holder.trust.deny = (_peer, action) => action === 'store' || action === 'serve-chunk'
    expect(await statusOf(owner.chunk.have(holder.peerId, [made.slab], signal))).toBe(3)
    expect(await statusOf(owner.chunk.capacity(holder.peerId, signal))).toBe(3)
    expect(await statusOf(storeColumn(owner, holder.peerId, makeSlab(), 0))).toBe(3)
    const fetch = (): Promise<unknown> =>
      collect(owner.chunk.fetch(holder.peerId, made.index, 0, { segments: [0], signal }))
    expect(await statusOf(fetch())).toBe(3)
    expect(await owner.chunk.claim(holder.peerId, { slab: made.slab, column: 0, ttlMs: 1 }, signal)).toBe(
      false,
    )
    // What the owner has signed counts whoever brings it.
    const deletion = signDeletion(made.signer, NETWORK, { atMs: Date.now() })
    expect(await owner.chunk.remove(holder.peerId, [deletion.signed], signal)).toEqual([0])

    owner.trust.deny = (_peer, action) => action === 'place' || action === 'fetch'
    expect(await codeOf(storeColumn(owner, holder.peerId, makeSlab(), 0))).toBe('ERR_PEER_DENIED')
    expect(await codeOf(fetch())).toBe('ERR_PEER_DENIED')
  })

  it('end with their signal', async () => {
    holder.holder.beforeLocate = () => new Promise(() => {})
    const query = { id: randomBytes(16), slabs: [], hopsLeft: 0 }
    const soon = AbortSignal.timeout(50)
    expect(await codeOf(owner.chunk.locate(holder.peerId, query, soon))).toBe('ERR_CANCELLED')
    expect(await codeOf(owner.chunk.capacity(holder.peerId, AbortSignal.abort()))).toBe('ERR_CANCELLED')
    // The stream they came on is still good.
    await owner.chunk.capacity(holder.peerId, signal)
    expect(owner.chunk.statistics().outboundStreams).toBe(1)
  })
})

describe('peers', () => {
  it('are known while they are connected', async () => {
    await until(() => owner.chunk.peers().length === 1)
    const events: string[] = []
    const stop = owner.chunk.onPeer(({ type, peer }) => void events.push(`${type} ${peer.toString()}`))
    await owner.libp2p.hangUp(holder.peerId)
    await until(() => owner.chunk.peers().length === 0)
    await connect(owner.libp2p, holder.libp2p)
    await until(() => owner.chunk.peers().length === 1)
    expect(events).toEqual([
      `disconnected ${holder.peerId.toString()}`,
      `connected ${holder.peerId.toString()}`,
    ])
    stop()
  })
})

describe('an index', () => {
  it('of other pieces than those that came is refused, and nothing is kept', async () => {
    const made = makeSlab()
    const other = makeSlab()
    const open = made.open(0)
    const roots = other.pieces.flat().map(() => randomBytes(32))
    const fields = { group: made.slab, k: 2, n: 4, sealedBytes: made.index.sealedBytes, roots }
    const wrong = signIndex(made.signer, NETWORK, fields)
    for (const index of [wrong, other.index]) {
      const stream = await owner.chunk.store(holder.peerId, open, signal)
      for (const piece of made.columnOf(0)) await stream.write(piece, signal)
      expect(await statusOf(stream.finish(index, signal))).toBe(7)
    }
    expect(holder.trust.of('piece-invalid')).toHaveLength(2)
    expect(holder.trust.of('piece-invalid')[0]!.detail).toMatchObject({ column: 0 })
    expect(holder.holder.columns.size).toBe(0)
    await until(() => holder.holder.openDrafts === 0)
    // And the stream is as good as before.
    await storeColumn(owner, holder.peerId, made, 0)
  })
})
