import { peerIdFromString } from '@libp2p/peer-id'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TrustFixture } from '../../support/trust.ts'
import { newPeer, openTrust } from '../../support/trust.ts'

let fixture: TrustFixture
beforeEach(async () => {
  fixture = await openTrust()
})
afterEach(() => fixture.close())

describe('the block list', () => {
  it('refuses every action of a blocked peer, counts it, and lasts over a restart', async () => {
    const { trust, reopen } = fixture
    const { peer } = await newPeer()
    expect(trust.decide(peer, 'dial')).toEqual({ allowed: true })

    expect(trust.block(peer, 'spam')).toMatchObject({ peer, reason: 'spam', sinceMs: fixture.clock.nowMs })

    for (const action of ['dial', 'accept', 'serve-content', 'serve-bitswap', 'gossip'] as const) {
      expect(trust.decide(peer, action)).toEqual({ allowed: false, reason: 'deny-list' })
    }
    expect(trust.denials()).toMatchObject({ dial: { 'deny-list': 1 }, gossip: { 'deny-list': 1 } })
    expect(reopen().decide(peer, 'accept').allowed).toBe(false)
    expect(trust.unblock(peer)).toBe(true)
    expect(trust.unblock(peer)).toBe(false)
    expect(trust.decide(peer, 'accept').allowed).toBe(true)
    expect(reopen().list().blocked).toEqual([])
  })

  it('takes a peer by every spelling of its name, as one entry', async () => {
    const { trust } = fixture
    const { peer, did } = await newPeer()
    trust.block(did, 'first')
    trust.block(peer, 'second')
    trust.block(peerIdFromString(peer).toCID().toString(), 'third')
    expect(trust.list().blocked).toEqual([{ peer, reason: 'first', sinceMs: fixture.clock.nowMs }])
    expect(trust.unblock(did)).toBe(true)
    expect(trust.list().blocked).toEqual([])
  })

  it('refuses addresses and ranges, and no others', () => {
    const { trust, reopen } = fixture
    trust.block('203.0.113.0/24')
    trust.block('2001:db8::/32')
    trust.block('198.51.100.7')
    for (const current of [trust, reopen()]) {
      expect(current.decideAddress('203.0.113.9', 'ipv4')).toEqual({ allowed: false, reason: 'deny-list' })
      expect(current.decideAddress('2001:db8:1::1', 'ipv6').allowed).toBe(false)
      expect(current.decideAddress('198.51.100.7', 'ipv4').allowed).toBe(false)
      expect(current.decideAddress('198.51.100.8', 'ipv4').allowed).toBe(true)
      expect(current.decideAddress('203.0.114.1', 'ipv4').allowed).toBe(true)
    }
    expect(trust.unblock('203.0.113.0/24')).toBe(true)
    expect(trust.decideAddress('203.0.113.9', 'ipv4').allowed).toBe(true)
    expect(trust.decideAddress('198.51.100.7', 'ipv4').allowed).toBe(false)
  })

  it.each([
    '',
    'peer',
    'did:key:z6Mk',
    'did:web:example.org',
    '203.0.113.0/33',
    '203.0.113.0/',
    '203.0.113.0/-1',
    '2001:db8::/129',
    '300.1.1.1',
    '12D3KooW'.repeat(100),
  ])('refuses %j as a subject', (text) => {
    expect(() => fixture.trust.block(text)).toThrow(
      expect.objectContaining({ code: 'ERR_PEER_INVALID', kind: 'usage' }) as Error,
    )
    expect(() => fixture.trust.unblock(text)).toThrow(/is not/)
  })

  it('keeps a reason short', async () => {
    const { peer } = await newPeer()
    expect(fixture.trust.block(peer, 'x'.repeat(10_000)).reason).toHaveLength(256)
  })
})

describe('the allow list', () => {
  it('admits everybody while it is empty, and only its members otherwise', async () => {
    const { trust, reopen } = fixture
    const [member, stranger] = [await newPeer(), await newPeer()]
    trust.allow(member.did)
    for (const current of [trust, reopen()]) {
      expect(current.decide(member.peer, 'accept').allowed).toBe(true)
      expect(current.decide(stranger.peer, 'accept')).toEqual({ allowed: false, reason: 'not-on-allow-list' })
    }
    trust.block(member.peer)
    expect(trust.decide(member.peer, 'accept')).toEqual({ allowed: false, reason: 'deny-list' })
    expect(trust.disallow(member.peer)).toBe(true)
    expect(trust.decide(stranger.peer, 'accept').allowed).toBe(true)
  })

  it('holds peers only', () => {
    expect(() => fixture.trust.allow('203.0.113.0/24')).toThrow(/is not a peer id or a did:key/)
  })
})

describe('listeners', () => {
  it('hear of changes until they leave, and one that fails stops nobody', async () => {
    const { trust } = fixture
    const { peer } = await newPeer()
    let heard = 0
    trust.onChange(() => {
      throw new Error('a listener that fails')
    })
    const leave = trust.onChange(() => heard++)
    trust.block(peer)
    trust.unblock(peer)
    trust.unblock(peer)
    expect(heard).toBe(2)
    leave()
    trust.block(peer)
    expect(heard).toBe(2)
  })
})

it('gives everybody a newcomer’s score', async () => {
  expect(fixture.trust.score((await newPeer()).peer)).toBe(0.5)
})
