import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ed25519Signer } from '../../../protocols/chunk/format/index.ts'
import { type SignedStatement, signStatement } from '../../../protocols/swarm/index.ts'
import { MAX_ADMIN_NUMBER } from '../../../protocols/swarm/limits.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { MemberList, peerText } from '../../../src/swarm/list.ts'
import { ownerKey } from '../../../src/swarm/owner-key.ts'
import { type Groups, Pen } from '../../../src/swarm/pen.ts'
import { quietLogger } from '../../support/network.ts'

const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const signers = [10, 11, 12, 13].map((fill) => ed25519Signer(key(fill)))
const [node, admin, peer, stranger] = signers as [
  (typeof signers)[0],
  (typeof signers)[0],
  (typeof signers)[0],
  (typeof signers)[0],
]
const owner = ownerKey(key(1))
const now = (): number => 1_700_000_000_000

let folder: string
let state: StateDatabase
let list: MemberList
/** Of the owner's node. */
let pen: Pen

/** The pen of another node with the same list. */
function penOf(signer: typeof node): Pen {
  const theirs = new MemberList({ state, self: signer.publicKey, log: quietLogger(), now })
  return new Pen({ list: theirs, node: signer, now })
}

async function record(groups: Groups): Promise<SignedStatement[]> {
  const said: SignedStatement[] = []
  for await (const statements of groups) {
    await list.record(statements)
    said.push(...statements)
  }
  return said
}

const standing = (of: typeof node): string | undefined => list.swarm?.roster.standing(of.publicKey)

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-pen-'))
  state = await openState({ path: join(folder, 'state.db'), log: quietLogger() })
  list = new MemberList({ state, self: node.publicKey, log: quietLogger(), now })
  pen = new Pen({ list, node, now })
  expect(pen.role()).toBeUndefined()
  await list.begin(owner.signer.publicKey, [], [])
  expect(pen.role()).toBe('out')
  pen.hold(owner)
  await list.record([pen.write('creating', node.publicKey, 'admin', 'desk')])
  await list.record([pen.write('an invitation', admin.publicKey, 'member', 'second')])
  await record(pen.appoint(admin.publicKey, 'admin'))
})
afterEach(async () => {
  await state.close()
  await rm(folder, { recursive: true, force: true })
})

describe('who may say what', () => {
  it('the owner anything, an admin what is not about admins, a member nothing', async () => {
    expect(pen.role()).toBe('owner')
    const theirs = penOf(admin)
    expect(theirs.role()).toBe('admin')
    const said = theirs.write('an invitation', peer.publicKey, 'member', 'third')
    expect(said).toMatchObject({ number: 1, under: 2, name: 'third' })
    expect(list.learn([said])).toEqual(['taken'])
    for (const refused of [
      () => theirs.write('x', stranger.publicKey, 'admin', ''),
      () => theirs.write('x', node.publicKey, 'out', ''),
      () => theirs.appoint(peer.publicKey, 'admin'),
      () => penOf(peer).write('x', stranger.publicKey, 'member', ''),
      () => penOf(peer).revoke(admin.publicKey, false),
      () => penOf(stranger).revoke(peer.publicKey, false),
    ])
      expect(refused).toThrow(expect.objectContaining({ code: 'ERR_SWARM_POWER', kind: 'denied' }))
    // The key of another swarm's owner is none.
    const impostor = penOf(peer)
    impostor.hold(ownerKey(key(2)))
    expect(impostor.role()).toBe('member')
    expect(impostor.owner).toBeUndefined()
  })

  it('nobody of itself, and nobody of whom is no member', async () => {
    expect(() => pen.revoke(node.publicKey, false)).toThrow(
      expect.objectContaining({ code: 'ERR_SWARM_SELF' }),
    )
    for (const refused of [
      () => pen.revoke(stranger.publicKey, false),
      () => pen.appoint(stranger.publicKey, 'admin'),
    ])
      expect(refused).toThrow(expect.objectContaining({ code: 'ERR_SWARM_MEMBER_UNKNOWN' }))
    expect(await record(pen.appoint(admin.publicKey, 'admin'))).toEqual([])
  })
})

describe('an admin that goes', () => {
  beforeEach(async () => {
    const theirs = penOf(admin)
    list.learn([theirs.write('x', peer.publicKey, 'member', 'third')])
    await list.record([pen.write('x', stranger.publicKey, 'member', 'fourth')])
    for await (const said of penOf(admin).revoke(stranger.publicKey, false)) list.learn(said)
    expect([standing(peer), standing(stranger)]).toEqual(['member', 'out'])
  })

  it('leaves behind what it said, as the word of the owner', async () => {
    const statements = await record(pen.appoint(admin.publicKey, 'member'))
    expect(statements.map(({ standing: as, name }) => [as, name])).toEqual([
      ['member', 'third'],
      ['out', 'fourth'],
      ['member', 'second'],
    ])
    expect([standing(admin), standing(peer), standing(stranger)]).toEqual(['member', 'member', 'out'])
    expect(list.swarm?.roster.rulings().every(({ under }) => under === 0)).toBe(true)
  })

  it('takes with it whom it let in, where that is wanted, with words of those alone of whom others say that they are in', async () => {
    const said = await record(pen.revoke(admin.publicKey, true))
    // Of the third nobody else has spoken: nothing counts of it any more.
    expect(said.map(({ standing: as, name }) => [as, name])).toEqual([
      ['out', 'fourth'],
      ['out', 'second'],
    ])
    expect([standing(admin), standing(peer), standing(stranger)]).toEqual(['out', undefined, 'out'])
    expect(list.admits(peerText(peer.publicKey))).toBe(false)
  })

  it('is not said again where others have said the same', async () => {
    await list.record([pen.write('x', peer.publicKey, 'member', 'third')])
    const theirs = penOf(admin)
    list.learn([theirs.write('x', peer.publicKey, 'member', 'third')])
    const said = await record(pen.revoke(admin.publicKey, false))
    expect(said.map(({ name }) => name)).toEqual(['fourth', 'second'])
    expect(standing(peer)).toBe('member')
  })
})

describe('an admin that counts as far as it can', () => {
  /** As a row that was stored before this was refused, where it is one that nobody takes now. */
  const words = (signer: typeof node, subject: Uint8Array, number: number, under: number): SignedStatement =>
    signStatement(owner.signer.publicKey, signer, {
      subject,
      standing: 'out',
      number,
      under,
      timeMs: 1,
      name: '',
    })
  const stored = async (...statements: SignedStatement[]): Promise<void> => {
    const insert = state.db.prepare('INSERT INTO swarm_statement (id, bytes) VALUES (?, ?)')
    await state.write(() => {
      for (const { id, bytes } of statements) insert.run(id, bytes)
    })
    reopen(node)
  }
  const reopen = (self: typeof node): void => {
    list = new MemberList({ state, self: self.publicKey, log: quietLogger(), now })
    pen = new Pen({ list, node: self, now })
    pen.hold(owner)
  }
  const second = peer

  beforeEach(async () => {
    await list.record([pen.write('x', second.publicKey, 'member', 'third')])
    await record(pen.appoint(second.publicKey, 'admin'))
  })

  it('cannot by a word of itself keep the owner from it', async () => {
    const said = words(admin, admin.publicKey, Number.MAX_SAFE_INTEGER, 2)
    expect(list.learn([said])).toEqual(['refused'])
    await stored(said)
    await record(pen.appoint(admin.publicKey, 'member'))
    await record(pen.appoint(admin.publicKey, 'admin'))
    await record(pen.revoke(admin.publicKey, false))
    expect(standing(admin)).toBe('out')
  })

  it.each([Number.MAX_SAFE_INTEGER, MAX_ADMIN_NUMBER])(
    'cannot together with another, each of the other, keep the owner from either: %i',
    async (number) => {
      const said = [words(admin, second.publicKey, number, 2), words(second, admin.publicKey, number, 2)]
      const outcome = number > MAX_ADMIN_NUMBER ? 'refused' : 'taken'
      expect(list.learn(said)).toEqual([outcome, outcome])
      if (outcome === 'refused') await stored(...said)
      await record(pen.appoint(admin.publicKey, 'member'))
      await record(pen.appoint(admin.publicKey, 'admin'))
      await record(pen.revoke(second.publicKey, false))
      await record(pen.revoke(admin.publicKey, true))
      expect([standing(admin), standing(second)]).toEqual(['out', 'out'])
    },
  )

  it.each([Number.MAX_SAFE_INTEGER, MAX_ADMIN_NUMBER])(
    'cannot keep the owner from coming back on a member: %i',
    async (number) => {
      await list.record([pen.write('x', stranger.publicKey, 'member', 'fourth')])
      const said = words(admin, stranger.publicKey, number, 2)
      if (list.learn([said])[0] === 'refused') await stored(said)
      expect(standing(stranger)).toBe(number > MAX_ADMIN_NUMBER ? 'member' : 'out')
      reopen(stranger)
      await list.record([pen.write('recovering', stranger.publicKey, 'admin', 'fourth')])
      expect(pen.role()).toBe('owner')
      await record(pen.revoke(admin.publicKey, false))
      expect([standing(stranger), standing(admin)]).toEqual(['admin', 'out'])
    },
  )

  it('leaves other admins nothing to say of a peer, and the owner everything', async () => {
    list.learn([words(admin, stranger.publicKey, MAX_ADMIN_NUMBER, 2)])
    expect(() => penOf(second).write('x', stranger.publicKey, 'member', '')).toThrow(
      expect.objectContaining({ code: 'ERR_SWARM_NUMBERS' }),
    )
    await list.record([pen.write('x', stranger.publicKey, 'member', 'back')])
    expect(standing(stranger)).toBe('member')
    await list.record([pen.write('x', stranger.publicKey, 'out', 'back')])
    await record(pen.revoke(admin.publicKey, false))
    expect(standing(stranger)).toBe('out')
  })
})
