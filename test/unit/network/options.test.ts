import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { MemoryDatastore } from 'datastore-core'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../../config/index.ts'
import type { Libp2pOptionsInit, NetworkSettings } from '../../../src/network/index.ts'
import { libp2pOptions } from '../../../src/network/index.ts'
import { quietLogger, testSettings } from '../../support/network.ts'

async function optionsOf(
  config: NetworkSettings,
  more: Partial<Libp2pOptionsInit<never>> = {},
): Promise<ReturnType<typeof libp2pOptions>> {
  const privateKey = await generateKeyPair('Ed25519')
  return libp2pOptions({
    config,
    identity: { privateKey, peerId: peerIdFromPrivateKey(privateKey) },
    datastore: new MemoryDatastore(),
    trust: { decide: () => ({ allowed: true }), report() {}, score: () => 0.5, isProven: () => false },
    log: quietLogger(),
    version: '1.2.3',
    ...more,
  })
}

describe('the options of libp2p', () => {
  it('come out of the daemon’s configuration as it is', async () => {
    const home = await mkdtemp(join(tmpdir(), 'p2pnode-options-'))
    try {
      const { config } = await loadConfig({ home, env: {}, flags: {} })
      const options = await optionsOf(config)
      expect(config.network.listen).toEqual([
        '/ip4/0.0.0.0/tcp/4700',
        '/ip4/0.0.0.0/tcp/4701/ws',
        '/ip4/0.0.0.0/udp/4700/quic-v1',
        '/ip4/0.0.0.0/udp/4702/webrtc-direct',
        '/ip6/::/tcp/4700',
        '/ip6/::/tcp/4701/ws',
        '/ip6/::/udp/4700/quic-v1',
        '/ip6/::/udp/4702/webrtc-direct',
      ])
      // On a machine without IPv6 half of it falls out.
      expect(config.network.listen).toEqual(expect.arrayContaining(options.addresses?.listen ?? []))
      expect(options.connectionManager).toMatchObject({
        // And those that are only let through to be judged.
        maxConnections: config.network.maxConnections + 32,
        inboundConnectionThreshold: config.network.maxInboundPerIpPerSecond,
      })
      expect(options.services).toHaveProperty('mdns')
    } finally {
      await rm(home, { recursive: true, force: true })
    }
  })

  it('are a table of transports and the way through relays, one cipher, one multiplexer and the services', async () => {
    const options = await optionsOf(testSettings())
    expect(options.transports).toHaveLength(6)
    expect(options.connectionEncrypters).toHaveLength(1)
    expect(options.streamMuxers).toHaveLength(1)
    expect(Object.keys(options.services ?? {})).toEqual([
      'identify',
      'identifyPush',
      'ping',
      'liveness',
      'dht',
      'pubsub',
      'capacity',
      'streamGuard',
      'reach',
      'autonat',
      'dcutr',
      'peerRates',
      'discovery',
    ])
    expect(options.nodeInfo).toEqual({ name: 'p2pnode', version: '1.2.3', userAgent: 'p2pnode/1.2.3' })
    expect(options).not.toHaveProperty('metrics')
  })

  it('have every hook of the gater, since a missing one is a yes', async () => {
    const options = await optionsOf(testSettings())
    expect(Object.keys(options.connectionGater ?? {}).sort()).toEqual([
      'denyDialMultiaddr',
      'denyDialPeer',
      'denyInboundConnection',
      'denyInboundEncryptedConnection',
      'denyInboundRelayReservation',
      'denyInboundRelayedConnection',
      'denyInboundUpgradedConnection',
      'denyOutboundConnection',
      'denyOutboundEncryptedConnection',
      'denyOutboundRelayedConnection',
      'denyOutboundUpgradedConnection',
      'filterMultiaddrForPeer',
    ])
  })

  it('share nothing between two nodes but what is given twice', async () => {
    const [one, two] = [await optionsOf(testSettings()), await optionsOf(testSettings())]
    expect(one.connectionGater).not.toBe(two.connectionGater)
    expect(one.services?.pubsub).not.toBe(two.services?.pubsub)
    const registry = new Registry()
    await optionsOf(testSettings(), { metrics: { registry } })
    await expect(optionsOf(testSettings(), { metrics: { registry } })).rejects.toThrow(
      /already been registered/,
    )
  })

  it.each([
    [
      ['/ip4/127.0.0.1/udp/4700/quic'],
      'ERR_TRANSPORT_UNAVAILABLE',
      /udp\/4700\/quic.*it has: tcp, websocket, quic/,
    ],
    [
      ['/ip4/127.0.0.1/udp/4700/quic-v1/webtransport'],
      'ERR_TRANSPORT_UNAVAILABLE',
      /WebTransport, which cannot be had/,
    ],
    [['/dns4/example.org/tcp/1/http'], 'ERR_TRANSPORT_UNAVAILABLE', /example\.org/],
    [
      ['/ip4/127.0.0.1/tcp/0', 'nonsense'],
      'ERR_ADDRESS_INVALID',
      /"nonsense" in network.listen is not a multiaddr/,
    ],
  ])('refuse to listen on %j', async (listen, code, message) => {
    const refused = optionsOf(testSettings({ listen }))
    await expect(refused).rejects.toMatchObject({ code, kind: 'usage' })
    await expect(refused).rejects.toThrow(message)
  })

  it('refuse a bootstrap list that is not one', async () => {
    await expect(optionsOf(testSettings({ bootstrap: ['example.org:4700'] }))).rejects.toMatchObject({
      code: 'ERR_ADDRESS_INVALID',
    })
  })

  it('dial only where the list of listen addresses is empty', async () => {
    expect((await optionsOf(testSettings({ listen: [] }))).addresses?.listen).toEqual([])
  })
})

describe('private addresses', () => {
  const [home, street] = [multiaddr('/ip4/192.168.1.5/tcp/4700'), multiaddr('/ip4/93.184.215.14/tcp/4700')]

  it('are dialled and announced in private mode', async () => {
    const { addresses, connectionGater } = await optionsOf(testSettings())
    expect(addresses?.announceFilter?.([home, street])).toEqual([home, street])
    expect(await connectionGater?.denyDialMultiaddr?.(home)).toBe(false)
  })

  it('are neither in public mode', async () => {
    const { addresses, connectionGater } = await optionsOf(testSettings({ mode: 'public' }))
    expect(addresses?.announceFilter?.([home, street])).toEqual([street])
    expect(await connectionGater?.denyDialMultiaddr?.(home)).toBe(true)
    expect(await connectionGater?.denyDialMultiaddr?.(street)).toBe(false)
  })
})
