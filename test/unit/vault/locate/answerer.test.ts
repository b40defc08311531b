import { randomBytes } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Found, LocateQuery } from '../../../../protocols/chunk/types.ts'
import { createLocateAnswerer } from '../../../../src/vault/locate/index.ts'

const signal = new AbortController().signal
const slab = randomBytes(32)
let peers: PeerId[]

beforeAll(async () => {
  peers = await Promise.all(
    Array.from({ length: 8 }, async () => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))),
  )
})

interface House {
  holds?: boolean
  hinted?: string[]
  neighbours?: () => PeerId[]
  onLocate?: (peer: PeerId, query: LocateQuery) => Promise<Found[]>
  denied?: Set<string>
  now?: () => number
}

function answerer(house: House) {
  return createLocateAnswerer({
    chunk: () => ({
      peers: house.neighbours ?? (() => []),
      locate: async (peer, query) => (await house.onLocate?.(peer, query)) ?? [],
    }),
    self: { peer: 'self', addresses: () => ['/ip4/127.0.0.1/tcp/1'] },
    have: (slabs) =>
      house.holds === true
        ? slabs.map((slab) => ({ slab, column: 0, indexHash: new Uint8Array(32), untilMs: 0 }))
        : [],
    hinted: () => house.hinted ?? [],
    addressesOf: async (peer) => [`/dns/${peer}`],
    trust: {
      decide: (peer) =>
        house.denied?.has(peer) ? { allowed: false, reason: 'deny-list' } : { allowed: true },
    },
    ...(house.now === undefined ? {} : { now: house.now }),
  })
}

const query = (hopsLeft = 0, slabs = [slab]): LocateQuery => ({ id: randomBytes(16), slabs, hopsLeft })

describe('answering a query for holders', () => {
  test('names itself and whom it was told of, never whoever asks', async () => {
    const answer = answerer({ holds: true, hinted: ['asker', 'friend'] })
    expect(await answer(query(), 'asker', signal)).toEqual([
      { slab, peer: 'self', addresses: ['/ip4/127.0.0.1/tcp/1'] },
      { slab, peer: 'friend', addresses: ['/dns/friend'] },
    ])
  })

  test('a query that was seen gets nothing', async () => {
    const answer = answerer({ holds: true })
    const asked = query()
    expect(await answer(asked, 'asker', signal)).toHaveLength(1)
    expect(await answer(asked, 'another', signal)).toEqual([])
  })

  test('passes on to at most three others, with a hop less, and not to whoever asks', async () => {
    const seen: [string, number][] = []
    const asker = peers[0] as PeerId
    const answer = answerer({
      neighbours: () => peers,
      onLocate: async (peer, { hopsLeft }) => {
        seen.push([peer.toString(), hopsLeft])
        return [{ slab, peer: `found by ${peer}`, addresses: [] }]
      },
    })
    const found = await answer(query(2), asker.toString(), signal)
    expect(seen).toHaveLength(3)
    expect(seen.every(([peer, hops]) => peer !== asker.toString() && hops === 1)).toBe(true)
    expect(found).toHaveLength(3)
  })

  test('what a peer claims about hops is not believed', async () => {
    const hops: number[] = []
    const answer = answerer({
      neighbours: () => peers.slice(0, 1),
      onLocate: async (_, { hopsLeft }) => {
        hops.push(hopsLeft)
        return []
      },
    })
    await answer(query(1_000), 'asker', signal)
    expect(hops).toEqual([1])
  })

  test('the last hop asks nobody, and nobody is asked whom the policy refuses', async () => {
    let asked = 0
    const house: House = {
      neighbours: () => peers,
      onLocate: async () => {
        asked += 1
        return []
      },
    }
    await answerer(house)(query(0), 'asker', signal)
    await answerer({ ...house, denied: new Set(peers.map(String)) })(query(2), 'asker', signal)
    expect(asked).toBe(0)
  })

  test('answers of others are bounded, deduplicated, and only about what was asked', async () => {
    const answer = answerer({
      neighbours: () => peers.slice(0, 3),
      onLocate: async () => [
        { slab: randomBytes(32), peer: 'about another slab', addresses: [] },
        ...Array.from({ length: 100 }, (_, at) => ({
          slab,
          peer: `peer${at}`,
          addresses: Array.from({ length: 20 }, () => '/ip4/127.0.0.1/tcp/1'),
        })),
      ],
    })
    const found = await answer(query(2), 'asker', signal)
    expect(found).toHaveLength(64)
    expect(new Set(found.map(({ peer }) => peer)).size).toBe(64)
    expect(found.every(({ peer, addresses }) => peer.startsWith('peer') && addresses.length === 8)).toBe(true)
  })

  test('a peer that asks too often is not answered for a while; others are', async () => {
    let nowMs = 0
    const answer = answerer({ holds: true, now: () => nowMs })
    let answered = 0
    for (let at = 0; at < 100; at += 1) answered += (await answer(query(), 'greedy', signal)).length
    expect(answered).toBe(40)
    expect(await answer(query(), 'other', signal)).toHaveLength(1)
    nowMs = 1_000
    expect(await answer(query(), 'greedy', signal)).toHaveLength(1)
  })

  test('a neighbour that fails or never answers costs only its own answers', async () => {
    const controller = new AbortController()
    const answer = answerer({
      holds: true,
      neighbours: () => peers.slice(0, 2),
      onLocate: async (peer) => {
        if (peer === peers[0]) throw new Error('gone')
        controller.abort()
        throw new Error('aborted')
      },
    })
    expect(await answer(query(2), 'asker', controller.signal)).toHaveLength(1)
  })
})
