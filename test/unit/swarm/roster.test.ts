import { hash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ed25519Signer } from '../../../protocols/chunk/format/index.ts'
import { type SignedStatement, type Standing, signStatement } from '../../../protocols/swarm/index.ts'
import { MAX_ADMIN_NUMBER } from '../../../protocols/swarm/limits.ts'
import { MAX_STATEMENTS, MAX_WAITING, OWNER_RESERVE } from '../../../src/swarm/limits.ts'
import { Roster } from '../../../src/swarm/roster.ts'
import { SortedIds } from '../../../src/swarm/sorted-ids.ts'

const signerOf = (fill: number) => ed25519Signer(new Uint8Array(32).fill(fill))
const owner = signerOf(1)
const admin = signerOf(2)
const other = signerOf(3)
const peer = signerOf(10).publicKey
const peer2 = signerOf(11).publicKey

type Said = { about: Uint8Array; as: Standing; number: number; under?: number; name?: string }

function say(signer: typeof owner, { about, as, number, under = 0, name = '' }: Said): SignedStatement {
  return signStatement(owner.publicKey, signer, {
    subject: about,
    standing: as,
    number,
    under,
    timeMs: 1_700_000_000_000,
    name,
  })
}

function rosterOf(...statements: SignedStatement[]): Roster {
  const roster = new Roster(owner.publicKey)
  for (const statement of statements) roster.take(statement)
  return roster
}

const appointed = say(owner, { about: admin.publicKey, as: 'admin', number: 1 })

describe('the member list', () => {
  it('holds the latest word of the owner', () => {
    const roster = rosterOf(say(owner, { about: peer, as: 'member', number: 1 }))
    expect(roster.standing(peer)).toBe('member')
    expect(roster.take(say(owner, { about: peer, as: 'out', number: 2 })).outcome).toBe('taken')
    expect(roster.standing(peer)).toBe('out')
    // Replayed.
    expect(roster.take(say(owner, { about: peer, as: 'member', number: 1 })).outcome).toBe('refused')
    expect(roster.standing(peer)).toBe('out')
    expect(roster.take(say(owner, { about: peer, as: 'out', number: 2 })).outcome).toBe('known')
    expect(roster.size).toBe(1)
    expect(roster.version()).toBe(2)
    expect(roster.standing(peer2)).toBeUndefined()
  })

  it('takes the word of an admin under its appointment, and of nobody else', () => {
    const admitted = say(admin, { about: peer, as: 'member', number: 1, under: 1 })
    expect(rosterOf(admitted).standing(peer)).toBeUndefined()
    expect(rosterOf(appointed, admitted).standing(peer)).toBe('member')
    expect(
      rosterOf(appointed, say(other, { about: peer, as: 'member', number: 1, under: 1 })).standing(peer),
    ).toBeUndefined()
    // Under an appointment that was never made.
    expect(
      rosterOf(appointed, say(admin, { about: peer, as: 'member', number: 1, under: 2 })).standing(peer),
    ).toBeUndefined()
  })

  it('lets an admin say nothing of an admin', () => {
    const roster = rosterOf(
      appointed,
      say(owner, { about: other.publicKey, as: 'admin', number: 1 }),
      say(admin, { about: other.publicKey, as: 'out', number: 9, under: 1 }),
    )
    expect(roster.standing(other.publicKey)).toBe('admin')
    roster.take(say(owner, { about: other.publicKey, as: 'member', number: 2 }))
    expect(roster.standing(other.publicKey)).toBe('out')
  })

  it('forgets what an admin said when its appointment ends, for good', () => {
    const roster = rosterOf(appointed, say(admin, { about: peer, as: 'member', number: 5, under: 1 }))
    const ended = roster.take(say(owner, { about: admin.publicKey, as: 'out', number: 2 }))
    expect(ended.removed).toHaveLength(2)
    expect(roster.standing(peer)).toBeUndefined()
    roster.take(say(owner, { about: admin.publicKey, as: 'admin', number: 3 }))
    expect(roster.standing(peer)).toBeUndefined()
    expect(roster.take(say(admin, { about: peer, as: 'member', number: 9, under: 1 })).outcome).toBe(
      'refused',
    )
    expect(roster.take(say(admin, { about: peer, as: 'member', number: 1, under: 3 })).outcome).toBe('taken')
  })

  it('keeps what comes before the appointment for when it comes, within a bound', () => {
    const roster = rosterOf(say(admin, { about: peer, as: 'member', number: 1, under: 1 }))
    expect(roster.size).toBe(0)
    expect(roster.take(appointed)).toMatchObject({ outcome: 'taken', added: [{}, {}] })
    expect(roster.standing(peer)).toBe('member')

    // One under a later appointment waits on.
    const early = rosterOf(say(admin, { about: peer, as: 'member', number: 1, under: 3 }), appointed)
    expect(early.standing(peer)).toBeUndefined()
    early.take(say(owner, { about: admin.publicKey, as: 'admin', number: 3 }))
    expect(early.standing(peer)).toBe('member')

    const flooded = rosterOf(say(admin, { about: peer, as: 'member', number: 1, under: 1 }))
    for (let number = 1; number <= MAX_WAITING; number += 1)
      flooded.take(say(other, { about: peer, as: 'member', number, under: 1 }))
    flooded.take(appointed)
    expect(flooded.standing(peer)).toBeUndefined()
  })

  it('prefers the stricter of two words of the same number, then the owner', () => {
    const member = say(admin, { about: peer, as: 'member', number: 4, under: 1 })
    const out = say(owner, { about: peer, as: 'out', number: 4 })
    const ownMember = say(owner, { about: peer, as: 'member', number: 4, name: 'by the owner' })
    expect(rosterOf(appointed, member, out).standing(peer)).toBe('out')
    expect(rosterOf(appointed, member, ownMember).ruling(peer)?.name).toBe('by the owner')
  })

  it('numbers the next word, with and without what is about to be void', () => {
    const roster = rosterOf(
      appointed,
      say(owner, { about: peer, as: 'member', number: 2 }),
      say(admin, { about: peer, as: 'out', number: MAX_ADMIN_NUMBER, under: 1 }),
    )
    expect(roster.nextNumber(peer, 'admin')).toBeUndefined()
    expect(roster.nextNumber(peer, 'owner')).toBe(MAX_ADMIN_NUMBER + 1)
    expect(roster.nextNumber(peer, 'owner', admin.publicKey)).toBe(3)
    expect(roster.nextNumber(peer2, 'admin')).toBe(1)
    roster.take(say(owner, { about: peer, as: 'out', number: Number.MAX_SAFE_INTEGER }))
    expect(roster.nextNumber(peer, 'owner')).toBeUndefined()
    expect(roster.version()).toBe(Number.MAX_SAFE_INTEGER)
  })

  it('takes no word of an admin that no admin may say, wherever it comes from, and does not keep it for later either', () => {
    const forbidden = [
      say(admin, { about: admin.publicKey, as: 'out', number: 1, under: 1 }),
      say(admin, { about: peer, as: 'admin', number: 1, under: 1 }),
      say(admin, { about: peer, as: 'out', number: MAX_ADMIN_NUMBER + 1, under: 1 }),
    ]
    for (const statement of forbidden) {
      expect(rosterOf(appointed).take(statement).outcome).toBe('refused')
      expect(rosterOf(statement).take(appointed).added).toHaveLength(1)
    }
  })

  it('says who is out by a word', () => {
    const roster = rosterOf(appointed)
    const out = (statement: SignedStatement) => roster.take(statement).out.map((key) => Buffer.from(key))
    expect(out(say(admin, { about: peer, as: 'member', number: 1, under: 1 }))).toEqual([])
    expect(out(say(admin, { about: peer2, as: 'member', number: 1, under: 1 }))).toEqual([])
    expect(out(say(admin, { about: peer, as: 'out', number: 2, under: 1 }))).toEqual([Buffer.from(peer)])
    expect(out(say(other, { about: peer2, as: 'out', number: 2, under: 1 }))).toEqual([])
    // Whom it let in goes with it; whom it put out was out.
    expect(out(say(owner, { about: admin.publicKey, as: 'out', number: 2 }))).toEqual(
      [peer2, admin.publicKey].map((key) => Buffer.from(key)),
    )
  })

  it('lets the owner speak of whom an admin has spoken, however full it is', () => {
    const roster = rosterOf(appointed)
    const about = (index: number): Uint8Array => {
      const key = Buffer.alloc(32)
      key.writeUInt32BE(index + 1)
      return key
    }
    const word = (signer: Uint8Array, index: number, under: number): SignedStatement => ({
      subject: about(index),
      signer,
      standing: 'member',
      number: 1,
      under,
      timeMs: 1,
      name: '',
      bytes: new Uint8Array(),
      id: hash('sha256', Buffer.concat([signer, about(index)]), 'buffer'),
    })
    const ofAdmins = MAX_STATEMENTS - OWNER_RESERVE
    for (let index = 0; index < ofAdmins - 1; index += 1)
      expect(roster.take(word(admin.publicKey, index, 1)).outcome).toBe('taken')
    expect(roster.take(word(admin.publicKey, ofAdmins, 1)).outcome).toBe('refused')
    for (let index = ofAdmins; index < MAX_STATEMENTS; index += 1)
      expect(roster.take(word(owner.publicKey, index, 0)).outcome).toBe('taken')
    expect(roster.size).toBe(MAX_STATEMENTS)
    expect(roster.take(word(owner.publicKey, MAX_STATEMENTS, 0)).outcome).toBe('refused')
    for (let index = 0; index < ofAdmins - 1; index += 1)
      expect(roster.take(word(owner.publicKey, index, 0)).outcome).toBe('taken')
    roster.take(say(owner, { about: admin.publicKey, as: 'out', number: 2 }))
    expect(roster.size).toBe(MAX_STATEMENTS)
  })

  const standing = fc.constantFrom<Standing>('member', 'admin', 'out')
  const subject = fc.constantFrom(peer, peer2, admin.publicKey, other.publicKey)
  const word = fc.oneof(
    fc.record({
      signer: fc.constant(owner),
      about: subject,
      as: standing,
      number: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({
      signer: fc.constantFrom(admin, other),
      about: subject,
      as: fc.constantFrom<Standing>('member', 'out'),
      number: fc.oneof(
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(MAX_ADMIN_NUMBER, MAX_ADMIN_NUMBER + 1, Number.MAX_SAFE_INTEGER),
      ),
      under: fc.integer({ min: 1, max: 4 }),
    }),
  )

  it('is the same whatever the order in which the words come', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), fc.infiniteStream(fc.nat(1_000)), (words, order) => {
        const statements = words.map(({ signer, ...said }) => say(signer, said))
        const shuffled = statements
          .map((statement) => ({ statement, at: order.next().value ?? 0 }))
          .toSorted((a, b) => a.at - b.at)
          .map(({ statement }) => statement)
        const [one, two] = [rosterOf(...statements), rosterOf(...shuffled)]
        expect(two.ids(undefined, 100)).toEqual(one.ids(undefined, 100))
        expect(two.version()).toBe(one.version())
        for (const key of [peer, peer2, admin.publicKey, other.publicKey])
          expect(two.standing(key)).toBe(one.standing(key))
      }),
    )
  })

  it('is as before where what it took is taken back', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), fc.array(word, { maxLength: 8 }), (words, more) => {
        const known = words.map(({ signer, ...said }) => say(signer, said))
        const [roster, expected] = [rosterOf(...known), rosterOf(...known)]
        const before = roster.changes
        const changes = more.map(({ signer, ...said }) => roster.take(say(signer, said)))
        const isChanged = roster.changes !== before
        const after = roster.changes
        roster.undo(changes)
        expect(roster.ids(undefined, 100)).toEqual(expected.ids(undefined, 100))
        expect(roster.size).toBe(expected.size)
        expect(
          roster
            .rulings()
            .map(({ id }) => Buffer.from(id).toString('hex'))
            .toSorted(),
        ).toEqual(
          expected
            .rulings()
            .map(({ id }) => Buffer.from(id).toString('hex'))
            .toSorted(),
        )
        for (const key of [peer, peer2, admin.publicKey, other.publicKey]) {
          expect(roster.nextNumber(key, 'owner')).toBe(expected.nextNumber(key, 'owner'))
          expect(roster.appointment(key)).toBe(expected.appointment(key))
        }
        // Whoever remembers a version finds another one.
        if (isChanged) expect(roster.changes).toBeGreaterThan(after)
      }),
    )
  })

  it('comes to the same on two nodes that exchange what each lacks', () => {
    const all = [
      appointed,
      say(admin, { about: peer, as: 'member', number: 1, under: 1 }),
      say(owner, { about: peer, as: 'out', number: 2 }),
      say(admin, { about: peer2, as: 'member', number: 1, under: 1 }),
      say(owner, { about: admin.publicKey, as: 'admin', number: 4 }),
      say(admin, { about: peer2, as: 'out', number: 2, under: 4 }),
    ]
    fc.assert(
      fc.property(fc.subarray(all), fc.subarray(all), (known, knownElsewhere) => {
        const [here, there] = [rosterOf(...known), rosterOf(...knownElsewhere)]
        for (let round = 0; round < 3; round += 1) {
          for (const id of there.ids(undefined, 100)) here.take(there.get(id)!)
          for (const id of here.ids(undefined, 100)) there.take(here.get(id)!)
        }
        expect(there.ids(undefined, 100)).toEqual(here.ids(undefined, 100))
      }),
    )
  })
})

describe('sorted ids', () => {
  it('are given in pages in the order of their bytes', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.uint8Array({ minLength: 4, maxLength: 4 }), {
          selector: (id) => Buffer.from(id).toString('hex'),
          maxLength: 60,
        }),
        fc.integer({ min: 1, max: 7 }),
        fc.nat(59),
        (all, limit, gone) => {
          const ids = new SortedIds()
          for (const id of all) ids.add(id)
          const removed = all[gone % Math.max(1, all.length)]
          if (removed !== undefined) ids.delete([removed])
          ids.delete([new Uint8Array(3)])
          const found: Uint8Array[] = []
          for (let page = ids.page(undefined, limit); page.length > 0; page = ids.page(found.at(-1), limit))
            found.push(...page)
          expect(found).toEqual(all.filter((id) => id !== removed).toSorted((a, b) => Buffer.compare(a, b)))
        },
      ),
    )
  })

  it('go many at a time', () => {
    const all = Array.from({ length: 300 }, (_, index) => Buffer.from([index >> 8, index & 255]))
    const ids = new SortedIds()
    for (const id of all.toReversed()) ids.add(id)
    // Others of the same bytes.
    ids.delete(all.slice(100).map((id) => Uint8Array.from(id)))
    expect(ids.page(undefined, 1_000)).toEqual(all.slice(0, 100))
  })
})
