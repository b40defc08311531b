import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, PeerId, PeerInfo } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createAddressPolicy } from '../../../src/network/addresses.ts'
import type { Discovery, DiscoveryComponents } from '../../../src/network/discovery.ts'
import { discovery } from '../../../src/network/discovery.ts'
import { quietLogger, testSettings } from '../../support/network.ts'

/** Peer ids in the order of their texts, so that "the smaller one dials" can be told. */
async function sortedPeers(count: number): Promise<PeerId[]> {
  const peers = await Promise.all(
    Array.from({ length: count }, async () => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))),
  )
  return peers.toSorted((a, b) => (a.toString() < b.toString() ? -1 : 1))
}

class Harness {
  readonly dialled: string[] = []
  readonly connected = new Set<string>()
  readonly mdns = new EventTarget()
  readonly events = new EventTarget()
  answer: 'connect' | 'fail' | 'hang' = 'connect'
  discovery: Discovery

  constructor(self: PeerId, bootstrap: string[] = [], maxConnections = 100) {
    const components = {
      peerId: self,
      mdns: this.mdns,
      events: this.events,
      peerStore: { merge: () => Promise.resolve() },
      connectionManager: {
        getConnections: (peer?: PeerId) =>
          peer === undefined || this.connected.has(peer.toString())
            ? Array.from({ length: this.connected.size }, () => ({}) as Connection)
            : [],
        openConnection: (addresses: unknown[], { signal }: { signal: AbortSignal }) =>
          this.#open(String(addresses[0]), signal),
      },
    } as unknown as DiscoveryComponents
    this.discovery = discovery({
      bootstrap,
      maxConnections,
      addresses: createAddressPolicy(testSettings()),
      trust: { report() {} },
      log: quietLogger(),
      withMdns: true,
    })(components)
  }

  async #open(address: string, signal: AbortSignal): Promise<Connection> {
    this.dialled.push(address)
    if (this.answer === 'hang') {
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')))
      })
    }
    if (this.answer === 'fail') {
      throw new Error('nobody there')
    }
    const peer = address.split('/p2p/')[1] ?? ''
    this.connected.add(peer)
    return {
      remotePeer: { toString: () => peer, equals: (other: PeerId) => other.toString() === peer },
    } as Connection
  }

  announce(peer: PeerId): void {
    const detail: PeerInfo = { id: peer, multiaddrs: [multiaddr('/ip4/192.168.1.5/tcp/4700')] }
    this.mdns.dispatchEvent(new CustomEvent('peer', { detail }))
  }

  disconnect(peer: PeerId): void {
    this.connected.delete(peer.toString())
    this.events.dispatchEvent(new CustomEvent('peer:disconnect', { detail: peer }))
  }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Lets promises and timers of so much time happen. */
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

describe('peers of the local network', () => {
  it('are dialled at once by the one with the smaller id, and only once', async () => {
    const [self, other] = (await sortedPeers(2)) as [PeerId, PeerId]
    const harness = new Harness(self)
    harness.announce(other)
    harness.announce(other)
    await pass(0)
    harness.announce(other)
    await pass(0)
    expect(harness.dialled).toEqual([`/ip4/192.168.1.5/tcp/4700/p2p/${other.toString()}`])
  })

  it('are given time to dial by the one with the greater id', async () => {
    const [other, self] = (await sortedPeers(2)) as [PeerId, PeerId]
    const harness = new Harness(self)
    harness.announce(other)
    await pass(4_000)
    harness.announce(other)
    await pass(0)
    expect(harness.dialled).toEqual([])
    await pass(6_000)
    harness.announce(other)
    await pass(0)
    expect(harness.dialled).toHaveLength(1)
  })

  it('that cannot be reached are tried again, ever more rarely', async () => {
    const [self, other] = (await sortedPeers(2)) as [PeerId, PeerId]
    const harness = new Harness(self)
    harness.answer = 'fail'
    // An hour of mDNS answers, one every ten seconds.
    for (let index = 0; index < 360; index++) {
      harness.announce(other)
      await pass(10_000)
    }
    expect(harness.dialled.length).toBeGreaterThan(5)
    expect(harness.dialled.length).toBeLessThan(20)
  })

  it('are dialled four at a time, and not when half of the connections are taken', async () => {
    const [self, ...others] = (await sortedPeers(12)) as [PeerId, ...PeerId[]]
    const harness = new Harness(self, [], 20)
    harness.answer = 'hang'
    for (const other of others) {
      harness.announce(other)
    }
    await pass(0)
    expect(harness.dialled).toHaveLength(4)

    const full = new Harness(self, [], 20)
    for (const other of others) {
      full.announce(other)
      await pass(0)
    }
    expect(full.dialled).toHaveLength(10)
  })

  it('are not dialled once the operator let them go, until they are named again', async () => {
    const [self, other] = (await sortedPeers(2)) as [PeerId, PeerId]
    const harness = new Harness(self)
    await harness.discovery.release(other)
    expect(harness.discovery.isReleased(other.toString())).toBe(true)
    harness.announce(other)
    await pass(20_000)
    expect(harness.dialled).toEqual([])
    harness.discovery.hold(multiaddr(`/ip4/192.168.1.5/tcp/4700/p2p/${other.toString()}`))
    expect(harness.discovery.isReleased(other.toString())).toBe(false)
    harness.announce(other)
    await pass(0)
    expect(harness.dialled).toHaveLength(1)
  })

  it('never include this node', async () => {
    const [self] = (await sortedPeers(1)) as [PeerId]
    const harness = new Harness(self)
    harness.announce(self)
    await pass(0)
    expect(harness.dialled).toEqual([])
  })
})

describe('bootstrap peers', () => {
  it('are dialled at the start, by all their addresses in one go, and never this node itself', async () => {
    const [self, other] = (await sortedPeers(2)) as [PeerId, PeerId]
    const harness = new Harness(self, [
      `/ip4/192.0.2.1/tcp/1/p2p/${other.toString()}`,
      `/ip4/192.0.2.2/tcp/1/p2p/${other.toString()}`,
      `/ip4/192.0.2.3/tcp/1/p2p/${self.toString()}`,
    ])
    await harness.discovery.start()
    await harness.discovery.afterStart?.()
    await pass(0)
    expect(harness.dialled).toEqual([`/ip4/192.0.2.1/tcp/1/p2p/${other.toString()}`])
    await harness.discovery.stop()
  })

  it('are tried again with growing pauses until they come, and again when they go', async () => {
    const [self, other] = (await sortedPeers(2)) as [PeerId, PeerId]
    const harness = new Harness(self, [`/ip4/192.0.2.1/tcp/1/p2p/${other.toString()}`])
    harness.answer = 'fail'
    await harness.discovery.start()
    await harness.discovery.afterStart?.()
    await pass(600_000)
    // 1, 2, 4, … 60 s and then every minute, with a quarter of jitter: a few at first, then about one a minute.
    expect(harness.dialled.length).toBeGreaterThan(10)
    expect(harness.dialled.length).toBeLessThan(25)

    harness.answer = 'connect'
    await pass(120_000)
    const before = harness.dialled.length
    await pass(600_000)
    expect(harness.dialled).toHaveLength(before)

    harness.disconnect(other)
    await pass(2_000)
    expect(harness.dialled).toHaveLength(before + 1)
    await harness.discovery.stop()
  })

  it('are left alone after the stop, also when a dial was under way', async () => {
    const [self, other] = (await sortedPeers(2)) as [PeerId, PeerId]
    const harness = new Harness(self, [`/ip4/192.0.2.1/tcp/1/p2p/${other.toString()}`])
    harness.answer = 'hang'
    await harness.discovery.start()
    await harness.discovery.afterStart?.()
    await pass(0)
    await harness.discovery.stop()
    await pass(600_000)
    harness.disconnect(other)
    await pass(600_000)
    expect(harness.dialled).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })
})
