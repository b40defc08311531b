import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { beforeAll, describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../../protocols/shared/errors.ts'
import type { SlabIndex } from '../../../../protocols/chunk/types.ts'
import type { ColumnRow, Purse } from '../../../../src/storage/columns/types.ts'
import { Challenges } from '../../../../src/vault/holder/challenges.ts'
import { newCounters } from '../../../../src/vault/holder/counters.ts'
import { Surplus } from '../../../../src/vault/holder/surplus.ts'
import { rendezvousOrder } from '../../../../src/vault/restore/rules.ts'
import { quietLogger } from '../../../support/network.ts'

const GRACE_MS = 1_000
const SLAB = new Uint8Array(32).fill(7)
const repaired: Purse = { kind: 'repair' }
const signal = new AbortController().signal

/** Peers in rendezvous order of the slab. */
let first: PeerId
let self: PeerId
let last: PeerId

beforeAll(async () => {
  const keys = await Promise.all(Array.from({ length: 3 }, () => generateKeyPair('Ed25519')))
  const peers = new Map(
    keys.map(peerIdFromPrivateKey).map((peer): [string, PeerId] => [peer.toString(), peer]),
  )
  const ordered = rendezvousOrder(SLAB, peers.keys()).flatMap((name) => peers.get(name) ?? [])
  ;[first, self, last] = ordered as [PeerId, PeerId, PeerId]
})

/** A node that holds column 1, and twins of which `proves` says whether they have it. */
function house(purse: Purse, proves: (peer: PeerId) => boolean = () => true) {
  const row = { slab: SLAB, column: 1, purse } as ColumnRow
  const challenges = new Challenges()
  const clock = { nowMs: 0 }
  const asked: string[] = []
  const removed: ColumnRow[] = []
  const surplus = new Surplus({
    columns: { remove: async () => true },
    held: { index: async () => ({}) as SlabIndex },
    prover: {
      async prove(peer) {
        // Whatever a twin asks of this node meanwhile is refused.
        expect(challenges.isRunning(SLAB)).toBe(true)
        asked.push(peer.toString())
        if (!proves(peer)) throw new P2pnodeError('ERR_CHUNK_INVALID', 'verification', 'a wrong proof')
      },
    },
    challenges,
    counters: newCounters(),
    self: self.toString(),
    graceMs: GRACE_MS,
    log: quietLogger(),
    onRemoved: (gone) => removed.push(gone),
    monotonicMs: () => clock.nowMs,
  })
  const look = async (peer: PeerId, isOriginal: boolean): Promise<boolean> => {
    const isGone = await surplus.look(row, [{ peer, isOriginal }], signal)
    expect(challenges.isRunning(SLAB)).toBe(false)
    clock.nowMs += GRACE_MS / 2
    return isGone
  }
  return { look, asked, removed }
}

describe('a column that another says to hold as well', () => {
  it('is kept where its owner brought it, whoever else proves it for how long', async () => {
    const { look, asked, removed } = house({ kind: 'depositor', peer: 'owner' })
    for (let count = 0; count < 8; count++) expect(await look(first, true)).toBe(false)
    expect(asked).toEqual([])
    expect(removed).toEqual([])
  })

  it('gives way, where it was rebuilt, to what the owner brought, once that was proven over the grace', async () => {
    const { look, asked, removed } = house(repaired)
    expect(await look(last, true)).toBe(false)
    expect(await look(last, true)).toBe(false)
    expect(await look(last, true)).toBe(true)
    expect(asked).toHaveLength(3 * 4)
    expect(removed).toHaveLength(1)
  })

  it('gives way, where both were rebuilt, to the earlier in rendezvous order alone', async () => {
    const later = house(repaired)
    for (let count = 0; count < 4; count++) expect(await later.look(last, false)).toBe(false)
    expect(later.asked).toEqual([])
    const earlier = house(repaired)
    expect(await earlier.look(first, false)).toBe(false)
    expect(await earlier.look(first, false)).toBe(false)
    expect(await earlier.look(first, false)).toBe(true)
  })

  it('is kept while the other does not prove it, and the time begins anew after a look that failed', async () => {
    let has = true
    const { look } = house(repaired, () => has)
    expect(await look(first, true)).toBe(false)
    has = false
    expect(await look(first, true)).toBe(false)
    has = true
    expect(await look(first, true)).toBe(false)
    expect(await look(first, true)).toBe(false)
    expect(await look(first, true)).toBe(true)
  })
})
