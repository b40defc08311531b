import { randomBytes } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, it, onTestFinished } from 'vitest'
import type { Chunk } from '../../../../protocols/chunk/types.ts'
import { AtRest } from '../../../../src/vault/owner/at-rest.ts'
import { DeletionRounds } from '../../../../src/vault/owner/deletion-rounds.ts'
import { OwnerState } from '../../../../src/vault/owner/state.ts'
import { eventually, quietLogger } from '../../../support/network.ts'
import { temporaryState } from '../../../support/vault-state.ts'

it('tells whoever connects, and searches for further holders only once in a round', async () => {
  const secret = new Uint8Array(randomBytes(32))
  const state = new OwnerState(await temporaryState(), new AtRest(secret), 60_000)
  const [holder, away] = await Promise.all(
    [1, 2].map(async () => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))),
  )
  if (holder === undefined || away === undefined) throw new Error('no peers')
  const slab = new Uint8Array(randomBytes(32))
  state.insertSlab({
    id: slab,
    object: 'one',
    position: 0,
    group: slab,
    state: 'deleting',
    k: 1,
    n: 2,
    columnBytes: 10,
    indexHash: new Uint8Array(randomBytes(32)),
    leaseUntilMs: Date.now() + 86_400_000,
    leaseSequence: 1,
    renewMs: 0,
    salt: new Uint8Array(randomBytes(32)),
    modes: new Uint8Array(0),
  })
  state.addHolder(slab, 0, holder.toString())
  state.addHolder(slab, 1, away.toString())
  let searches = 0
  const told: string[] = []
  let connected: PeerId[] = []
  let listener: Parameters<Chunk['onPeer']>[0] = () => {}
  const rounds = new DeletionRounds({
    state,
    ownerSecret: () => secret,
    networkName: 'test',
    chunk: {
      peers: () => connected,
      onPeer(added) {
        listener = added
        return () => {}
      },
      async remove(peer, deletions) {
        told.push(peer.toString())
        return deletions.map(() => 0)
      },
    },
    locator: {
      async *holders() {
        searches += 1
        yield* []
      },
    },
    log: quietLogger(),
  })
  onTestFinished(() => rounds.stop())
  rounds.start()
  for (const peer of [holder, away]) {
    connected = [peer]
    listener({ type: 'connected', peer })
    await eventually('it was told', () => told.includes(peer.toString()))
  }
  await eventually('the record is gone', () => state.slab(slab) === undefined)
  expect(searches).toBe(1)
})
