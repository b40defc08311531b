import { randomBytes } from 'node:crypto'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it } from 'vitest'
import type { Reach } from '../../../src/network/reach/reach.ts'
import type { RelayServer } from '../../../src/network/relay/server.ts'
import { collect, type ContentNode, until } from '../../support/content-node.ts'
import { RelayHouse } from '../../support/relay-house.ts'

const MIB = 2 ** 20
const SOON = (): AbortSignal => AbortSignal.timeout(20_000)

const house = new RelayHouse()
afterEach(() => house.close())

describe('a node behind a relay', () => {
  it('holds a slot, is reached through it alone, and serves a file', async () => {
    const { relay, hidden, ways } = await house.behindRelay()
    const bytes = randomBytes(6 * MIB)
    const { cid } = await hidden.add(bytes)
    expect(ways().every((way) => way.includes('/p2p-circuit/'))).toBe(true)
    expect(serviceOf<RelayServer>(relay, 'relayServer').reservations).toBe(1)
    expect(serviceOf<Reach>(hidden, 'reach').state().relays).toEqual([relay.libp2p.peerId.toString()])

    const other = await house.start({ listen: [] })
    await other.libp2p.dial(multiaddr(ways()[0]), { signal: SOON() })
    await until(
      () => other.content !== undefined && knowsContent(other, hidden) && knowsContent(hidden, other),
    )
    const connections = other.libp2p.getConnections(hidden.libp2p.peerId)
    expect(connections).toHaveLength(1)
    expect(connections[0]?.limits).toBeDefined()

    await other.run('get', { address: cid })
    expect(bytes.equals(await collect(other.content.cat(cid, { signal: SOON() })))).toBe(true)
    // The streams went over the connection that was there; libp2p by itself would have made one for each.
    expect(other.libp2p.getConnections(hidden.libp2p.peerId).map(({ id }) => id)).toEqual([
      connections[0]?.id,
    ])
    expect(serviceOf<Reach>(other, 'reach').state().relayed).toBe(1)
  })

  it('is reached over WebRTC that the relay only arranged', async () => {
    const { hidden, ways } = await house.behindRelay({ dataLimitBytes: MIB }, ['/webrtc'])
    await until(() => ways().some((way) => way.includes('/webrtc/')))
    const bytes = randomBytes(3 * MIB)
    const { cid } = await hidden.add(bytes)
    const other = await house.start({ listen: [] })
    const way = ways().find((text) => text.includes('/webrtc/')) ?? ''
    // Whoever seeks peers dials again where nothing came of it: under load the two sides' candidates may cross too late.
    const dial = (): Promise<Connection> =>
      other.libp2p.dial(multiaddr(way), { signal: AbortSignal.timeout(8_000) })
    const connection = await dial().catch(dial).catch(dial)
    expect(connection.limits).toBeUndefined()
    await until(() => knowsContent(other, hidden))
    await other.run('get', { address: cid })
    expect(bytes.equals(await collect(other.content.cat(cid, { signal: SOON() })))).toBe(true)
  })

  it('gives the slot back when its holder is gone, and takes no more than there are', async () => {
    const { relay, hidden } = await house.behindRelay({ maxReservations: 1 })
    const late = await house.start({ listen: [], relay: { client: 'always' } })
    await late.connect(relay)
    expect(serviceOf<RelayServer>(relay, 'relayServer').reservations).toBe(1)
    expect(late.libp2p.getMultiaddrs()).toEqual([])
    house.nodes = house.nodes.filter((node) => node !== hidden)
    await hidden.stop()
    const isFree = (): boolean => serviceOf<RelayServer>(relay, 'relayServer').reservations === 0
    await until(() => isFree() || late.libp2p.getMultiaddrs().length > 0)
  })

  it('takes no slot where nobody sees it behind a NAT', async () => {
    const relay = await house.start({ relay: { server: true } })
    const plain = await house.start({})
    await plain.connect(relay)
    expect(serviceOf<Reach>(plain, 'reach').state()).toEqual({
      reachability: 'unknown',
      observed: [],
      relays: [],
      relayed: 0,
      upgraded: 0,
    })
    expect(serviceOf<RelayServer>(relay, 'relayServer').reservations).toBe(0)
    const none = await house.start({ relay: { client: 'never' } })
    await expect(
      none.libp2p.dial(multiaddr(`${relay.address}/p2p-circuit/p2p/${plain.libp2p.peerId.toString()}`)),
    ).rejects.toMatchObject({ name: 'NoValidAddressesError' })
  })
})

function knowsContent(one: ContentNode, other: ContentNode): boolean {
  return one.libp2p.services.content.peers().some((peer) => peer.equals(other.libp2p.peerId))
}

function serviceOf<Service>(node: ContentNode, name: string): Service {
  return (node.libp2p.services as unknown as Record<string, Service>)[name] as Service
}
