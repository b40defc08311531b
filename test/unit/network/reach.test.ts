import type { Connection, Stream } from '@libp2p/interface'
import type { RandomWalk } from '@libp2p/interface-internal'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { hostOf } from '../../../src/network/addresses.ts'
import { STREAM_LIMITS } from '../../../src/network/limits.ts'
import { addressOrder } from '../../../src/network/reach/address-order.ts'
import { machineInterfaces } from '../../../src/network/reach/interfaces.ts'
import { streamGuard } from '../../../src/network/reach/stream-guard.ts'
import { patientWalk, seldomWalk } from '../../../src/network/relay/walk.ts'
import { listenAddresses } from '../../../src/network/transports/listen.ts'
import { quietLogger, testSettings } from '../../support/network.ts'

const PEER = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'
const RELAY = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'

afterEach(() => void vi.useRealTimers())

const lan = (): ReturnType<typeof machineInterfaces> =>
  machineInterfaces(() => ({
    lan: [
      {
        address: '192.168.1.20',
        netmask: '255.255.255.0',
        family: 'IPv4',
        mac: '',
        internal: false,
        cidr: '192.168.1.20/24',
      },
      {
        address: 'fd00::20',
        netmask: '',
        family: 'IPv6',
        mac: '',
        internal: false,
        cidr: 'fd00::20/64',
        scopeid: 0,
      },
    ],
  }))

describe('the interfaces of a machine', () => {
  it('say what is its own and what is near', () => {
    const interfaces = lan()
    expect(interfaces.isOwn('192.168.1.20')).toBe(true)
    expect(interfaces.isOwn('192.168.1.21')).toBe(false)
    expect(interfaces.isNear('192.168.1.21', 'ipv4')).toBe(true)
    expect(interfaces.isNear('192.168.2.21', 'ipv4')).toBe(false)
    expect(interfaces.isNear('fd00::1', 'ipv6')).toBe(true)
    expect(interfaces.isNear('fd01::1', 'ipv6')).toBe(false)
  })

  it('are asked again when what they said is old', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const read = vi.fn(() => ({}))
    const interfaces = machineInterfaces(read)
    interfaces.isOwn('::1')
    interfaces.isOwn('::1')
    expect(read).toHaveBeenCalledTimes(1)
    vi.advanceTimersByTime(10_000)
    interfaces.isOwn('::1')
    expect(read).toHaveBeenCalledTimes(2)
  })
})

describe('the order of dialling', () => {
  const relayed = `/ip4/93.184.215.14/tcp/1/p2p/${RELAY}/p2p-circuit/p2p/${PEER}`
  const arranged = `/ip4/93.184.215.14/tcp/1/p2p/${RELAY}/p2p-circuit/webrtc/p2p/${PEER}`
  const texts = [
    '/ip4/10.0.0.5/tcp/4700',
    arranged,
    relayed,
    '/ip4/127.0.0.1/tcp/4700',
    '/ip4/192.168.1.30/udp/4700/quic-v1',
    '/ip4/93.184.215.15/tcp/4700',
  ]
  const sorted = (hasStun: boolean): string[] =>
    texts
      .map((text) => ({ multiaddr: multiaddr(text), isCertified: false }))
      .toSorted(addressOrder(lan(), { hasStun }))
      .map((address) => address.multiaddr.toString())

  it('puts private addresses of other networks after the relay', () => {
    expect(sorted(false)).toEqual([
      '/ip4/93.184.215.15/tcp/4700',
      '/ip4/192.168.1.30/udp/4700/quic-v1',
      '/ip4/127.0.0.1/tcp/4700',
      relayed,
      arranged,
      '/ip4/10.0.0.5/tcp/4700',
    ])
  })

  it('prefers WebRTC to the relay where a STUN server helps it', () => {
    expect(sorted(true).slice(3, 5)).toEqual([arranged, relayed])
  })
})

describe('hosts', () => {
  it.each([
    ['/ip6/::ffff:127.0.0.1/tcp/1', '127.0.0.1', 'ipv4'],
    ['/ip6/::ffff:c0a8:101/udp/1/webrtc-direct', '192.168.1.1', 'ipv4'],
    ['/ip6/::1/tcp/1', '::1', 'ipv6'],
  ])('of a socket for both families are what they are: %s', (address, host, family) => {
    expect(hostOf(multiaddr(address))).toEqual({ address: host, family })
  })
})

describe('random walks', () => {
  const endless = (): RandomWalk & { given: number } => {
    const walk = {
      given: 0,
      async *walk(): AsyncGenerator<never> {
        for (;;) {
          walk.given += 1
          yield undefined as never
        }
      },
    }
    return walk as unknown as RandomWalk & { given: number }
  }

  it('of AutoNAT end, and begin again only after a while', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const source = endless()
    const walk = seldomWalk(source)
    const count = async (): Promise<number> => {
      let found = 0
      for await (const _ of walk.walk()) found += 1
      return found
    }
    expect(await count()).toBe(20)
    expect(await count()).toBe(0)
    vi.advanceTimersByTime(10 * 60_000)
    expect(await count()).toBe(20)
  })

  it('for relays pause, and end with their signal', async () => {
    const source = endless()
    const stop = new AbortController()
    let found = 0
    const walking = (async () => {
      for await (const _ of patientWalk(source, 5).walk({ signal: stop.signal })) {
        found += 1
        if (found === 45) stop.abort()
      }
    })()
    await expect(walking).rejects.toMatchObject({ name: 'AbortError' })
    // Two walks of 20, and the third to its end.
    expect(found).toBe(60)
  })
})

describe('the guard of streams', () => {
  function connection(address: string, streams: Partial<Stream>[]): Connection & { aborted: number } {
    const made = {
      aborted: 0,
      remoteAddr: multiaddr(address),
      remotePeer: PEER,
      streams,
      abort() {
        made.aborted += 1
      },
    }
    return made as unknown as Connection & { aborted: number }
  }
  function stream(changes: Partial<Stream>): { stream: Partial<Stream>; abort: ReturnType<typeof vi.fn> } {
    const abort = vi.fn()
    return {
      stream: {
        direction: 'inbound',
        remoteWriteStatus: 'closed',
        ...changes,
        abort: abort as Stream['abort'],
      },
      abort,
    }
  }

  it('gives up what QUIC left half open, and nothing else', async () => {
    vi.useFakeTimers()
    const dead = stream({})
    const others = [stream({ direction: 'outbound' }), stream({ remoteWriteStatus: 'writable' })]
    const elsewhere = stream({})
    const connections = [
      connection('/ip4/127.0.0.1/udp/1/quic-v1', [dead.stream, ...others.map((other) => other.stream)]),
      connection('/ip4/127.0.0.1/tcp/1', [elsewhere.stream]),
    ]
    const guard = streamGuard(quietLogger())({ connectionManager: { getConnections: () => connections } })
    await guard.start()
    vi.advanceTimersByTime(STREAM_LIMITS.halfClosedMs)
    expect(dead.abort).not.toHaveBeenCalled()
    vi.advanceTimersByTime(STREAM_LIMITS.sweepMs)
    expect(dead.abort).toHaveBeenCalledOnce()
    for (const other of [...others, elsewhere]) expect(other.abort).not.toHaveBeenCalled()
    await guard.stop()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('drops a connection with more streams than any may have', async () => {
    vi.useFakeTimers()
    const many = connection(
      '/ip4/127.0.0.1/udp/1/webrtc-direct',
      Array.from({ length: STREAM_LIMITS.maxPerConnection + 1 }, () => ({})),
    )
    const few = connection(
      '/ip4/127.0.0.1/udp/1/webrtc-direct',
      Array.from({ length: STREAM_LIMITS.maxPerConnection }, () => ({})),
    )
    const guard = streamGuard(quietLogger())({ connectionManager: { getConnections: () => [many, few] } })
    await guard.start()
    vi.advanceTimersByTime(STREAM_LIMITS.sweepMs)
    expect([many.aborted, few.aborted]).toEqual([1, 0])
    await guard.stop()
  })
})

describe('listening', () => {
  const both = [
    '/ip4/0.0.0.0/tcp/1',
    '/ip6/::/tcp/1',
    '/ip4/0.0.0.0/udp/2/webrtc-direct',
    '/ip6/::/udp/2/webrtc-direct',
  ]

  it('leaves out IPv6 beside the same for IPv4 where the machine has none, with a word', () => {
    const log = quietLogger()
    const said = vi.spyOn(log, 'info')
    const listen = listenAddresses(testSettings({ listen: both }), { hasIpv6: false, log })
    expect(listen).toEqual(['/ip4/0.0.0.0/tcp/1', '/ip4/0.0.0.0/udp/2/webrtc-direct'])
    expect(said).toHaveBeenCalledOnce()
  })

  it('refuses IPv6 that stands alone where the machine has none', () => {
    const alone = testSettings({ listen: ['/ip6/::/tcp/1', '/ip4/0.0.0.0/tcp/2'] })
    expect(() => listenAddresses(alone, { hasIpv6: false })).toThrow(/IPv6, which this machine does not have/)
    expect(listenAddresses(alone, { hasIpv6: true })).toHaveLength(2)
  })

  it('opens the socket of WebRTC for both families', () => {
    expect(listenAddresses(testSettings({ listen: both }), { hasIpv6: true })[0]).toBe(
      '/ip6/::/udp/2/webrtc-direct',
    )
  })

  it.each([
    [['/ip4/127.0.0.1/udp/1/webrtc-direct', '/ip6/::1/udp/1/webrtc-direct']],
    [['/ip4/0.0.0.0/udp/1/webrtc-direct', '/ip6/::/udp/2/webrtc-direct']],
  ])('refuses WebRTC on two sockets of two families: %j', (listen) => {
    expect(() => listenAddresses(testSettings({ listen }), { hasIpv6: true })).toThrow(/same port/)
  })

  it('names the switch of a transport that is off', () => {
    const settings = testSettings({ listen: ['/ip4/127.0.0.1/udp/1/quic-v1'], transports: { quic: false } })
    expect(() => listenAddresses(settings)).toThrow(
      'needs the transport quic, which is off (network.transports.quic)',
    )
  })
})
