import { hash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ed25519Signer } from '../../../protocols/chunk/format/index.ts'
import { Status } from '../../../protocols/shared/status.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { lonelyAdmitter } from '../../support/admitter.ts'
import { MemberList, peerText } from '../../../src/swarm/list.ts'
import { ownerKey } from '../../../src/swarm/owner-key.ts'
import { firstWord, Pen } from '../../../src/swarm/pen.ts'
import { quietLogger } from '../../support/network.ts'

const signerOf = (fill: number) => ed25519Signer(new Uint8Array(32).fill(fill))
const [node, admin, peer, guest] = [signerOf(10), signerOf(11), signerOf(12), signerOf(13)]
const owner = ownerKey(new Uint8Array(32).fill(1))
const now = (): number => 1_700_000_000_000

let folder: string
let state: StateDatabase
let list: MemberList
let pen: Pen

function open(): void {
  list = new MemberList({ state, self: node.publicKey, log: quietLogger(), now })
  pen = new Pen({ list, node, now })
  pen.hold(owner)
}

/** What the list is in memory, and what a node that starts now finds on disk. */
const inMemory = (): Uint8Array[] | undefined => list.swarm?.roster.ids(undefined, 1_000)
const onDisk = (): Uint8Array[] | undefined =>
  new MemberList({ state, self: node.publicKey, log: quietLogger(), now }).swarm?.roster.ids(undefined, 1_000)

async function record(subject: Uint8Array): Promise<void> {
  for await (const statements of pen.revoke(subject, false)) await list.record(statements)
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-durable-'))
  state = await openState({ path: join(folder, 'state.db'), log: quietLogger() })
  open()
  const first = [node, admin].map(({ publicKey }) => firstWord(owner, publicKey, '', now()))
  await list.begin(owner.signer.publicKey, first, [])
  await list.record([pen.write('x', peer.publicKey, 'member', 'third')])
})
afterEach(async () => {
  await state.close()
  await rm(folder, { recursive: true, force: true })
})

/** Until `mend`, the disk takes no statement. */
function breakDisk(): void {
  state.db.exec(`CREATE TRIGGER broken BEFORE INSERT ON swarm_statement
    BEGIN SELECT RAISE(ABORT, 'the disk is broken'); END`)
}
const mend = (): void => void state.db.exec('DROP TRIGGER broken')

describe('a change that the disk does not take', () => {
  it('of the operator is not there either, and can be tried again', async () => {
    const before = inMemory()
    const version = list.version
    breakDisk()
    await expect(record(peer.publicKey)).rejects.toThrow('broken')
    expect(list.swarm?.roster.standing(peer.publicKey)).toBe('member')
    expect(list.admits(peerText(peer.publicKey))).toBe(true)
    expect(inMemory()).toEqual(before)
    expect(onDisk()).toEqual(before)
    // Whoever compared lists meanwhile compares them again.
    expect(list.version).not.toBe(version)
    mend()
    await record(peer.publicKey)
    expect(list.admits(peerText(peer.publicKey))).toBe(false)
    expect(onDisk()).toEqual(inMemory())
    open()
    expect(list.admits(peerText(peer.publicKey))).toBe(false)
  })

  it('of an admin that goes keeps its words and its appointment', async () => {
    const said = new Pen({
      list: new MemberList({ state, self: admin.publicKey, log: quietLogger(), now }),
      node: admin,
      now,
    }).write('x', guest.publicKey, 'member', 'fourth')
    list.learn([said])
    const before = inMemory()
    breakDisk()
    await expect(record(admin.publicKey)).rejects.toThrow('broken')
    // The last word alone, which makes the others void.
    await expect(list.record([pen.write('x', admin.publicKey, 'out', '')])).rejects.toThrow('broken')
    expect(inMemory()).toEqual(before)
    expect(onDisk()).toEqual(before)
    expect(list.swarm?.roster.appointment(admin.publicKey)).toBe(1)
    mend()
    await record(admin.publicKey)
    open()
    expect(list.swarm?.roster.standing(guest.publicKey)).toBe('member')
    expect(list.swarm?.roster.standing(admin.publicKey)).toBe('out')
  })

  it('of several words leaves none of them', async () => {
    const before = inMemory()
    const statements = [guest.publicKey, peer.publicKey].map((subject) => pen.write('x', subject, 'out', ''))
    // The second is an older word than what is held.
    const old = firstWord(owner, node.publicKey, 'older', now())
    await list.record([pen.write('x', node.publicKey, 'admin', 'newer')])
    const between = inMemory()
    await expect(list.record([...statements, old])).rejects.toMatchObject({ code: 'ERR_SWARM_FULL' })
    expect(inMemory()).toEqual(between)
    expect(onDisk()).toEqual(between)
    expect(between).not.toEqual(before)
  })

  it('that others brought is not there, and is taken when they bring it again', () => {
    const said = pen.write('x', peer.publicKey, 'out', '')
    let changes = 0
    list.onChange(() => (changes += 1))
    breakDisk()
    expect(() => list.learn([said])).toThrow('broken')
    expect(list.admits(peerText(peer.publicKey))).toBe(true)
    expect(onDisk()).toEqual(inMemory())
    mend()
    expect(list.learn([said])).toEqual(['taken'])
    expect(changes).toBe(1)
    open()
    expect(list.admits(peerText(peer.publicKey))).toBe(false)
  })

  it('leaves the node without a swarm, or in the one it was in', async () => {
    const before = inMemory()
    breakDisk()
    const other = ownerKey(new Uint8Array(32).fill(2))
    await expect(
      list.begin(other.signer.publicKey, [firstWord(other, node.publicKey, '', now())], []),
    ).rejects.toThrow('broken')
    expect(list.swarm?.key).toEqual(owner.signer.publicKey)
    expect(inMemory()).toEqual(before)
    expect(onDisk()).toEqual(before)
  })
})

describe('a guest', () => {
  it('whose first knock could not be written is a member once a second one is answered', async () => {
    const secret = new Uint8Array(16).fill(5)
    const signal = AbortSignal.timeout(10_000)
    const admit = lonelyAdmitter({ list, pen, now })
    const digest = hash('sha256', secret, 'buffer')
    const row = {
      id: 'one',
      digest,
      name: '',
      standing: 'member' as const,
      created_ms: now(),
      expires_ms: now() + 1,
    }
    await list.record([], () => list.store.addInvitation(row, 10))
    breakDisk()
    expect(await admit(guest.publicKey, { secret, name: 'lathe' }, signal)).toMatchObject({
      status: Status.failed,
    })
    expect(list.swarm?.roster.standing(guest.publicKey)).toBeUndefined()
    expect(list.store.invitation(digest)?.used_by).toBeNull()
    mend()
    const answer = await admit(guest.publicKey, { secret, name: 'lathe' }, signal)
    expect(answer).toMatchObject({ status: Status.ok, welcome: { statements: [{ name: 'lathe' }, {}, {}] } })
    open()
    expect(list.admits(peerText(guest.publicKey))).toBe(true)
    expect(onDisk()).toEqual(inMemory())
  })
})
