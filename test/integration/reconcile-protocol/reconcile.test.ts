import type { Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { pEvent } from 'p-event'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { MAX_SETS } from '../../../protocols/reconcile/limits.ts'
import { decodeAnswer, encodeRequest, type Request } from '../../../protocols/reconcile/messages.ts'
import { Turns } from '../../../protocols/reconcile/turns.ts'
import type { Bandwidth, Flow } from '../../../protocols/shared/bandwidth.ts'
import { frame } from '../../../protocols/shared/framing.ts'
import { Status } from '../../../protocols/shared/status.ts'
import { eventually, startTestNode } from '../../support/network.ts'
import {
  compareAlmostTheSame,
  evidenceOf,
  holding,
  type Member,
  type MemberOptions,
  MemorySet,
  numbered,
  soon,
  startMember,
} from '../../support/reconcile.ts'

const PROTOCOL = '/p2pnode/test/reconcile/1.0.0'

let nodes: Member[] = []
afterEach(async () => {
  await Promise.all(nodes.map((node) => node.stop()))
  nodes = []
})

async function start(options?: MemberOptions): Promise<Member> {
  const member = await startMember(options)
  nodes.push(member)
  return member
}

async function pair(options: MemberOptions = {}): Promise<[Member, Member]> {
  const [a, b] = [await start(), await start(options)]
  await a.network.connect(b.address, AbortSignal.timeout(10_000))
  return [a, b]
}

/** A stream of the protocol by which a test speaks for a peer that follows no rules. */
async function open(from: Member, to: Member): Promise<Stream> {
  const [connection] = from.libp2p.getConnections(to.id)
  return connection!.newStream(PROTOCOL, soon())
}

const KEY = new Uint8Array(16)
const compareAll: Request = {
  open: { set: 'texts', key: KEY },
  body: {
    kind: 'compare',
    cuts: [{ start: new Uint8Array(0), end: new Uint8Array(0), bounds: [], fingerprints: [0n] }],
  },
}

describe('two nodes that compare', () => {
  it('keep to their bandwidth, asking and answering, for what comes and what goes', async () => {
    const taken: (Flow & { bytes: number })[] = []
    const bandwidth: Bandwidth = {
      take(flow, bytes) {
        taken.push({ ...flow, bytes })
        return Promise.resolve()
      },
      reserve: () => undefined,
      moved: () => {},
      sliceBytes: () => 1_000,
    }
    const [a, b] = await pair({ bandwidth })
    const ofA = holding(a, numbered(100))
    const ofB = holding(b, numbered(100, 50))
    const sum = (direction: Flow['direction']): number =>
      taken.reduce((bytes, take) => bytes + (take.direction === direction ? take.bytes : 0), 0)

    const answered = await a.reconcile.run(b.id, ofA, soon())
    expect(answered).toMatchObject({ taken: 50, given: 50 })
    expect(sum('in')).toBe(answered.sentBytes)
    // But for the lengths in front of messages.
    expect(answered.receivedBytes - sum('out')).toBeLessThan(4 * answered.exchanges)
    ofB.add('another one')
    expect(await b.reconcile.run(a.id, ofB, soon())).toMatchObject({ given: 1 })
    expect(
      taken.every(
        ({ bytes, peer, protocol }) => bytes <= 1_000 && peer === a.peer && protocol === 'reconcile',
      ),
    ).toBe(true)
  })

  // Of 100 000 entries in test/long.
  it('have the same afterwards for little, and know at once when nothing is new', async () => {
    const [a, b] = await pair()
    await compareAlmostTheSame(a, b, 20_000)
  })

  it('bring what one has not at all, both ways, in several messages', async () => {
    const [a, b] = await pair()
    const ofA = holding(a, numbered(3_000))
    const ofB = holding(b, [])
    expect(await b.reconcile.run(a.id, ofB, soon())).toMatchObject({ isComplete: true, taken: 3_000 })
    expect(ofB.texts()).toEqual(ofA.texts())
    for (const text of numbered(2_000, 10_000)) ofB.add(text)
    expect(await b.reconcile.run(a.id, ofB, soon())).toMatchObject({ isComplete: true, given: 2_000 })
    expect(ofA.texts()).toEqual(ofB.texts())
    expect(Math.max(...ofA.came.map(({ entries }) => entries.length))).toBeLessThanOrEqual(256)
  })

  it('bring what was refused once, and not again', async () => {
    const [a, b] = await pair()
    const ofA = holding(a, ['yes a'])
    const ofB = holding(b, ['no b', 'yes b'])
    expect(await a.reconcile.run(b.id, ofA, soon())).toMatchObject({ taken: 1, refused: 1, given: 1 })
    expect(await a.reconcile.run(b.id, ofA, soon())).toMatchObject({ isComplete: true, refused: 0 })
    // Nor is it given by its holder.
    expect(await b.reconcile.run(a.id, ofB, soon())).toMatchObject({ isComplete: true, given: 0 })
    expect(ofA.came.flatMap(({ entries }) => entries).length).toBe(2)
    expect(ofA.texts()).toEqual(['yes a', 'yes b'])
  })

  it('do it for each set apart, one session at a time', async () => {
    const [a, b] = await pair()
    const sets = ['one', 'two', 'three'].map((name) => {
      holding(b, [`${name} b`], name)
      return holding(a, [`${name} a`], name)
    })
    await Promise.all(sets.map((set) => a.reconcile.run(b.id, set, soon())))
    expect(sets.map((set) => set.texts())).toEqual([
      ['one a', 'one b'],
      ['two a', 'two b'],
      ['three a', 'three b'],
    ])
    expect(b.reconcile.statistics()).toMatchObject({ answered: 3 })
    expect(a.reconcile.peers().map(String)).toEqual([b.peer])
  })

  it('go on with what changed meanwhile: an entry that went is left out', async () => {
    const [a, b] = await pair()
    const ofA = holding(a, [])
    const ofB = holding(b, ['stays', 'goes'])
    vi.spyOn(ofB, 'read').mockImplementationOnce(() => undefined)
    expect(await a.reconcile.run(b.id, ofA, soon())).toMatchObject({ isComplete: true, taken: 1 })
  })
})

describe('a session that cannot be', () => {
  it('says why: no such set there, no such protocol, nobody there', async () => {
    const [a, b] = await pair()
    const plain = await startTestNode()
    try {
      const set = holding(a, ['x'])
      await expect(a.reconcile.run(b.id, set, soon())).rejects.toMatchObject({
        code: 'ERR_RECONCILE_UNSUPPORTED',
      })
      await a.network.connect(plain.address, AbortSignal.timeout(10_000))
      await expect(a.reconcile.run(peerIdFromString(plain.peer), set, soon())).rejects.toMatchObject({
        code: 'ERR_RECONCILE_UNSUPPORTED',
      })
    } finally {
      await plain.stop()
    }
    await expect(a.reconcile.run(b.id, new MemorySet([], 'other'), soon())).rejects.toThrow(RangeError)
    const gone = { signal: AbortSignal.abort(new Error('no')) }
    await expect(a.reconcile.run(b.id, a.reconcile.sets()[0]!, gone)).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    })
  })

  it('is refused to peers that may not, and to those that come too often', async () => {
    const never = new Set<string>()
    const [a, b] = await pair({ admits: (peer) => never.has(peer), mayGossip: (peer) => !never.has(peer) })
    const set = holding(a, ['x'])
    holding(b, ['y'])
    await expect(a.reconcile.run(b.id, set, soon())).rejects.toMatchObject({
      code: 'ERR_RECONCILE_REFUSED',
      details: { status: Status.busy },
    })
    await eventually('too often is evidence', () =>
      evidenceOf(b, a).some(([kind]) => kind === 'limit-exceeded'),
    )
    never.add(a.peer)
    await expect(a.reconcile.run(b.id, set, soon())).rejects.toMatchObject({
      code: 'ERR_RECONCILE_REFUSED',
      details: { status: Status.refused },
    })
    const [ofB] = b.reconcile.sets()
    await expect(b.reconcile.run(a.id, ofB!, soon())).rejects.toMatchObject({ code: 'ERR_PEER_DENIED' })
  })

  it('ends with what was wrong here, and tells the peer nothing of it', async () => {
    const [a, b] = await pair()
    const ofA = holding(a, ['x'])
    const ofB = holding(b, ['y'])
    vi.spyOn(ofB, 'take').mockRejectedValue(new Error('the disk is full'))
    await expect(a.reconcile.run(b.id, ofA, soon())).rejects.toMatchObject({
      code: 'ERR_RECONCILE_REFUSED',
      details: { status: Status.failed },
    })
    vi.spyOn(ofA, 'take').mockRejectedValue(new Error('the disk is full'))
    ofB.add('z')
    await expect(a.reconcile.run(b.id, ofA, soon())).rejects.toMatchObject({ code: 'ERR_RECONCILE_FAILED' })
    vi.spyOn(ofA, 'ids').mockReturnValue([new Uint8Array(3)])
    ofA.add('w')
    await expect(a.reconcile.run(b.id, ofA, soon())).rejects.toThrow(/broke off/)
  })

  it('is not begun by names and sizes out of bounds', async () => {
    const a = await start()
    const set = new MemorySet()
    const end = a.reconcile.register(set)
    expect(() => a.reconcile.register(new MemorySet())).toThrow(/already/)
    for (const name of ['', 'With Spaces', 'x'.repeat(65)])
      expect(() => a.reconcile.register(new MemorySet([], name))).toThrow(RangeError)
    const large = Object.assign(new MemorySet([], 'large'), { maxEntryBytes: 2 ** 20 })
    expect(() => a.reconcile.register(large)).toThrow(RangeError)
    end()
    end()
    for (let index = 0; index < MAX_SETS; index++) holding(a, [], `set-${index}`)
    expect(() => holding(a, [], 'one-more')).toThrow(/at most/)
  })
})

describe('a peer that does not keep to the rules', () => {
  it('is given up where it holds what is invalid, and that is evidence on either side', async () => {
    const [a, b] = await pair()
    const ofA = holding(a, ['bad a'])
    holding(b, ['good b'])
    await expect(a.reconcile.run(b.id, ofA, soon())).rejects.toMatchObject({ code: 'ERR_RECONCILE_FAILED' })
    await eventually('the answerer reports', () =>
      evidenceOf(b, a).some(([kind]) => kind === 'message-invalid'),
    )
    expect(ofA.texts()).toEqual(['bad a', 'good b'])
    const [ofB] = b.reconcile.sets()
    await expect(b.reconcile.run(a.id, ofB!, soon())).rejects.toMatchObject({
      code: 'ERR_RECONCILE_FAILED',
    })
    expect(evidenceOf(b, a).filter(([kind]) => kind === 'message-invalid').length).toBeGreaterThan(0)
  })

  it.each<[string, (stream: Stream) => void, string]>([
    ['garbage', (stream) => void stream.send(frame(new Uint8Array(200).fill(255))), 'malformed-message'],
    ['a frame too long', (stream) => void stream.send(new Uint8Array([255, 255, 127])), 'oversize-frame'],
    [
      'no opening',
      (stream) => void stream.send(frame(encodeRequest({ body: { kind: 'fetch', ranks: [1] } }))),
      'wrong-open',
    ],
    [
      'three questions at once',
      (stream) => {
        const question = frame(encodeRequest(compareAll))
        stream.send(Buffer.concat([question, question, question]))
      },
      'out-of-turn',
    ],
    [
      'an entry too long',
      (stream) => {
        const entries = [new Uint8Array(2_000)]
        stream.send(frame(encodeRequest({ ...compareAll, body: { kind: 'give', entries } })))
      },
      'oversize-entry',
    ],
  ])('is not answered, and that is evidence: %s', async (_, send, rule) => {
    const [a, b] = await pair()
    holding(b, ['x'])
    const stream = await open(a, b)
    const closed = pEvent(stream, 'close')
    send(stream)
    await closed
    await eventually('it is evidence', () =>
      evidenceOf(b, a).some(([kind, detail]) => {
        return kind === 'protocol-violation' && (detail as { rule?: string }).rule === rule
      }),
    )
  })

  it('gets what its ranks name and nothing for others, and no more than it may have open', async () => {
    const [a, b] = await pair()
    holding(b, ['x'])
    const turns = new Turns(await open(a, b), () => {})
    const ask = async (request: Request): Promise<unknown> => {
      turns.send(encodeRequest(request))
      return decodeAnswer((await turns.next(soon().signal))!, request.body)
    }
    const fetchAll: Request = { ...compareAll, body: { kind: 'fetch', ranks: [0, 1, 4_294_967_295] } }
    expect(await ask(fetchAll)).toEqual({
      status: Status.ok,
      body: {
        kind: 'entries',
        entries: [new TextEncoder().encode('x'), new Uint8Array(0), new Uint8Array(0)],
      },
    })
    const second = new Turns(await open(a, b), () => {})
    second.send(encodeRequest(compareAll))
    await second.next(soon().signal)
    const third = await open(a, b)
    await eventually('the third is closed', () => third.status !== 'open')
    await eventually('one too many is evidence', () =>
      evidenceOf(b, a).some(([kind]) => kind === 'limit-exceeded'),
    )
  })

  it('learns nothing more of a set that is not offered any more', async () => {
    const [a, b] = await pair()
    const end = b.reconcile.register(new MemorySet(['x']))
    const turns = new Turns(await open(a, b), () => {})
    turns.send(encodeRequest(compareAll))
    expect(decodeAnswer((await turns.next(soon().signal))!, compareAll.body).status).toBe(Status.ok)
    end()
    turns.send(encodeRequest({ body: compareAll.body }))
    expect(decodeAnswer((await turns.next(soon().signal))!, compareAll.body).status).toBe(Status.notFound)
  })

  it('does not hold up a node that stops, or a session that is called off', async () => {
    const [a, b] = await pair()
    const set = holding(a, ['x'])
    await b.libp2p.unhandle(PROTOCOL)
    // Takes the stream and says nothing.
    await b.libp2p.handle(PROTOCOL, () => {})
    const calledOff = new AbortController()
    const first = a.reconcile.run(b.id, set, { signal: calledOff.signal })
    await eventually('it waits', () => a.reconcile.statistics().begun === 1)
    calledOff.abort()
    await expect(first).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    const second = a.reconcile.run(b.id, set, soon())
    await eventually('it waits again', () => a.reconcile.statistics().begun === 2)
    const failed = expect(second).rejects.toMatchObject({ code: 'ERR_RECONCILE_FAILED' })
    await a.libp2p.stop()
    await failed
  })
})
