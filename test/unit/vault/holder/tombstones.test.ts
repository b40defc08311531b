import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, it, onTestFinished } from 'vitest'
import type { Chunk } from '../../../../protocols/chunk/types.ts'
import type { Deletions } from '../../../../src/vault/holder/deletions.ts'
import { TombstoneSync } from '../../../../src/vault/holder/tombstones.ts'
import { eventually, quietLogger } from '../../../support/network.ts'
import { temporaryState } from '../../../support/vault-state.ts'

it('is kept from repairing by nobody who takes his time', async () => {
  const peers: PeerId[] = await Promise.all(
    Array.from({ length: 5 }, async () => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))),
  )
  const slow = new Set(peers.slice(0, 2).map((peer) => peer.toString()))
  const chunk: Pick<Chunk, 'peers' | 'onPeer' | 'tombstones'> = {
    peers: () => peers,
    onPeer: () => () => {},
    tombstones: (peer, after, signal) =>
      slow.has(peer.toString())
        ? new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
          })
        : Promise.resolve({ deletions: [], next: after }),
  }
  const sync = new TombstoneSync({
    state: await temporaryState(),
    deletions: {} as Deletions,
    gossip: { publish: async () => 0, subscribe: () => () => {} },
    log: quietLogger(),
    roundMs: 600_000,
    nowMs: Date.now,
    isStale: false,
  })
  onTestFinished(() => sync.stop())
  sync.start(chunk as Chunk)
  expect(sync.hasAsked).toBe(false)
  await eventually('three have told what they know', () => sync.hasAsked, 5_000)
})
