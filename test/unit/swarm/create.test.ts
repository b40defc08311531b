import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ed25519Signer, type Signer } from '../../../protocols/shared/ed25519.ts'
import { signStatement } from '../../../protocols/swarm/index.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { createSwarm, type Swarm } from '../../../src/swarm/index.ts'
import { peerText } from '../../../src/swarm/list.ts'
import { loadOwnerKey, ownerKey, storeOwnerKey } from '../../../src/swarm/owner-key.ts'
import { firstWord } from '../../../src/swarm/pen.ts'
import { openSwarmStore } from '../../../src/swarm/store.ts'
import { quietLogger } from '../../support/network.ts'

const privateKey = await generateKeyPair('Ed25519')
const identity = { privateKey, peerId: peerIdFromPrivateKey(privateKey) }

let folder: string
let state: StateDatabase
let swarm: Swarm
let networkKeys: number
/** What writing the network's key does. */
let storeNetworkKey: () => void

async function open(): Promise<void> {
  state = await openState({ path: join(folder, 'state.db'), log: quietLogger() })
  swarm = await createSwarm({
    networkName: 'main',
    isPublic: false,
    state,
    identity,
    ownerKeyFile: { path: keyPath() },
    house: {
      open: () => Promise.reject(new Error('there is no door here')),
      visit: () => Promise.reject(new Error('there is no door here')),
      doorKey: new Uint8Array(32),
    },
    networkKey: {
      isOn: true,
      read: async () => undefined,
      store: async () => storeNetworkKey(),
    },
    contacts: async () => [],
    connect: () => Promise.reject(new Error('there is nobody here')),
    isBlocked: () => false,
    log: quietLogger(),
  })
}

async function reopen(): Promise<void> {
  await swarm.stop()
  await state.close()
  await open()
}

const keyPath = (): string => join(folder, 'swarm-owner.key')
const create = () => swarm.create({ name: 'desk', withNetworkKey: true })

/** Until `mend`, nothing is written to a table. */
const breakTable = (table: string): void =>
  void state.db.exec(
    `CREATE TRIGGER broken BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'cut off'); END`,
  )
const mend = (): void => void state.db.exec('DROP TRIGGER IF EXISTS broken')

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-create-'))
  networkKeys = 0
  storeNetworkKey = () => (networkKeys += 1)
  await open()
})
afterEach(async () => {
  await swarm.stop()
  await state.close()
  await rm(folder, { recursive: true, force: true })
})

describe('making a swarm', () => {
  const cuts: [step: string, cut: () => void, isKeyWritten: boolean][] = [
    ['before the key of the owner', () => breakTable('swarm_planned'), false],
    [
      'at the key of the network',
      () => {
        storeNetworkKey = () => {
          throw new Error('cut off')
        }
      },
      true,
    ],
    ['at the swarm', () => breakTable('swarm'), true],
    ['at its first word', () => breakTable('swarm_statement'), true],
  ]

  it.each(cuts)('that is cut off %s can be begun again after a restart', async (_, cut, isKeyWritten) => {
    cut()
    await expect(create()).rejects.toThrow('cut off')
    expect(existsSync(keyPath())).toBe(isKeyWritten)
    expect(swarm.status()).toBeNull()
    const kept = await loadOwnerKey({ path: keyPath() })
    mend()
    storeNetworkKey = () => (networkKeys += 1)
    await reopen()
    expect(swarm.status()).toBeNull()
    const { phrase } = await create()
    expect(networkKeys).toBeGreaterThan(0)
    expect(swarm.status()).toMatchObject({ role: 'owner', members: 1 })
    const stored = await loadOwnerKey({ path: keyPath() })
    if (kept !== undefined) expect(stored?.seed).toEqual(kept.seed)
    await reopen()
    expect(swarm.status()).toMatchObject({ role: 'owner', members: 1 })
    expect(swarm.phrase()).toBe(phrase)
    expect(swarm.members({ all: true })).toMatchObject([{ name: 'desk', standing: 'admin', self: true }])
  })

  it('that was cut off before its first word by an earlier version can be begun again', async () => {
    const owner = ownerKey()
    await storeOwnerKey(owner, { path: keyPath() })
    await state.write(() => openSwarmStore(state).begin(owner.signer.publicKey, 1))
    await reopen()
    expect(swarm.status()).toMatchObject({ role: 'out', members: 0 })
    await create()
    expect(swarm.status()).toMatchObject({ role: 'owner', members: 1 })
    expect((await loadOwnerKey({ path: keyPath() }))?.seed).toEqual(owner.seed)
  })

  it('takes no key of a swarm that there was, or of another', async () => {
    await create()
    await swarm.leave()
    await reopen()
    await expect(create()).rejects.toMatchObject({ code: 'ERR_SWARM_KEY_KEPT' })
    await rm(keyPath())
    await create()
    await rm(keyPath())
    await storeOwnerKey(ownerKey(), { path: keyPath() })
    await swarm.leave()
    await expect(create()).rejects.toMatchObject({ code: 'ERR_SWARM_KEY_KEPT' })
    expect(swarm.status()).toBeNull()
  })
})

describe('the owner of a swarm', () => {
  it.each([true, false])('hears who is out with an admin: with whom it let in, %s', async (withInvited) => {
    await create()
    const owner = (await loadOwnerKey({ path: keyPath() }))!
    const [admin, peer] = [11, 12].map((fill) => ed25519Signer(new Uint8Array(32).fill(fill))) as [
      Signer,
      Signer,
    ]
    const letIn = signStatement(owner.signer.publicKey, admin, {
      subject: peer.publicKey,
      standing: 'member',
      number: 1,
      under: 1,
      timeMs: 1,
      name: 'third',
    })
    const added = [firstWord(owner, admin.publicKey, 'second', 1), letIn]
    await state.write(() => openSwarmStore(state).apply({ added, removed: [], out: [] }))
    await reopen()
    expect(swarm.status()).toMatchObject({ members: 3 })
    const [adminPeer, peerPeer] = [peerText(admin.publicKey), peerText(peer.publicKey)]
    const { revoked } = await swarm.revoke(adminPeer, { withInvited })
    expect(revoked).toEqual(withInvited ? [peerPeer, adminPeer] : [adminPeer])
    expect(swarm.status()).toMatchObject({ members: withInvited ? 1 : 2 })
    expect(swarm.membershipOf(peerPeer)).toBe(withInvited ? 'none' : 'member')
    expect(swarm.membership.admits(peerPeer)).toBe(!withInvited)
  })
})
