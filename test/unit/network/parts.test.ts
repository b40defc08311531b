import type { Connection } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { MemoryDatastore } from 'datastore-core'
import * as fc from 'fast-check'
import { Key } from 'interface-datastore'
import { describe, expect, it } from 'vitest'
import { createAddressPolicy, hostOf, peerOf } from '../../../src/network/addresses.ts'
import { backoffMs } from '../../../src/network/backoff.ts'
import { dialError } from '../../../src/network/dial-error.ts'
import type { GaterOptions } from '../../../src/network/gater.ts'
import { createGater } from '../../../src/network/gater.ts'
import { boundDatastore } from '../../../src/network/record-quota.ts'
import { startError } from '../../../src/network/start-error.ts'
import { boundedStop } from '../../../src/network/stop.ts'
import { testSettings } from '../../support/network.ts'

const PEER = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'

describe('addresses', () => {
  it('give their host and peer', () => {
    const address = multiaddr(`/ip6/2001:db8::1/tcp/4700/p2p/${PEER}`)
    expect(hostOf(address)).toEqual({ address: '2001:db8::1', family: 'ipv6' })
    expect(peerOf(address)).toBe(PEER)
    expect(hostOf(multiaddr('/dns4/example.org/tcp/1'))).toBeUndefined()
    expect(peerOf(multiaddr('/ip4/192.0.2.1/tcp/1'))).toBeUndefined()
  })

  it('that an operator named are dialled in public mode, and forgotten in order over the bound', () => {
    const policy = createAddressPolicy(testSettings({ mode: 'public' }))
    const named = multiaddr(`/ip4/10.0.0.1/tcp/4700/p2p/${PEER}`)
    expect(policy.mayDial(named)).toBe(false)
    policy.permit(named)
    expect(policy.mayDial(named)).toBe(true)
    expect(policy.mayDial(multiaddr('/ip4/10.0.0.1/tcp/4700'))).toBe(true)
    for (let port = 1; port <= 1_024; port++) {
      policy.permit(multiaddr(`/ip4/10.0.0.2/tcp/${port}`))
    }
    expect(policy.mayDial(named)).toBe(false)
    expect(policy.mayDial(multiaddr('/ip4/10.0.0.2/tcp/1024'))).toBe(true)
  })
})

describe('backoff', () => {
  it('doubles up to its bound and never leaves its band', () => {
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, random) => {
          const waitMs = backoffMs(attempt, { firstMs: 100, maxMs: 10_000 }, () => random)
          const doubledMs = Math.min(10_000, 100 * 2 ** Math.min(attempt, 30))
          expect(waitMs).toBeGreaterThanOrEqual(Math.floor(doubledMs * 0.75))
          expect(waitMs).toBeLessThanOrEqual(Math.ceil(doubledMs * 1.25))
        },
      ),
    )
  })
})

describe('the gater', () => {
  const peer = peerIdFromString(PEER)
  const connection = { remoteAddr: multiaddr('/ip4/203.0.113.9/tcp/1') } as unknown as Parameters<
    NonNullable<ReturnType<typeof createGater>['denyInboundConnection']>
  >[0]

  function gaterWith(changes: Partial<GaterOptions> = {}): {
    gater: ReturnType<typeof createGater>
    refused: string[]
    asked: string[]
  } {
    const refused: string[] = []
    const asked: string[] = []
    const gater = createGater({
      trust: {
        decide(name, action, subject) {
          asked.push(`${action} ${name === PEER ? 'peer' : name} ${subject?.address ?? ''}`.trim())
          return { allowed: false, reason: 'deny-list' }
        },
        decideAddress: () => ({ allowed: true }),
      },
      addresses: createAddressPolicy(testSettings()),
      refusal: () => undefined,
      onRefused: (action, reason) => refused.push(`${action} ${reason}`),
      ...changes,
    })
    return { gater, refused, asked }
  }

  it('asks trust at every step, with what is known there', async () => {
    const { gater, refused, asked } = gaterWith()
    expect(await gater.denyDialPeer?.(peer)).toBe(true)
    expect(await gater.denyOutboundConnection?.(peer, connection)).toBe(true)
    expect(await gater.denyOutboundEncryptedConnection?.(peer, connection)).toBe(true)
    expect(await gater.denyOutboundUpgradedConnection?.(peer, connection)).toBe(true)
    expect(await gater.denyInboundConnection?.(connection)).toBe(false)
    expect(await gater.denyInboundEncryptedConnection?.(peer, connection)).toBe(true)
    expect(await gater.denyInboundUpgradedConnection?.(peer, connection)).toBe(true)
    expect(await gater.denyInboundRelayReservation?.(peer)).toBe(true)
    expect(await gater.denyOutboundRelayedConnection?.(peer, peer)).toBe(true)
    expect(await gater.denyInboundRelayedConnection?.(peer, peer)).toBe(true)
    const at = '/ip4/203.0.113.9/tcp/1'
    expect(asked).toEqual([
      'dial peer',
      `dial peer ${at}`,
      `dial peer ${at}`,
      `dial peer ${at}`,
      `accept peer ${at}`,
      `accept peer ${at}`,
      'relay peer',
      'relay peer',
      'accept peer',
    ])
    expect(refused).toHaveLength(9)
  })

  it('refuses addresses before anybody is known, and inbound connections when full', async () => {
    const { gater, refused } = gaterWith({
      trust: {
        decide: () => ({ allowed: true }),
        decideAddress: (address) =>
          address === '203.0.113.9' ? { allowed: false, reason: 'deny-list' } : { allowed: true },
      },
      refusal: () => 'full',
    })
    expect(await gater.denyInboundConnection?.(connection)).toBe(true)
    expect(await gater.denyDialMultiaddr?.(connection.remoteAddr)).toBe(true)
    expect(await gater.denyDialMultiaddr?.(multiaddr('/dns4/example.org/tcp/1'))).toBe(false)
    expect(await gater.denyInboundUpgradedConnection?.(peer, connection)).toBe(true)
    expect(await gater.denyOutboundUpgradedConnection?.(peer, connection)).toBe(false)
    expect(refused).toEqual(['accept deny-list', 'dial deny-list', 'accept full'])
  })

  it('keeps private addresses of strangers out of the peer store in public mode', async () => {
    const { gater } = gaterWith({ addresses: createAddressPolicy(testSettings({ mode: 'public' })) })
    expect(await gater.filterMultiaddrForPeer?.(peer, multiaddr('/ip4/10.0.0.1/tcp/1'))).toBe(false)
    expect(await gater.filterMultiaddrForPeer?.(peer, multiaddr('/ip4/93.184.215.14/tcp/1'))).toBe(true)
  })
})

describe('the quota of DHT records', () => {
  const SELF = 'self'
  const provider = (cid: string, peer: string): Key => new Key(`/dht/provider/${cid}/${peer}`, false)
  const value = (name: string): Key => new Key(`/dht/record/${name}`, false)
  const bytes = new Uint8Array(1)

  function bound(datastore = new MemoryDatastore()): {
    bounded: ReturnType<typeof boundDatastore>
    refused: string[]
  } {
    const refused: string[] = []
    const bounded = boundDatastore(datastore, {
      prefix: '/dht',
      self: SELF,
      maxRecords: 5,
      maxRecordsPerPeer: 2,
      onRefused: (reason) => refused.push(reason),
    })
    return { bounded, refused }
  }

  it('bounds one peer and all together, but never this node', async () => {
    const { bounded, refused } = bound()
    for (const cid of ['a', 'b', 'c']) {
      await bounded.put(provider(cid, 'peer1'), bytes)
    }
    expect(await bounded.has(provider('b', 'peer1'))).toBe(true)
    expect(await bounded.has(provider('c', 'peer1'))).toBe(false)
    await bounded.put(provider('a', 'peer2'), bytes)
    await bounded.put(value('x'), bytes)
    await bounded.put(value('y'), bytes)
    await bounded.put(value('z'), bytes)
    expect(refused).toEqual(['peer', 'total'])
    await bounded.put(provider('a', SELF), bytes)
    expect(await bounded.has(provider('a', SELF))).toBe(true)
  })

  it('lets what is there be renewed, and what was deleted be replaced', async () => {
    const { bounded, refused } = bound()
    for (const name of ['1', '2', '3', '4', '5', '5', '5']) {
      await bounded.put(value(name), bytes)
    }
    expect(refused).toEqual([])
    await bounded.delete(value('1'))
    await bounded.delete(value('1'))
    await bounded.put(value('6'), bytes)
    await bounded.put(value('7'), bytes)
    expect(refused).toEqual(['total'])
  })

  it('counts what an earlier run left, and nothing outside its prefix', async () => {
    const datastore = new MemoryDatastore()
    for (const name of ['1', '2', '3', '4', '5']) {
      await datastore.put(value(name), bytes)
    }
    const { bounded, refused } = bound(datastore)
    await bounded.put(value('6'), bytes)
    await bounded.put(new Key('/peers/x', false), bytes)
    await bounded.put(new Key('/dhtx/x', false), bytes)
    expect(refused).toEqual(['total'])
    expect(await datastore.has(new Key('/peers/x', false))).toBe(true)
    expect(() => bounded.batch()).toThrow(/batches/)
  })

  it('never holds more than its bound, whatever is put and deleted', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            isPut: fc.boolean(),
            cid: fc.constantFrom('a', 'b', 'c', 'd'),
            peer: fc.constantFrom('p', 'q', 'r'),
          }),
          { maxLength: 60 },
        ),
        async (steps) => {
          const datastore = new MemoryDatastore()
          const { bounded } = bound(datastore)
          for (const { isPut, cid, peer } of steps) {
            await (isPut ? bounded.put(provider(cid, peer), bytes) : bounded.delete(provider(cid, peer)))
            const peers: string[] = []
            for await (const key of datastore.queryKeys({ prefix: '/dht/' })) {
              peers.push(key.toString().split('/').at(-1) ?? '')
            }
            expect(peers.length).toBeLessThanOrEqual(5)
            for (const name of ['p', 'q', 'r']) {
              expect(peers.filter((each) => each === name).length).toBeLessThanOrEqual(2)
            }
          }
        },
      ),
      { numRuns: 50 },
    )
  })
})

describe('errors of dialling', () => {
  const named = (name: string, more: object = {}): Error => Object.assign(new Error('inside'), { name }, more)
  const error = (
    cause: unknown,
    elapsedMs = 10,
    cancelled = false,
  ): { code: string; kind: string; message: string } =>
    dialError('/ip4/192.0.2.1/tcp/1', PEER, cause, { cancelled, elapsedMs })

  it.each([
    [named('DialDeniedError'), 'ERR_DENIED', 'denied'],
    [named('ConnectionInterceptedError'), 'ERR_DENIED', 'denied'],
    [named('NoValidAddressesError'), 'ERR_TRANSPORT_UNAVAILABLE', 'usage'],
    [named('InvalidPeerIdError'), 'ERR_ADDRESS_INVALID', 'usage'],
    [named('Error', { code: 'ECONNREFUSED' }), 'ERR_DIAL_FAILED', 'unavailable'],
    [new AggregateError([named('Error', { code: 'EHOSTUNREACH' })]), 'ERR_DIAL_FAILED', 'unavailable'],
    [new Error('outside', { cause: named('DialDeniedError') }), 'ERR_DENIED', 'denied'],
    ['no error at all', 'ERR_DIAL_FAILED', 'unavailable'],
  ])('are told apart (%#)', (cause, code, kind) => {
    expect(error(cause)).toMatchObject({ code, kind })
  })

  it('know a time that is up from a caller who left', () => {
    expect(error(named('EncryptionFailedError'), 10_000)).toMatchObject({
      code: 'ERR_DIAL_FAILED',
      kind: 'timeout',
    })
    expect(error(named('AbortError'), 10_000, true)).toMatchObject({
      code: 'ERR_CANCELLED',
      kind: 'cancelled',
    })
  })
})

describe('errors of starting', () => {
  it('say in one line which address cannot be listened on', () => {
    const wrapped = (text: string): Error =>
      Object.assign(new Error(text), { name: 'UnsupportedListenAddressesError' })
    expect(
      startError(wrapped('x\n Error: listen EADDRINUSE: address already in use 0.0.0.0:4700\n')),
    ).toMatchObject({
      code: 'ERR_LISTEN',
      message: expect.stringMatching(
        /^cannot listen: 0\.0\.0\.0:4700 is in use by another program/,
      ) as string,
    })
    expect(startError(wrapped('listen EACCES: permission denied 0.0.0.0:80'))).toMatchObject({
      message: expect.stringContaining('above 1023') as string,
    })
    expect(startError(wrapped('listen EADDRNOTAVAIL: address not available 192.0.2.1:4700'))).toMatchObject({
      message: expect.stringContaining('192.0.2.1:4700 is not an address of this machine') as string,
    })
    const other = new Error('something else')
    expect(startError(other)).toBe(other)
  })
})

describe('a bounded stop', () => {
  it('waits for libp2p while there is time', async () => {
    expect(await boundedStop({ stop: () => Promise.resolve(), getConnections: () => [] }, 1_000)).toBe(true)
  })

  it('cuts the connections when there is none left', async () => {
    let release = (): void => {}
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    let aborted = 0
    const connection = {
      abort() {
        aborted++
        release()
      },
    } as unknown as Connection
    expect(await boundedStop({ stop: () => hanging, getConnections: () => [connection] }, 20)).toBe(false)
    expect(aborted).toBe(1)
  })

  it('passes on what libp2p throws in time', async () => {
    await expect(
      boundedStop({ stop: () => Promise.reject(new Error('no')), getConnections: () => [] }, 1_000),
    ).rejects.toThrow('no')
  })
})
