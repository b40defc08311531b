import { randomBytes } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, it } from 'vitest'
import type { Placer } from '../../../../src/vault/contracts.ts'
import { GroupHolders } from '../../../../src/vault/owner/put/group-holders.ts'

async function peersOf(count: number): Promise<PeerId[]> {
  const keys = await Promise.all(Array.from({ length: count }, () => generateKeyPair('Ed25519')))
  return keys.map((key) => peerIdFromPrivateKey(key))
}

async function groupOf(peers: readonly PeerId[], n: number, signal = new AbortController().signal) {
  const reasons: (string | null)[] = []
  const candidates: Placer['candidates'] = async ({ exclude }) =>
    peers.filter((peer) => !exclude.has(peer.toString())).map((peer) => ({ peer })) as Awaited<
      ReturnType<Placer['candidates']>
    >
  const group = new GroupHolders({
    id: new Uint8Array(randomBytes(32)),
    redundancy: { k: 1, n },
    columnBytes: 10,
    allowDegraded: false,
    placer: { candidates } as Placer,
    chunk: { onPeer: () => () => {} },
    waiting: (reason) => reasons.push(reason),
    secondChanceMs: 0,
    signal,
  })
  await group.place()
  return { group, reasons }
}

it('takes another peer for a slow one while there is one, and then asks the slow one again, a few times', async () => {
  const [a, b, c] = (await peersOf(3)) as [PeerId, PeerId, PeerId]
  const { group, reasons } = await groupOf([a, b, c], 2)
  expect(group.peers).toEqual([a, b])
  expect(await group.replace(0, a, { wasSlow: true })).toEqual(c)
  expect(reasons).toEqual([])
  // Nobody else is left: `a` had bad luck once, `c` now.
  expect([a, c]).toContainEqual(await group.replace(0, c, { wasSlow: true }))
  const stop = new AbortController()
  const hopeless = await groupOf([a, b], 2, stop.signal)
  for (let chance = 1; chance < 4; chance += 1) {
    expect(await hopeless.group.replace(0, a, { wasSlow: true })).toEqual(a)
  }
  const never = hopeless.group.replace(0, a, { wasSlow: true })
  await expect.poll(() => hopeless.reasons.at(-1)).toMatch(/no other peer/)
  stop.abort(new Error('enough'))
  await expect(never).rejects.toThrow()
})

it('never asks again whoever refused or lied', async () => {
  const [a, b] = (await peersOf(2)) as [PeerId, PeerId]
  const stop = new AbortController()
  const { group, reasons } = await groupOf([a, b], 2, stop.signal)
  const never = group.replace(0, a)
  await expect.poll(() => reasons.at(-1)).toMatch(/no other peer/)
  stop.abort(new Error('enough'))
  await expect(never).rejects.toThrow()
})
