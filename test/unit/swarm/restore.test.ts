import { hash } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { multiaddr } from '@multiformats/multiaddr'
import { ed25519Signer } from '../../../protocols/chunk/format/index.ts'
import { Status } from '../../../protocols/shared/status.ts'
import { backupHome, openState, restoreHome } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { lonelyAdmitter } from '../../support/admitter.ts'
import { DoorKeeper } from '../../../src/swarm/door.ts'
import { MemberList } from '../../../src/swarm/list.ts'
import { ownerKey } from '../../../src/swarm/owner-key.ts'
import { firstWord, Pen } from '../../../src/swarm/pen.ts'
import { quietLogger } from '../../support/network.ts'

const signerOf = (fill: number) => ed25519Signer(new Uint8Array(32).fill(fill))
const [node, guest, thief] = [signerOf(10), signerOf(12), signerOf(13)]
const owner = ownerKey(new Uint8Array(32).fill(1))
const now = (): number => 1_700_000_000_000
const signal = AbortSignal.timeout(60_000)
const secrets = { used: new Uint8Array(16).fill(5), open: new Uint8Array(16).fill(6) }

let folder: string
const states: StateDatabase[] = []

/** A node of this home, with a door that nobody sees. */
async function open(home: string) {
  const state = await openState({ path: join(home, 'state.db'), log: quietLogger() })
  states.push(state)
  const list = new MemberList({ state, self: node.publicKey, log: quietLogger(), now })
  const pen = new Pen({ list, node, now })
  pen.hold(owner)
  const admit = lonelyAdmitter({ list, pen, now })
  const keeper = new DoorKeeper({
    house: {
      open: async () => ({ addresses: () => [multiaddr('/ip4/127.0.0.1/tcp/4703')], close: async () => {} }),
      visit: () => Promise.reject(new Error('nobody goes out here')),
      doorKey: new Uint8Array(32),
    },
    store: list.store,
    networkName: 'main',
    admit,
    log: quietLogger(),
    now,
  })
  const knock = async (secret: Uint8Array, who: typeof node): Promise<number> =>
    (await admit(who.publicKey, { secret, name: '' }, signal)).status
  return { state, list, keeper, knock }
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-restore-'))
})
afterEach(async () => {
  for (const state of states.splice(0)) await state.close()
  await rm(folder, { recursive: true, force: true })
})

it('a restored node honours no invitation that was open when the backup was made, and keeps its door closed', async () => {
  const [home, restored] = [join(folder, 'home'), join(folder, 'restored')]
  await mkdir(home)
  const { state, list, keeper, knock } = await open(home)
  await list.begin(owner.signer.publicKey, [firstWord(owner, node.publicKey, '', now())], [])
  for (const [id, secret] of Object.entries(secrets)) {
    const digest = hash('sha256', secret, 'buffer')
    const row = {
      id,
      digest,
      name: '',
      standing: 'admin' as const,
      created_ms: now(),
      expires_ms: now() + 60_000,
    }
    await list.record([], () => list.store.addInvitation(row, 10))
  }
  expect(await knock(secrets.used, guest)).toBe(Status.ok)
  await keeper.check()
  expect(keeper.addresses()).toHaveLength(1)
  const out = new PassThrough()
  const source = out
  const [result] = await Promise.all([
    restoreHome({ home: restored, source, signal }),
    backupHome({ home, state, out, includeBlocks: false, signal }),
  ])
  expect(result.files).toBeGreaterThan(0)
  // Used since the backup.
  expect(await knock(secrets.open, guest)).toBe(Status.ok)
  await keeper.stop()

  const back = await open(restored)
  await back.keeper.check()
  expect(back.keeper.addresses()).toEqual([])
  expect(back.list.store.invitations(10).map(({ id }) => id)).toEqual(['used'])
  expect(await back.knock(secrets.open, thief)).toBe(Status.refused)
  expect(await back.knock(secrets.used, thief)).toBe(Status.refused)
  // What was used stays so: who came in with it may ask again.
  expect(await back.knock(secrets.used, guest)).toBe(Status.ok)
  await back.keeper.stop()
})
