import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ed25519Signer } from '../../../protocols/chunk/format/index.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { MemberList } from '../../../src/swarm/list.ts'
import { ownerKey } from '../../../src/swarm/owner-key.ts'
import { Pen } from '../../../src/swarm/pen.ts'
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
  await list.record(pen.appoint(admin.publicKey, 'admin'))
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

  it('nobody of itself, and nobody of whom is no member', () => {
    expect(() => pen.revoke(node.publicKey, false)).toThrow(
      expect.objectContaining({ code: 'ERR_SWARM_SELF' }),
    )
    for (const refused of [
      () => pen.revoke(stranger.publicKey, false),
      () => pen.appoint(stranger.publicKey, 'admin'),
    ])
      expect(refused).toThrow(expect.objectContaining({ code: 'ERR_SWARM_MEMBER_UNKNOWN' }))
    expect(pen.appoint(admin.publicKey, 'admin')).toEqual([])
  })
})

describe('an admin that goes', () => {
  beforeEach(async () => {
    const theirs = penOf(admin)
    list.learn([theirs.write('x', peer.publicKey, 'member', 'third')])
    await list.record([pen.write('x', stranger.publicKey, 'member', 'fourth')])
    list.learn([penOf(admin).revoke(stranger.publicKey, false)].flat())
    expect([standing(peer), standing(stranger)]).toEqual(['member', 'out'])
  })

  it('leaves behind what it said, as the word of the owner', async () => {
    const statements = pen.appoint(admin.publicKey, 'member')
    expect(statements.map(({ standing: as, name }) => [as, name])).toEqual([
      ['member', 'third'],
      ['out', 'fourth'],
      ['member', 'second'],
    ])
    await list.record(statements)
    expect([standing(admin), standing(peer), standing(stranger)]).toEqual(['member', 'member', 'out'])
    expect(list.swarm?.roster.rulings().every(({ under }) => under === 0)).toBe(true)
  })

  it('takes with it whom it let in, where that is wanted', async () => {
    await list.record(pen.revoke(admin.publicKey, true))
    expect([standing(admin), standing(peer), standing(stranger)]).toEqual(['out', 'out', 'out'])
  })

  it('that used up the numbers of a peer does not keep the owner from it', async () => {
    const { signStatement } = await import('../../../protocols/swarm/index.ts')
    const spent = signStatement(owner.signer.publicKey, admin, {
      subject: peer.publicKey,
      standing: 'out',
      number: Number.MAX_SAFE_INTEGER,
      under: 2,
      timeMs: 1,
      name: '',
    })
    expect(list.learn([spent])).toEqual(['taken'])
    expect(() => pen.write('x', peer.publicKey, 'member', '')).toThrow(
      expect.objectContaining({ code: 'ERR_SWARM_NUMBERS' }),
    )
    await list.record(pen.revoke(admin.publicKey, false))
    await list.record([pen.write('x', peer.publicKey, 'member', 'back')])
    expect(standing(peer)).toBe('member')
  })
})
