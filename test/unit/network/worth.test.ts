import type { Connection } from '@libp2p/interface'
import { describe, expect, it } from 'vitest'
import { PeerTraffic } from '../../../src/network/traffic.ts'
import { createWorth, type WorthOptions } from '../../../src/network/worth.ts'

interface Shape {
  peer: string
  direction?: 'inbound' | 'outbound'
  ageMs?: number
  streams?: number
  id?: string
}

function connection({
  peer,
  direction = 'inbound',
  ageMs = 60_000,
  streams = 1,
  id = peer,
}: Shape): Connection {
  return {
    id,
    direction,
    remotePeer: { toString: () => peer },
    streams: Array.from({ length: streams }),
    timeline: { open: Date.now() - ageMs },
  } as unknown as Connection
}

function worthWith(options: Partial<WorthOptions> = {}): ReturnType<typeof createWorth> {
  return createWorth({
    trust: { score: () => 0.5 },
    traffic: new PeerTraffic(),
    isProtected: () => false,
    isNeeded: () => false,
    ...options,
  })
}

const idsOf = (connections: Connection[]): string[] => connections.map(({ id }) => id)

describe('the worth of connections', () => {
  it('is by need, then score, then what moved lately, then age; the protected are never listed', () => {
    const traffic = new PeerTraffic()
    const scores: Record<string, number> = { liked: 0.9, keeper: 0.1, protected: 0 }
    const worth = worthWith({
      trust: { score: (peer) => scores[peer] ?? 0.5 },
      traffic,
      isProtected: (peer) => peer === 'protected',
      isNeeded: (peer) => peer === 'keeper',
    })
    const ages: Record<string, number> = { young: 1_000, moved: 200_000 }
    const all = ['protected', 'keeper', 'liked', 'old', 'young', 'moved'].map((peer) =>
      connection({ peer, ageMs: ages[peer] ?? 100_000 }),
    )
    expect(idsOf(worth.ranked(all))).toEqual(['young', 'old', 'moved', 'liked', 'keeper'])
    traffic.moved('moved', 50 * 1024 * 1024)
    expect(idsOf(worth.ranked(all))).toEqual(['young', 'old', 'liked', 'keeper', 'moved'])
  })

  it('gives up what a peer has more than one of first', () => {
    const worth = worthWith({ trust: { score: (peer) => (peer === 'twice' ? 0.9 : 0.5) } })
    const all = [
      connection({ peer: 'twice', id: 'used', streams: 3, ageMs: 1_000 }),
      connection({ peer: 'twice', id: 'spare', streams: 0 }),
      connection({ peer: 'once' }),
    ]
    expect(idsOf(worth.ranked(all))).toEqual(['spare', 'once', 'used'])
  })

  it('spares for a moment what this node has just opened', () => {
    const worth = worthWith()
    const all = [
      connection({ peer: 'dialled', direction: 'outbound', ageMs: 100 }),
      connection({ peer: 'dialled before', direction: 'outbound', ageMs: 60_000 }),
    ]
    expect(idsOf(worth.ranked(all))).toEqual(['dialled before', 'dialled'])
  })

  it('of a newcomer is more only where it is better, not where it is alike', () => {
    const scores: Record<string, number> = { better: 0.8, alike: 0.51, worse: 0.2 }
    const worth = worthWith({ trust: { score: (peer) => scores[peer] ?? 0.5 } })
    const there = connection({ peer: 'there', ageMs: 10 })
    expect(worth.isWorthMore('better', there)).toBe(true)
    expect(worth.isWorthMore('alike', there)).toBe(false)
    expect(worth.isWorthMore('worse', there)).toBe(false)
  })

  it('is not upset by a clock that was set back', () => {
    const worth = worthWith()
    const all = [connection({ peer: 'future', ageMs: -86_400_000 }), connection({ peer: 'past' })]
    expect(idsOf(worth.ranked(all))).toEqual(['future', 'past'])
  })
})
