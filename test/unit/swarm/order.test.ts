import { hash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ed25519Signer } from '../../../protocols/chunk/format/index.ts'
import { Status } from '../../../protocols/shared/status.ts'
import { type Admit, type Standing, signStatement } from '../../../protocols/swarm/index.ts'
import { openState } from '../../../src/storage/state/index.ts'
import { MIGRATIONS } from '../../../src/storage/state/migrations.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { lonelyAdmitter } from '../../support/admitter.ts'
import { MemberList } from '../../../src/swarm/list.ts'
import { ownerKey } from '../../../src/swarm/owner-key.ts'
import { firstWord, Pen } from '../../../src/swarm/pen.ts'
import { quietLogger } from '../../support/network.ts'

const signerOf = (fill: number) => ed25519Signer(new Uint8Array(32).fill(fill))
const [node, admin, guest, other] = [signerOf(10), signerOf(11), signerOf(12), signerOf(13)]
const owner = ownerKey(new Uint8Array(32).fill(1))
const NOW_MS = 1_700_000_000_000
const MINUTE_MS = 60_000
const YEAR_MS = 365 * 86_400_000
const LONG_MS = 30 * 86_400_000

let folder: string
let state: StateDatabase
let list: MemberList
let pen: Pen
let admit: Admit
/** This node's clock. */
let clock: { nowMs: number }

function open(): void {
  const now = (): number => clock.nowMs
  list = new MemberList({ state, self: node.publicKey, log: quietLogger(), now })
  pen = new Pen({ list, node, now })
  pen.hold(owner)
  admit = lonelyAdmitter({ list, pen, now })
}

const secretOf = (fill: number): Uint8Array => new Uint8Array(16).fill(fill)

async function invite(fill: number): Promise<void> {
  const digest = hash('sha256', secretOf(fill), 'buffer')
  const expires_ms = clock.nowMs + LONG_MS
  const row = {
    id: `${fill}`,
    digest,
    name: '',
    standing: 'member' as const,
    created_ms: clock.nowMs,
    expires_ms,
  }
  await list.record([], () => list.store.addInvitation(row, 10))
}

const knock = async (fill: number, who = guest): Promise<number> =>
  (await admit(who.publicKey, { secret: secretOf(fill), name: '' }, AbortSignal.timeout(10_000))).status

/** Another node's word, by its clock. */
const say = (
  signer: typeof admin,
  standing: Standing,
  number: number,
  timeMs: number,
  subject = guest.publicKey,
) =>
  signStatement(owner.signer.publicKey, signer, {
    subject,
    standing,
    number,
    under: signer === owner.signer ? 0 : 1,
    timeMs,
    name: '',
  })

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-order-'))
  state = await openState({ path: join(folder, 'state.db'), log: quietLogger() })
  clock = { nowMs: NOW_MS }
  open()
  const first = [node, admin].map(({ publicKey }) => firstWord(owner, publicKey, '', NOW_MS))
  await list.begin(owner.signer.publicKey, [...first, say(owner.signer, 'member', 1, NOW_MS)], [])
})
afterEach(async () => {
  await state.close()
  await rm(folder, { recursive: true, force: true })
})

describe('an invitation and a revocation', () => {
  it.each([-YEAR_MS, -10 * MINUTE_MS, 0, 10 * MINUTE_MS, YEAR_MS])(
    "are before and after each other as this node has them, whatever the revoker's clock: %i ms off",
    async (offMs) => {
      await invite(1)
      expect(list.learn([say(admin, 'out', 2, NOW_MS + offMs)])).toEqual(['taken'])
      await invite(2)
      open()
      expect(await knock(1)).toBe(Status.refused)
      expect(await knock(1, other)).toBe(Status.ok)
      expect(await knock(2)).toBe(Status.ok)
      expect(list.swarm?.roster.standing(guest.publicKey)).toBe('member')
    },
  )

  it.each([-YEAR_MS, -10 * MINUTE_MS, 10 * MINUTE_MS, 20 * 86_400_000])(
    'are as they were where the own clock is set: %i ms',
    async (byMs) => {
      await invite(1)
      clock.nowMs += byMs
      for await (const statements of pen.revoke(guest.publicKey, false)) await list.record(statements)
      expect(await knock(1)).toBe(Status.refused)
      clock.nowMs -= byMs
      expect(await knock(1)).toBe(Status.refused)
      await invite(2)
      expect(await knock(2)).toBe(Status.ok)
    },
  )

  it('count for a peer that was let in again, and for one that went with the admin that let it in', async () => {
    list.learn([say(admin, 'member', 1, NOW_MS, other.publicKey)])
    await invite(1)
    list.learn([say(owner.signer, 'out', 2, NOW_MS), say(owner.signer, 'member', 3, NOW_MS)])
    for await (const statements of pen.revoke(admin.publicKey, true)) await list.record(statements)
    expect(list.swarm?.roster.standing(other.publicKey)).toBeUndefined()
    for (const who of [guest, other, admin]) expect(await knock(1, who)).toBe(Status.refused)
    await invite(2)
    expect(await knock(2, other)).toBe(Status.ok)
    expect(await knock(1, signerOf(20))).toBe(Status.ok)
  })

  it('are of no swarm but theirs: whoever is out when a node joins may be invited by it', async () => {
    list.learn([say(admin, 'out', 2, NOW_MS)])
    const { roster } = list.swarm!
    const statements = roster.ids(undefined, 100).map((id) => roster.get(id)!)
    await list.begin(owner.signer.publicKey, statements, [])
    await invite(1)
    expect(await knock(1)).toBe(Status.ok)
  })

  it('leave no rows that decide nothing', async () => {
    const rows = (): unknown => state.db.prepare('SELECT count(*) FROM swarm_out').pluck().get()
    list.learn([say(admin, 'out', 2, NOW_MS)])
    expect(rows()).toBe(0)
    await invite(1)
    list.learn([say(admin, 'member', 3, NOW_MS), say(admin, 'out', 4, NOW_MS)])
    await invite(2)
    expect(rows()).toBe(1)
    expect(await knock(1)).toBe(Status.refused)
    expect(await knock(2)).toBe(Status.ok)
    expect(list.store.withdraw('1', NOW_MS)).toBe(true)
    await invite(3)
    expect(rows()).toBe(0)
  })
})

describe('an invitation from before this was kept', () => {
  it('is none for whoever is out, and one for everybody else', async () => {
    const path = join(folder, 'old.db')
    const old = await openState({ path, log: quietLogger(), migrations: MIGRATIONS.slice(0, 19) })
    const statements = [
      ...[node, admin].map(({ publicKey }) => firstWord(owner, publicKey, '', NOW_MS)),
      // Its revoker's clock was behind.
      say(admin, 'out', 2, NOW_MS - YEAR_MS),
    ]
    await old.write(() => {
      old.db.prepare('INSERT INTO swarm (one, key, since_ms) VALUES (1, ?, 1)').run(owner.signer.publicKey)
      for (const { id, bytes } of statements)
        old.db.prepare('INSERT INTO swarm_statement VALUES (?, ?)').run(id, bytes)
      for (const fill of [1, 2])
        old.db
          .prepare(
            `INSERT INTO swarm_invitation (id, digest, name, standing, created_ms, expires_ms)
             VALUES (?, ?, '', 'member', ?, ?)`,
          )
          .run(`${fill}`, hash('sha256', secretOf(fill), 'buffer'), NOW_MS, NOW_MS + LONG_MS)
    })
    await old.close()
    await state.close()
    state = await openState({ path, log: quietLogger() })
    open()
    expect(await knock(1)).toBe(Status.refused)
    expect(await knock(1, other)).toBe(Status.ok)
    list.learn([say(admin, 'out', 2, NOW_MS - YEAR_MS, other.publicKey)])
    expect(await knock(2, other)).toBe(Status.refused)
    await invite(3)
    expect(await knock(3)).toBe(Status.ok)
  })
})
