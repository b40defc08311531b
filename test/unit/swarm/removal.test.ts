import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ed25519Signer } from '../../../protocols/chunk/format/index.ts'
import { type SignedStatement, type Standing, signStatement } from '../../../protocols/swarm/index.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { MAX_STATEMENTS, OWNER_RESERVE, STATEMENTS_AT_ONCE } from '../../../src/swarm/limits.ts'
import { MemberList } from '../../../src/swarm/list.ts'
import { type OwnerKey, ownerKey } from '../../../src/swarm/owner-key.ts'
import { firstWord, Pen } from '../../../src/swarm/pen.ts'
import { quietLogger } from '../../support/network.ts'

const signerOf = (fill: number) => ed25519Signer(new Uint8Array(32).fill(fill))
const [node, admin] = [signerOf(10), signerOf(11)]
const owner = ownerKey(new Uint8Array(32).fill(1))
const now = (): number => 1_700_000_000_000

/** Peers of whom the admin has spoken: all that there is room for. */
const FILLED = MAX_STATEMENTS - OWNER_RESERVE
/** Of so many of them the owner has said before that they are members. */
const KNOWN_BEFORE = 600

let folder: string
let state: StateDatabase
let list: MemberList
let signatures: { total: number; sinceTurn: number; mostInTurn: number }

function subjectOf(index: number): Uint8Array {
  const key = Buffer.alloc(32)
  key.writeUInt32BE(index + 1)
  return key
}

function words(
  signer: typeof node,
  standing: Standing,
  from: number,
  to: number,
  under: number,
): SignedStatement[] {
  // Signatures are checked before words come to a list, so that these may do without.
  const quick = { publicKey: signer.publicKey, sign: () => new Uint8Array(64) }
  return Array.from({ length: to - from }, (_, index) =>
    signStatement(owner.signer.publicKey, quick, {
      subject: subjectOf(from + index),
      standing,
      number: under === 0 ? 1 : 2,
      under,
      timeMs: 1,
      name: '',
    }),
  )
}

/** The owner's key, with a count of what it signs in one turn of the event loop. */
function countedOwner(): OwnerKey {
  const { seed, signer } = owner
  const sign = (bytes: Uint8Array): Uint8Array => {
    signatures.total += 1
    signatures.sinceTurn += 1
    signatures.mostInTurn = Math.max(signatures.mostInTurn, signatures.sinceTurn)
    return signer.sign(bytes)
  }
  return { seed, signer: { publicKey: signer.publicKey, sign } }
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-removal-'))
  state = await openState({ path: join(folder, 'state.db'), log: quietLogger() })
  list = new MemberList({ state, self: node.publicKey, log: quietLogger(), now })
  const first = firstWord(owner, node.publicKey, 'desk', now())
  await list.begin(owner.signer.publicKey, [first, firstWord(owner, admin.publicKey, 'bad', now())], [])
  list.learn(words(owner.signer, 'member', 0, KNOWN_BEFORE, 0))
  const half = FILLED / 2
  list.learn(words(admin, 'out', 0, KNOWN_BEFORE / 2, 1))
  list.learn(words(admin, 'member', KNOWN_BEFORE / 2, half, 1))
  list.learn(words(admin, 'out', half, FILLED, 1))
  expect(list.swarm?.roster.size).toBe(FILLED)
  // The owner's reserve is used up as well.
  list.learn(words(owner.signer, 'member', FILLED, MAX_STATEMENTS, 0))
  expect(list.swarm?.roster.size).toBe(MAX_STATEMENTS)
  signatures = { total: 0, sinceTurn: 0, mostInTurn: 0 }
})
afterEach(async () => {
  await state.close()
  await rm(folder, { recursive: true, force: true })
})

/** Writes what the owner says, while other work of the event loop goes on. */
async function revoke(withInvited: boolean): Promise<void> {
  const pen = new Pen({ list, node, now })
  pen.hold(countedOwner())
  let isOver = false
  const turn = (): void => {
    signatures.sinceTurn = 0
    if (!isOver) setImmediate(turn)
  }
  turn()
  for await (const statements of pen.revoke(admin.publicKey, withInvited)) await list.record(statements)
  isOver = true
}

const reopened = (): MemberList => new MemberList({ state, self: node.publicKey, log: quietLogger(), now })

describe('an admin that has filled the list', () => {
  it('is put out, and the owner says in its place what is to stay', { timeout: 120_000 }, async () => {
    await revoke(false)
    const { roster } = list.swarm!
    expect(roster.standing(admin.publicKey)).toBe('out')
    expect(roster.rulings().every(({ signer }) => Buffer.compare(signer, owner.signer.publicKey) === 0)).toBe(
      true,
    )
    expect(roster.standing(subjectOf(0))).toBe('out')
    for (const index of [KNOWN_BEFORE / 2, KNOWN_BEFORE, FILLED / 2 - 1])
      expect(roster.standing(subjectOf(index))).toBe('member')
    expect(roster.standing(subjectOf(FILLED / 2))).toBe('out')
    expect(roster.size).toBeLessThanOrEqual(MAX_STATEMENTS)
    expect(signatures.total).toBeGreaterThan(9_000)
    expect(signatures.mostInTurn).toBeLessThanOrEqual(STATEMENTS_AT_ONCE)
    expect(reopened().swarm?.roster.ids(undefined, MAX_STATEMENTS)).toEqual(
      roster.ids(undefined, MAX_STATEMENTS),
    )
  })

  it('is put out with whom it let in, by words of those alone whom somebody else lets in', {
    timeout: 120_000,
  }, async () => {
    await revoke(true)
    const { roster } = list.swarm!
    expect(roster.standing(admin.publicKey)).toBe('out')
    for (const index of [0, KNOWN_BEFORE / 2, KNOWN_BEFORE - 1])
      expect(roster.standing(subjectOf(index))).toBe('out')
    for (const index of [KNOWN_BEFORE, FILLED / 2, FILLED - 700])
      expect(roster.standing(subjectOf(index))).toBeUndefined()
    // One word of each whom the owner has let in before, and that of the admin.
    expect(signatures.total).toBe(KNOWN_BEFORE + 1)
    expect(signatures.mostInTurn).toBeLessThanOrEqual(STATEMENTS_AT_ONCE)
    expect(reopened().swarm?.roster.ids(undefined, MAX_STATEMENTS)).toEqual(
      roster.ids(undefined, MAX_STATEMENTS),
    )
  })

  it('is put out where it was cut off before, once it is begun again', { timeout: 120_000 }, async () => {
    const pen = new Pen({ list, node, now })
    pen.hold(owner)
    for await (const statements of pen.revoke(admin.publicKey, false)) {
      await list.record(statements)
      break
    }
    expect(list.swarm?.roster.standing(admin.publicKey)).toBe('admin')
    list = reopened()
    await revoke(false)
    expect(list.swarm?.roster.standing(admin.publicKey)).toBe('out')
    expect(list.swarm?.roster.standing(subjectOf(KNOWN_BEFORE))).toBe('member')
  })
})

describe('a node whose list an admin has filled', () => {
  it('takes what the owner says in its place in whatever order it comes', { timeout: 120_000 }, async () => {
    const other = await openState({ path: join(folder, 'other.db'), log: quietLogger() })
    try {
      const all = list.swarm!.roster.ids(undefined, MAX_STATEMENTS).map((id) => list.swarm!.roster.get(id)!)
      const theirs = new MemberList({ state: other, self: node.publicKey, log: quietLogger(), now })
      await theirs.begin(owner.signer.publicKey, all, [])
      await revoke(false)
      const { roster } = list.swarm!
      const said = roster.ids(undefined, MAX_STATEMENTS).map((id) => roster.get(id)!)
      const isLast = ({ subject }: SignedStatement): boolean => Buffer.compare(subject, admin.publicKey) === 0
      // The word that frees its rows comes last.
      expect(theirs.learn(said.filter((one) => !isLast(one)))).not.toContain('refused')
      expect(theirs.learn(said.filter(isLast))).toEqual(['taken'])
      expect(theirs.swarm!.roster.ids(undefined, MAX_STATEMENTS)).toEqual(
        roster.ids(undefined, MAX_STATEMENTS),
      )
    } finally {
      await other.close()
    }
  })
})
