import { generateKeyPairSync, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { describe, expect, it } from 'vitest'
import { slabIdOf } from '../../../../protocols/chunk/format/index.ts'
import type { ChunkHolder, HeldColumn, StoreOpen } from '../../../../protocols/chunk/types.ts'
import { RootFilter } from '../../../../protocols/content/index.ts'
import type { BlockSource, Capabilities, CapabilitiesInit } from '../../../../protocols/content/types.ts'
import { type Deeds, hostilePeer } from '../../../../src/simulation/hostile/behaviours.ts'
import { Book } from '../../../../src/simulation/hostile/book.ts'
import { readableShare } from '../../../../src/simulation/hostile/bound.ts'
import { Cast } from '../../../../src/simulation/hostile/cast.ts'
import { holdsOf } from '../../../../src/simulation/hostile/holds.ts'
import { seededRandom } from '../../../../src/simulation/hostile/random.ts'
import { scoresOf } from '../../../../src/simulation/hostile/scores.ts'
import type { HostileReport, RoundSample } from '../../../../src/simulation/hostile/types.ts'
import { WAYS, type Way } from '../../../../src/simulation/hostile/ways.ts'
import { rolesOf } from '../../../../src/simulation/members.ts'
import type { Member } from '../../../../src/simulation/network.ts'
import type { TrustService } from '../../../../src/trust/index.ts'

const never = new AbortController().signal

describe('what follows from a seed', () => {
  it('is the same again, and another for another seed', () => {
    const drawn = (seed: string) => {
      const random = seededRandom(seed)
      return [random.below(1_000), random.shuffled([1, 2, 3, 4, 5, 6]), random.some(['a', 'b', 'c'], 2)]
    }
    expect(drawn('one')).toEqual(drawn('one'))
    expect(drawn('one')).not.toEqual(drawn('two'))
    // Bytes do not depend on what was drawn before.
    const random = seededRandom('one')
    random.below(7)
    expect(random.bytes('file', 100)).toEqual(seededRandom('one').bytes('file', 100))
    expect(random.bytes('file', 100)).not.toEqual(random.bytes('other', 100))
    expect(random.bytes('file', 3)).toHaveLength(3)
  })

  it('stays within bounds and loses nothing', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.array(fc.integer()),
        fc.integer({ min: 1, max: 50 }),
        (seed, items, bound) => {
          const random = seededRandom(seed)
          const sorted = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)
          expect(sorted(random.shuffled(items))).toEqual(sorted(items))
          expect(random.some(items, bound)).toHaveLength(Math.min(items.length, bound))
          const number = random.below(bound)
          expect(Number.isInteger(number) && number >= 0 && number < bound).toBe(true)
        },
      ),
    )
  })
})

describe('the hypergeometric bound', () => {
  it('is what drawing blindly leaves', () => {
    // By hand: of 4 holders 2 keep nothing, both of n = 2 are drawn, k = 1: unreadable where both are bad, 1 of 6.
    expect(readableShare({ holders: 4, lost: 2, k: 1, n: 2 })).toBeCloseTo(5 / 6, 12)
    expect(readableShare({ holders: 80, lost: 0, k: 4, n: 8 })).toBeCloseTo(1, 12)
    expect(readableShare({ holders: 8, lost: 5, k: 4, n: 8 })).toBe(0)
    expect(readableShare({ holders: 80, lost: 26, k: 4, n: 8 })).toBeGreaterThan(0.9)
  })

  it('falls with every holder that is lost', () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 200 }), fc.nat({ max: 200 }), (holders, some) => {
        const lost = Math.min(some, holders - 1)
        const share = readableShare({ holders, lost, k: 4, n: 8 })
        expect(share).toBeGreaterThanOrEqual(0)
        expect(share).toBeLessThanOrEqual(1)
        expect(readableShare({ holders, lost: lost + 1, k: 4, n: 8 })).toBeLessThanOrEqual(share + 1e-9)
      }),
    )
  })
})

describe('who is who', () => {
  const members = (count: number): Member[] =>
    rolesOf(count).map((role, index) => ({
      index,
      name: `node-${index}`,
      role,
      home: '',
      node: undefined,
      peer: `peer-${index}`,
    }))
  const cast = (count: number, ways: readonly Way[] = WAYS) =>
    new Cast(members(count), { ways, isTrusting: true, seed: 'x' }, seededRandom('x'))

  it('a third is hostile, of each role, and never the first master', () => {
    for (const count of [16, 20, 50, 100]) {
      const { hostile, honest } = cast(count)
      expect(hostile.length + honest.length).toBe(count)
      expect(hostile.length).toBeGreaterThanOrEqual(Math.floor(count / 3) - 1)
      expect(hostile.length).toBeLessThanOrEqual(Math.ceil(count / 3) + 1)
      expect(honest.some(({ index }) => index === 0)).toBe(true)
    }
    expect(cast(100).hostile).toHaveLength(33)
    expect(cast(100).holders.filter(({ role }) => role === 'leecher')).toEqual([])
  })

  it('hostile peers take turns in the ways that are asked for', () => {
    const mixed = cast(100)
    const filters = cast(100, ['filters'])
    expect(mixed.hostile.some((member) => mixed.isLoser(member))).toBe(true)
    expect(mixed.hostile.every((member) => mixed.isLoser(member))).toBe(false)
    expect(filters.hostile.some((member) => filters.isLoser(member))).toBe(false)
    expect(filters.isHostile(filters.hostile[0]?.peer ?? '')).toBe(true)
    expect(filters.isHostile(filters.honest[0]?.peer ?? '')).toBe(false)
    expect(filters.isHostile('somebody else')).toBeUndefined()
  })
})

const publicKey = new Uint8Array(
  generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
)
const slab = slabIdOf(publicKey)
const open = { publicKey, column: 0, k: 4, n: 8, purpose: 'put' } as unknown as StoreOpen
const held: HeldColumn = { slab, column: 0, indexHash: new Uint8Array(32), untilMs: 1 }
const piece = randomBytes(1_000)
const isFellow = () => undefined

/** Keeps one column; what a test does not ask of it throws. */
function honestHolder(): ChunkHolder {
  const unasked = (): never => {
    throw new Error('nobody asks this')
  }
  return {
    capacity: unasked,
    begin: async () => ({
      beginPiece() {},
      async write() {},
      commit: async () => ({ payload: new Uint8Array(0), signature: new Uint8Array(0) }),
      async abort() {},
    }),
    have: () => [held],
    index: unasked,
    lease: unasked,
    piece: async () => piece,
    prove: async () => ({ leaf: piece, path: [] }),
    renew: unasked,
    remove: unasked,
    tombstone: unasked,
    tombstones: unasked,
    claim: unasked,
    hint: unasked,
    locate: unasked,
  }
}

function acting(way: Way, number = 0): { holder: ChunkHolder; deeds: Deeds } {
  const deeds = { falseBytes: 0, falseAnswers: 0 }
  const own = honestHolder()
  const { replacements } = hostilePeer({ way, number, deeds, isFellow })
  return { holder: replacements.holder?.(own) ?? own, deeds }
}

async function store(holder: ChunkHolder): Promise<void> {
  const draft = await holder.begin(open, 'owner')
  draft.beginPiece(piece.length)
  await draft.write(piece)
  await draft.commit({ payload: new Uint8Array(0), signature: new Uint8Array(0) })
}

describe('hostile peers', () => {
  it('garbage is of the right size and of nothing else', async () => {
    const { holder, deeds } = acting('garbage')
    const got = await holder.piece(slab, 0, { signal: never })
    expect(got).toHaveLength(piece.length)
    expect(got).not.toEqual(piece)
    expect((await holder.prove(slab, 0, 0))?.leaf).not.toEqual(piece)
    expect(deeds).toEqual({ falseBytes: 2 * piece.length, falseAnswers: 2 })
    const nothing: BlockSource = { has: async () => false, get: async () => undefined }
    const { replacements } = hostilePeer({ way: 'garbage', number: 0, deeds, isFellow })
    const blocks = replacements.blocks?.(nothing) ?? nothing
    const cid = CID.createV1(0x55, Digest.create(0x12, randomBytes(32)))
    expect(await blocks.has(cid)).toBe(true)
    expect((await blocks.get(cid, { signal: never }))?.length).toBeGreaterThan(0)
  })

  it('silence takes, says what it holds, and answers nobody who asks for it', async () => {
    const { holder, deeds } = acting('silence')
    await store(holder)
    expect(holder.have([slab])).toEqual([held])
    const leaving = new AbortController()
    const asked = holder.piece(slab, 0, { signal: leaving.signal })
    leaving.abort(new Error('the reader has gone'))
    await expect(asked).rejects.toThrow()
    expect(deeds).toEqual({ falseBytes: 0, falseAnswers: 1 })
  })

  it('dropping throws away what it took, and every other one says so', async () => {
    for (const number of [0, 1]) {
      const { holder, deeds } = acting('dropping', number)
      expect(await holder.piece(slab, 0, { signal: never })).toEqual(piece)
      await store(holder)
      expect(await holder.piece(slab, 0, { signal: never })).toBeUndefined()
      expect(await holder.prove(slab, 0, 0)).toBeUndefined()
      expect(holder.have([slab])).toEqual(number === 0 ? [held] : [])
      expect(deeds.falseAnswers).toBe(number === 0 ? 2 : 3)
    }
  })

  it('a false filter names what was never there, and is itself a block', async () => {
    const deeds = { falseBytes: 0, falseAnswers: 0 }
    const { replacements, claim } = hostilePeer({ way: 'filters', number: 0, deeds, isFellow })
    expect(replacements.holder).toBeUndefined()
    const none: BlockSource = { has: async () => false, get: async () => undefined }
    const blocks = replacements.blocks?.(none) ?? none
    const own = { filter: null } as unknown as Capabilities
    const told = () => replacements.capabilities?.({ own: () => own } as unknown as CapabilitiesInit).own()
    expect(told()).toBe(own)
    const root = CID.createV1(0x55, Digest.create(0x12, randomBytes(32)))
    await claim?.([root], never)
    const filter = told()?.filter
    expect(filter).toBeTruthy()
    const block = await blocks.get(filter?.cid as CID, { signal: never })
    expect(block).toHaveLength(filter?.bytes ?? -1)
    expect((await RootFilter.decode(block ?? new Uint8Array(0))).mayHave(root)).toBe(true)
    expect(await blocks.get(root, { signal: never })).toBeUndefined()
    expect(deeds.falseAnswers).toBe(1)
  })
})

describe('slander', () => {
  it('is made up, told of everybody at once, and heard no more than others', () => {
    const deeds = { falseBytes: 0, falseAnswers: 0 }
    const fellows = new Map([
      ['fellow', true],
      ['honest', false],
    ])
    const { replacements, slander } = hostilePeer({
      way: 'slander',
      number: 0,
      deeds,
      isFellow: (peer) => fellows.get(peer),
    })
    const seen = { honesty: 0.5, reliability: 0.5, evidence: 0, isSetByHand: false }
    let ended = 0
    const own = { seen: () => seen, onSeen: () => () => (ended += 1) } as unknown as TrustService
    const trust = replacements.trust?.(own) ?? own
    expect(trust.seen('fellow')).toMatchObject({ honesty: 1, reliability: 1 })
    expect(trust.seen('honest')).toMatchObject({ honesty: 0, reliability: 0 })
    expect(trust.seen('a stranger')).toBe(seen)
    const told: string[] = []
    const end = trust.onSeen((peer) => told.push(peer))
    slander?.(['fellow', 'honest'])
    expect(told).toEqual(['fellow', 'honest'])
    end()
    slander?.(['fellow'])
    expect(told).toHaveLength(2)
    expect(ended).toBe(1)
    // It drops what it is given, too.
    expect(replacements.holder).toBeDefined()
  })
})

describe('the book', () => {
  it('counts a round, and begins the next one anew', () => {
    const book = new Book()
    const stored = (about: { isLost: boolean; isUnproven: boolean }, purpose: StoreOpen['purpose'] = 'put') =>
      book.column({ ...open, purpose }, about)(10)
    stored({ isLost: true, isUnproven: true })
    stored({ isLost: false, isUnproven: true })
    stored({ isLost: false, isUnproven: false })
    stored({ isLost: false, isUnproven: true }, 'repair')
    // A copy of its owner's own state is no slab of a file.
    book.column({ ...open, k: 1 }, { isLost: false, isUnproven: true })(10)
    // Begun and never kept.
    book.column(open, { isLost: true, isUnproven: true })
    book.deeds.falseBytes += 7
    book.deeds.falseAnswers += 2
    const expected = { columns: 4, lostColumns: 1, mostUnproven: 2, lostBytes: 10, repairedBytes: 10 }
    expect(book.turn()).toEqual({ ...expected, falseBytes: 7, falseAnswers: 2 })
    const nothing = { columns: 0, lostColumns: 0, mostUnproven: 0, lostBytes: 0, repairedBytes: 0 }
    expect(book.turn()).toEqual({ ...nothing, falseBytes: 0, falseAnswers: 0 })
  })
})

describe('what has to hold', () => {
  const all = { attempted: 10, right: 10 }
  const scores = {
    honest: 0.5,
    leastHonest: 0.5,
    hostile: 0.2,
    honestStorage: 0.5,
    hostileStorage: 0.2,
    honestBanned: 0,
    hostileBanned: 3,
  }
  const sample: RoundSample = {
    round: 0,
    atMs: 1,
    reads: all,
    earlyReads: all,
    publicReads: all,
    failedPuts: 0,
    placed: 100,
    placedHostile: 4,
    mostUnproven: 2,
    falseBytes: 0,
    falseAnswers: 0,
    lostBytes: 0,
    repairedBytes: 0,
    scores,
  }
  const report = (rounds: Partial<RoundSample>[], ways: readonly Way[] = ['dropping']) =>
    ({
      ways,
      k: 4,
      n: 8,
      rounds: rounds.map((round) => ({ ...sample, ...round })),
    }) as unknown as HostileReport
  const missed = (rounds: Partial<RoundSample>[], ways?: readonly Way[]) =>
    holdsOf(report(rounds, ways), 1)
      .filter(({ holds }) => !holds)
      .map(({ name }) => name)

  it('looks at what comes after the warm-up, and at placement by the end', () => {
    const bad = { reads: { attempted: 10, right: 0 }, placedHostile: 50, mostUnproven: 8 }
    expect(missed([bad, {}, {}])).toEqual([])
    expect(missed([{}, { reads: { attempted: 10, right: 9 } }, {}])).toHaveLength(1)
    expect(missed([{}, {}, { placedHostile: 10 }])).toEqual(['part of new columns on hostile peers'])
    expect(missed([{}, {}, { placedHostile: 10 }], ['filters'])).toEqual([])
    expect(missed([{}, {}, { mostUnproven: 3 }])).toHaveLength(1)
    expect(missed([{ failedPuts: 2 }, { failedPuts: 1 }, {}])).toEqual([
      'puts and adds after the warm-up that failed',
    ])
    expect(missed([{ scores: { ...scores, honestBanned: 1 } }, {}, {}])).toHaveLength(1)
  })

  it('takes nothing for no proof', () => {
    const none = { attempted: 0, right: 0 }
    expect(missed([{}, { reads: none, publicReads: none }])).toHaveLength(2)
  })

  it('are scores of honest nodes about those they know', () => {
    const trust = {
      peers: () => ({
        peers: [
          { peer: 'good', score: 0.6, storageScore: 0.5, bannedUntilMs: null },
          { peer: 'bad', score: 0.1, storageScore: 0, bannedUntilMs: 5 },
          { peer: 'elsewhere', score: 0, storageScore: 0, bannedUntilMs: 5 },
        ],
      }),
    } as unknown as Parameters<typeof scoresOf>[0][number]
    const isHostile = (peer: string) => (peer === 'elsewhere' ? undefined : peer === 'bad')
    expect(scoresOf([trust, trust], isHostile)).toEqual({
      honest: 0.6,
      leastHonest: 0.6,
      hostile: 0.1,
      honestStorage: 0.5,
      hostileStorage: 0,
      honestBanned: 0,
      hostileBanned: 2,
    })
    expect(scoresOf([], isHostile)).toMatchObject({ honest: null, leastHonest: null, hostile: null })
  })
})
