import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { didFromPeerId } from '../../src/identity/index.ts'
import { openState } from '../../src/storage/state/index.ts'
import type { StateDatabase } from '../../src/storage/state/types.ts'
import type { Thresholds, TrustService } from '../../src/trust/index.ts'
import { createTrust } from '../../src/trust/index.ts'
import { quietLogger } from './network.ts'

/** As the configuration has them. */
export const THRESHOLDS: Thresholds = {
  connect: 0.1,
  gossip: 0.2,
  serve: 0.15,
  fetch: 0.15,
  relay: 0.3,
  store: 0.3,
  place: 0.4,
  proxy: 0.6,
  keep: 0.5,
  catalogue: 0.3,
  recommend: 0.6,
}

export interface TrustFixture {
  readonly trust: TrustService
  readonly state: StateDatabase
  readonly clock: { nowMs: number }
  /** A trust of its own over the same database, as after a restart. */
  reopen: () => TrustService
  close(): Promise<void>
}

/** Trust over a real state.db in a folder of its own, with a clock that the test moves. */
export async function openTrust(options: { thresholds?: Thresholds } = {}): Promise<TrustFixture> {
  const home = await mkdtemp(join(tmpdir(), 'p2pnode-trust-'))
  const log = quietLogger()
  const state = await openState({ path: join(home, 'state.db'), log })
  const clock = { nowMs: 1_700_000_000_000 }
  const reopen = (): TrustService =>
    createTrust({ state, log, networkName: 'test', now: () => clock.nowMs, ...options })
  const trust = reopen()
  return {
    trust,
    state,
    clock,
    reopen,
    async close() {
      trust.stop()
      await state.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

export async function newPeer(): Promise<{ peer: string; did: string }> {
  const peerId = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  return { peer: peerId.toString(), did: didFromPeerId(peerId) }
}
