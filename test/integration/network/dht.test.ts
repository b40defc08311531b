import type { Key } from 'interface-datastore'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { afterEach, describe, expect, it } from 'vitest'
import { type DhtNamespace, knownRoutes } from '../../../src/network/index.ts'
import { VALUES_PER_SENDER } from '../../../src/network/record-quota.ts'
import type { TestNode, TestNodeOptions } from '../../support/network.ts'
import { eventually, startTestNode, stopAll } from '../../support/network.ts'

const SOON = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(15_000) })
const encoder = new TextEncoder()

/** Values are numbers as text; the greatest is the best, what is no number is invalid. */
const numbers: DhtNamespace = {
  name: 'number',
  validate(_key, value) {
    if (!/^\d+$/.test(new TextDecoder().decode(value))) {
      throw new Error('not a number')
    }
  },
  select: (_key, values) => {
    const decoded = values.map((value) => Number(new TextDecoder().decode(value)))
    return decoded.indexOf(Math.max(...decoded))
  },
}

let nodes: TestNode[] = []
afterEach(async () => {
  await stopAll(nodes)
  nodes = []
})

async function start(options: TestNodeOptions = {}): Promise<TestNode> {
  const node = await startTestNode({ ...options, init: { dhtNamespaces: [numbers] } })
  nodes.push(node)
  return node
}

/** `a - b - c`: a and c know only b. */
async function line(): Promise<[TestNode, TestNode, TestNode]> {
  const b = await start()
  const [a, c] = [
    await start({ network: { bootstrap: [b.address] } }),
    await start({ network: { bootstrap: [b.address] } }),
  ]
  await eventually('the routing tables are filled', () =>
    [a, b, c].every(
      (node) =>
        (node.libp2p.services.dht as unknown as { routingTable: { size: number } }).routingTable.size > 0,
    ),
  )
  return [a, b, c]
}

/** The keys of the values that a node keeps for others. */
async function recordsOf(node: TestNode): Promise<string[]> {
  const keys: string[] = []
  for await (const key of node.state.datastore.queryKeys({
    prefix: '/dht/record',
  }) as AsyncIterable<Key>) {
    keys.push(new TextDecoder().decode(base32.baseDecode(key.name())))
  }
  return keys
}

/** A PUT_VALUE (type 0, so left out) of the Kademlia specification, with its length: small enough that every length takes one byte. */
function putValue(key: string, value: string): Uint8Array {
  const field = (number: number, bytes: Uint8Array): number[] => [(number << 3) | 2, bytes.length, ...bytes]
  const record = Uint8Array.from([...field(1, encoder.encode(key)), ...field(2, encoder.encode(value))])
  const message = [...field(2, encoder.encode(key)), ...field(3, record)]
  return Uint8Array.from([message.length, ...message])
}

async function cidOf(text: string): Promise<CID> {
  return CID.createV1(raw.code, await sha256.digest(encoder.encode(text)))
}

describe('the DHT of the network', () => {
  it('keeps and finds values, providers and peers between three nodes', async () => {
    const [a, , c] = await line()

    const key = encoder.encode('/number/answer')
    await a.libp2p.contentRouting.put(key, encoder.encode('42'), SOON())
    expect(new TextDecoder().decode(await c.libp2p.contentRouting.get(key, SOON()))).toBe('42')

    const cid = await cidOf('a block')
    await a.libp2p.contentRouting.provide(cid, SOON())
    const providers: string[] = []
    for await (const provider of c.libp2p.contentRouting.findProviders(cid, SOON())) {
      providers.push(provider.id.toString())
    }
    expect(new Set(providers)).toEqual(new Set([a.peer]))

    const found = await a.libp2p.peerRouting.findPeer(c.libp2p.peerId, SOON())
    expect(found.multiaddrs.map((address) => address.toString())).toContain(
      c.address.slice(0, c.address.indexOf('/p2p/')),
    )
  }, 30_000)

  it('names the closest peers with their addresses, and asks for none of them again', async () => {
    const [a, b, c] = await line()
    const sought: string[] = []
    const { dht } = a.libp2p.services
    const findPeer = dht.findPeer.bind(dht)
    dht.findPeer = (peer, options) => {
      sought.push(peer.toString())
      return findPeer(peer, options)
    }
    const found = new Map<string, number>()
    const key = c.libp2p.peerId.toMultihash().bytes
    for await (const { id, multiaddrs } of a.libp2p.peerRouting.getClosestPeers(key, SOON()))
      found.set(id.toString(), multiaddrs.length)
    expect([...found.keys()]).toContain(b.libp2p.peerId.toString())
    for (const addresses of found.values()) expect(addresses).toBeGreaterThan(0)
    expect(sought).toEqual([])
  })

  it('keeps no record that is invalid, of no known kind, or too long', async () => {
    const [a, b, c] = await line()
    // kad-dht does not check what it puts itself, nor fail when everybody refuses: what counts is what others keep.
    for (const [key, value] of [
      ['/number/invalid', 'no number'],
      ['/else/unknown', '1'],
      ['/number/long', '1'.repeat(10 * 1024 + 1)],
      ['/number/good', '7'],
    ] as const) {
      await a.libp2p.contentRouting.put(encoder.encode(key), encoder.encode(value), SOON())
    }
    for (const node of [b, c]) {
      expect(await recordsOf(node)).toEqual(['/number/good'])
    }
    await expect(
      c.libp2p.contentRouting.get(encoder.encode('/number/invalid'), SOON()),
    ).rejects.toMatchObject({
      errors: [{ name: 'NotFoundError' }],
    })
  }, 30_000)

  it('keeps no more values of one peer than one may leave, and those of others', async () => {
    const [node, flooder, other] = [await start(), await start(), await start()]
    await flooder.network.connect(node.address, SOON().signal)
    const [connection] = flooder.libp2p.getConnections()
    const stream = await connection!.newStream('/p2pnode/test/kad/1.0.0', SOON())
    let answered = 0
    stream.addEventListener('message', ({ data }) => {
      answered += data.byteLength
    })
    let asked = 0
    for (let number = 0; number < 1_200; number++) {
      const message = putValue(`/number/flood-${number}`, '7')
      asked += message.length
      stream.send(message)
    }
    // Each is answered with the same message.
    await eventually('all are answered', () => answered >= asked, 50_000)
    expect(await recordsOf(node)).toHaveLength(VALUES_PER_SENDER.burst)

    await other.network.connect(node.address, SOON().signal)
    await eventually('the node is in the table', () => knownRoutes(other.libp2p.services.dht) > 0)
    await other.libp2p.contentRouting.put(encoder.encode('/number/other'), encoder.encode('8'), SOON())
    expect(await recordsOf(node)).toContain('/number/other')
  }, 60_000)

  it('does not mix networks of different names', async () => {
    const a = await start({ network: { name: 'one' } })
    const b = await start({ network: { name: 'two' } })
    const summary = await a.network.connect(b.address, AbortSignal.timeout(5_000))
    expect(summary.protocols).toContain('/p2pnode/two/kad/1.0.0')
    expect(summary.protocols.filter((protocol) => protocol.startsWith('/p2pnode/one'))).toEqual([])
    expect(a.libp2p.getProtocols()).toContain('/p2pnode/one/kad/1.0.0')
    expect((a.libp2p.services.dht as unknown as { routingTable: { size: number } }).routingTable.size).toBe(0)
  })

  it('asks only, and answers nobody, as a client', async () => {
    const a = await start({ network: { dht: 'client' } })
    expect(a.libp2p.services.dht.getMode()).toBe('client')
    expect(a.libp2p.getProtocols()).not.toContain('/p2pnode/test/kad/1.0.0')
    const b = await start()
    expect(b.libp2p.services.dht.getMode()).toBe('server')
  })
})
