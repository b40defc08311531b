import { delegatedRoutingV1HttpApiClient } from '@helia/delegated-routing-v1-http-api-client'
import fastify, { type FastifyInstance } from 'fastify'
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MAX_JSON_RESULTS, MAX_PUTS_PER_MINUTE } from '../../../src/api/routing/limits.ts'
import { type RoutingDependencies, routingRoutes } from '../../../src/api/routing/index.ts'
import { createNames, ipnsNamespace, type Names } from '../../../src/content/names/index.ts'
import { createRouting } from '../../../src/content/routing/index.ts'
import type { RoutedPeer, RoutingSource } from '../../../src/content/routing/types.ts'
import { knownRoutes } from '../../../src/network/index.ts'
import { cidOf } from '../../support/api-server.ts'
import { newName, rawRecord } from '../../support/names.ts'
import { eventually, quietLogger, startTestNode, stopAll, type TestNode } from '../../support/network.ts'

const PRIVATE = 'bafkqaaip'
const RECORD_TYPE = 'application/vnd.ipfs.ipns-record'
const isPrivate = (cid: CID): boolean => cid.toString() === PRIVATE

interface House {
  node: TestNode
  names: Names
  held: Set<string>
  app: FastifyInstance
  url: string
}

async function serve(dependencies: RoutingDependencies): Promise<{ app: FastifyInstance; url: string }> {
  const app = fastify({ forceCloseConnections: true })
  void app.register(async (scope) => routingRoutes(dependencies)(scope))
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

async function start(bootstrap: string[] = []): Promise<House> {
  const node = await startTestNode({ network: { bootstrap }, init: { dhtNamespaces: [ipnsNamespace] } })
  const { libp2p, log } = node
  const hasRoutes = (): boolean => knownRoutes(libp2p.services.dht) > 0
  const names = createNames({
    state: node.state,
    identity: node,
    dhts: [{ dht: libp2p.services.dht, hasRoutes }],
    dnslink: [],
    isPrivate,
    log,
  })
  const held = new Set<string>()
  const blocks = { has: async (cid: CID) => held.has(cid.toString()) }
  const routing = createRouting({ libp2p, blocks, hasRoutes, isPrivate, log })
  return { node, names, held, ...(await serve({ routing, names, isPrivate, log })) }
}

let a: House
let b: House
let cid: CID
beforeAll(async () => {
  a = await start()
  b = await start([a.node.address])
  await eventually('they know each other', () =>
    [a, b].every(({ node }) => knownRoutes(node.libp2p.services.dht) === 1),
  )
  cid = await cidOf(new TextEncoder().encode('routed'))
  b.held.add(cid.toString())
  await b.node.libp2p.contentRouting.provide(cid, { signal: AbortSignal.timeout(10_000) })
})
afterAll(async () => {
  await Promise.all([a, b].map(({ app }) => app.close()))
  await Promise.all([a, b].map(({ names }) => names.stop()))
  await stopAll([a.node, b.node])
})

const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${a.url}/routing/v1/${path}`, init)
const client = () =>
  delegatedRoutingV1HttpApiClient({ url: new URL(a.url), cacheTTL: 0 })({ logger: a.node.libp2p.logger })

async function gather<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

describe('delegated routing, asked by the public client', () => {
  it('tells who has content', async () => {
    const providers = await gather(client().getProviders(cid))
    expect(providers.map(({ ID }) => ID.toString())).toEqual([b.node.libp2p.peerId.toCID().toString()])
    expect(providers[0]?.Addrs.map(String)).toContain(b.node.address.replace(/\/p2p\/.*/, ''))
    expect(await gather(client().getProviders(await cidOf(new Uint8Array([1]))))).toEqual([])
    expect(await gather(client().getProviders(cid, { filterAddrs: ['webtransport'] }))).toEqual([])
  })

  it('tells where peers are, and which are nearest to a key', async () => {
    const peers = await gather(client().getPeers(b.node.libp2p.peerId.toCID()))
    expect(peers.map(({ ID }) => ID.toString())).toEqual([b.node.libp2p.peerId.toCID().toString()])
    expect(peers[0]?.Addrs.length).toBeGreaterThan(0)
    const closest = await gather(client().getClosestPeers(cid))
    expect(closest.map(({ ID }) => ID.toString())).toEqual([b.node.libp2p.peerId.toCID().toString()])
  })

  it('finds and publishes records of names', async () => {
    const { name } = await b.names.publish({
      address: '/ipfs/bafkqaaik',
      signal: AbortSignal.timeout(10_000),
    })
    const found = await client().getIPNS(CID.parse(name, base36))
    const { bytes } = await b.names.record(name, { signal: AbortSignal.timeout(10_000) })
    expect(Buffer.from(found)).toEqual(Buffer.from(bytes))

    const other = await newName()
    const record = await rawRecord(other.key, { Sequence: 3n })
    await client().putIPNS(CID.parse(other.name.text, base36), record)
    const seen = await b.names.record(other.name.text, { signal: AbortSignal.timeout(10_000) })
    expect(seen.sequence).toBe(3n)
  })
})

describe('answers of the routing API', () => {
  it('are one JSON, or lines where those are asked for', async () => {
    const json = await ask(`providers/${cid}`)
    expect(json.headers.get('content-type')).toMatch(/^application\/json/)
    expect(json.headers.get('cache-control')).toContain('max-age=300')
    expect(json.headers.get('vary')).toBe('Accept')
    const body = (await json.json()) as { Providers: { Schema: string; ID: string }[] }
    expect(body.Providers).toMatchObject([{ Schema: 'peer', ID: b.node.peer }])
    const lines = await ask(`providers/${cid}`, { headers: { accept: 'application/x-ndjson' } })
    expect(lines.headers.get('content-type')).toBe('application/x-ndjson')
    expect(JSON.parse((await lines.text()).trim())).toEqual(body.Providers[0])
  })

  it('name this node where it has the content itself', async () => {
    const response = await fetch(`${b.url}/routing/v1/providers/${cid}`)
    expect(((await response.json()) as { Providers: { ID: string }[] }).Providers[0]?.ID).toBe(b.node.peer)
  })

  it('are empty, not failures, where nobody knows, and kept shortly', async () => {
    const nobody = await cidOf(new Uint8Array([2]))
    const empty = await ask(`providers/${nobody}`)
    expect([empty.status, await empty.json()]).toEqual([200, { Providers: [] }])
    expect(empty.headers.get('cache-control')).toContain('max-age=15')
    const lines = await ask(`providers/${nobody}`, { headers: { accept: 'application/x-ndjson' } })
    expect([lines.status, await lines.text()]).toEqual([200, ''])
    const { name } = await newName()
    const record = await ask(`ipns/${name.text}`, { headers: { accept: RECORD_TYPE } })
    expect([record.status, record.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8'])
  })

  it('say how long a record may be kept', async () => {
    const { key, name } = await newName()
    await a.names.import(name.text, await rawRecord(key, { TTL: 30_000_000_000n }), {
      keep: false,
      signal: AbortSignal.timeout(10_000),
    })
    const response = await ask(`ipns/${name.text}`, { headers: { accept: RECORD_TYPE } })
    expect(response.headers.get('cache-control')).toMatch(/max-age=30, stale-while-revalidate=35\d\d/)
    expect(response.headers.get('content-type')).toBe(RECORD_TYPE)
    expect(response.headers.get('etag')).toMatch(/^"[\w-]{43}"$/)
    expect(Date.parse(response.headers.get('expires') ?? '')).toBeGreaterThan(Date.now())
  })

  it('tell nothing of what is private, and ask nobody for it', async () => {
    a.held.add(PRIVATE)
    expect(await (await ask(`providers/${PRIVATE}`)).json()).toEqual({ Providers: [] })
    expect(await (await ask(`dht/closest/peers/${PRIVATE}`)).json()).toEqual({ Peers: [] })
    const { key, name } = await newName()
    const record = await rawRecord(key, { Value: Buffer.from(`/ipfs/${PRIVATE}/x`) })
    const headers = { 'content-type': RECORD_TYPE }
    const put = await ask(`ipns/${name.text}`, { method: 'PUT', headers, body: Uint8Array.from(record) })
    expect(put.status).toBe(400)
    expect(await (await ask(`ipns/${name.text}`, { headers: { accept: RECORD_TYPE } })).text()).toBe(
      'no record found\n',
    )
  })

  it('have the status that the specification gives to what is wrong', async () => {
    const { key, name } = await newName()
    const stranger = await newName()
    const put = (body: Uint8Array, type = RECORD_TYPE): Promise<Response> =>
      ask(`ipns/${name.text}`, {
        method: 'PUT',
        headers: { 'content-type': type },
        body: Uint8Array.from(body),
      })
    for (const [response, status] of [
      [await ask('providers/nonsense'), 422],
      [await ask(`providers/${'b'.repeat(600)}`), 422],
      [await ask(`providers/${cid}?filter-addrs=${'x,'.repeat(100)}`), 422],
      [await ask(`providers/${cid}?filter-addrs=a&filter-addrs=b`), 422],
      [await ask(`peers/${cid}`), 422],
      [await ask('peers/..%2f..'), 422],
      [await ask('dht/closest/peers/x'), 422],
      [await ask('ipns/nonsense', { headers: { accept: RECORD_TYPE } }), 400],
      [await ask(`ipns/${name.text}`, { headers: { accept: 'text/html' } }), 406],
      [await put(await rawRecord(stranger.key)), 400],
      [await put(new Uint8Array([1, 2, 3])), 400],
      [await put(new Uint8Array(20_000)), 413],
      [await put(await rawRecord(key), 'application/json'), 406],
      [await ask('something'), 400],
      [await ask(`providers/${cid}`, { method: 'POST' }), 501],
    ] as const) {
      expect([response.url, response.status]).toEqual([response.url, status])
      expect((await response.text()).length).toBeLessThan(300)
    }
  })
})

describe('bounds of the routing API', () => {
  const peer: RoutedPeer = {
    id: '12D3KooWGRUfLsyJUWbM7ytJbYfSVPHQjKjxZ3VZJ9JYvbhfBPhe',
    addrs: [],
    protocols: [],
  }
  const source = (changes: Partial<RoutingSource>): RoutingSource => ({
    async *providers() {
      for (;;) yield peer
    },
    peer: async () => peer,
    closest: async () => [peer],
    ...changes,
  })
  const names = {
    record: async () => Promise.reject(new Error('inside')),
    import: async () => Promise.reject(new Error('inside')),
  }

  it('hold of results, whoever gives them without end', async () => {
    const { app, url } = await serve({ routing: source({}), names, isPrivate, log: quietLogger() })
    const json = (await (await fetch(`${url}/routing/v1/providers/${cid}`)).json()) as {
      Providers: unknown[]
    }
    expect(json.Providers).toHaveLength(MAX_JSON_RESULTS)
    const headers = { accept: 'application/x-ndjson' }
    const lines = await (await fetch(`${url}/routing/v1/providers/${cid}`, { headers })).text()
    expect(lines.trim().split('\n')).toHaveLength(1_000)
    await app.close()
  })

  it('end a look-up with its client, and hold those under way to a number', async () => {
    const signals: AbortSignal[] = []
    const waiting = source({
      async *providers(_cid, { signal }) {
        signals.push(signal)
        await new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        )
        yield peer
      },
    })
    const { app, url } = await serve({ routing: waiting, names, isPrivate, log: quietLogger() })
    const gone = new AbortController()
    const requests = Array.from({ length: 64 }, () =>
      fetch(`${url}/routing/v1/providers/${cid}`, { signal: gone.signal }).catch(() => undefined),
    )
    await eventually('all are under way', () => signals.length === 64)
    const refused = await fetch(`${url}/routing/v1/providers/${cid}`)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5'])
    await refused.text()
    gone.abort()
    await Promise.all(requests)
    await eventually('all have ended', () => signals.every(({ aborted }) => aborted))
    await app.close()
  })

  it('hold one address to a rate, records above all, and tell nothing from inside', async () => {
    const { app, url } = await serve({
      routing: source({}),
      names,
      isPrivate,
      log: quietLogger(),
      maxRequestsPerMinute: 50,
    })
    const { key, name } = await newName()
    const body = Uint8Array.from(await rawRecord(key))
    const put = () =>
      fetch(`${url}/routing/v1/ipns/${name.text}`, {
        method: 'PUT',
        headers: { 'content-type': RECORD_TYPE },
        body,
      })
    const first = await put()
    expect([first.status, await first.text()]).toEqual([
      500,
      'The node failed; its log says more under the request id\n',
    ])
    for (let count = 1; count < MAX_PUTS_PER_MINUTE; count++) await put()
    expect((await put()).status).toBe(429)
    const statuses: number[] = []
    for (let count = 0; count < 51; count++)
      statuses.push((await fetch(`${url}/routing/v1/peers/${peer.id}`)).status)
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(0)
    await app.close()
  })
})
