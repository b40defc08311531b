import { randomBytes } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, it, onTestFinished } from 'vitest'
import { ChunkStatus } from '../../../../protocols/chunk/errors.ts'
import { decodeLease, ed25519Signer, slabIdOf } from '../../../../protocols/chunk/format/index.ts'
import type { SignedBytes } from '../../../../protocols/chunk/types.ts'
import { slabSeed } from '../../../../src/vault/codec/index.ts'
import { AtRest } from '../../../../src/vault/owner/at-rest.ts'
import { Renewer } from '../../../../src/vault/owner/renewer.ts'
import { OwnerState } from '../../../../src/vault/owner/state.ts'
import { eventually, quietLogger } from '../../../support/network.ts'
import { temporaryState } from '../../../support/vault-state.ts'

const LEASE_MS = 90 * 86_400_000

/** A slab that is due, with one holder. */
async function dueSlab() {
  const secret = new Uint8Array(randomBytes(32))
  const salt = new Uint8Array(randomBytes(32))
  const slab = slabIdOf(ed25519Signer(slabSeed(secret, salt)).publicKey)
  const holder = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  const state = new OwnerState(await temporaryState(), new AtRest(secret), 60_000)
  state.insertSlab({
    id: slab,
    object: 'one',
    position: 0,
    group: slab,
    state: 'stored',
    k: 1,
    n: 1,
    columnBytes: 10,
    indexHash: new Uint8Array(randomBytes(32)),
    leaseUntilMs: Date.now() + LEASE_MS / 2,
    leaseSequence: 2,
    renewMs: 0,
    salt,
    modes: new Uint8Array(0),
  })
  state.addHolder(slab, 0, holder.toString())
  return { secret, slab, holder, state }
}

function startRenewer(
  { secret, state }: Pick<Awaited<ReturnType<typeof dueSlab>>, 'secret' | 'state'>,
  chunk: ConstructorParameters<typeof Renewer>[0]['chunk'],
  onSearch: () => void = () => {},
): Renewer {
  const renewer = new Renewer({
    state,
    ownerSecret: () => secret,
    networkName: 'test',
    leaseMs: LEASE_MS,
    chunk,
    locator: {
      async *holders() {
        onSearch()
        yield* []
      },
    },
    trust: { report() {} },
    log: quietLogger(),
  })
  onTestFinished(() => renewer.stop())
  renewer.start()
  return renewer
}

it('tells holders that it knew and that only the search for them has connected', async () => {
  const due = await dueSlab()
  const connected = [peerIdFromPrivateKey(await generateKeyPair('Ed25519'))]
  const told: string[] = []
  const chunk = {
    peers: () => connected,
    async renew(peer: PeerId, leases: readonly SignedBytes[]) {
      told.push(peer.toString())
      return leases.map(() => ChunkStatus.ok)
    },
  }
  // Whoever is known comes as a hint, is dialled, and is nobody new.
  startRenewer(due, chunk, () => connected.push(due.holder))
  await eventually(
    'the lease is renewed',
    () => (due.state.slab(due.slab)?.leaseUntilMs ?? 0) > Date.now() + LEASE_MS * 0.9,
  )
  expect(told).toEqual([due.holder.toString()])
})

it('uses up no try while nobody is connected', async () => {
  const due = await dueSlab()
  const chunk = { peers: () => [], renew: () => Promise.reject(new Error('nobody is connected')) }
  await startRenewer(due, chunk).stop()
  expect(due.state.due(Date.now()).map(({ id }) => Buffer.compare(id, due.slab))).toEqual([0])
})

it('renews at once though holders know later leases than a state that was restored', async () => {
  // As it was when the backup was made. Since then this owner has renewed for a year.
  const { secret, slab, holder, state } = await dueSlab()
  const held = { sequence: Date.now() - 86_400_000, untilMs: 0 }
  let questions = 0
  const chunk = {
    peers: () => [holder],
    async renew(_peer: PeerId, leases: readonly SignedBytes[]) {
      questions += 1
      return leases.map((signed) => {
        const { sequence, untilMs } = decodeLease(signed, 'test')
        if (sequence <= held.sequence) return ChunkStatus.conflict
        Object.assign(held, { sequence, untilMs })
        return ChunkStatus.ok
      })
    },
  }
  startRenewer({ secret, state }, chunk)
  await eventually('the lease is renewed', () => held.untilMs > Date.now() + LEASE_MS * 0.9)
  expect(questions).toBe(1)
  await eventually('the owner knows', () => state.slab(slab)?.leaseSequence === held.sequence)
})
