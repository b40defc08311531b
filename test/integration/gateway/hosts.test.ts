import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { CID } from 'multiformats/cid'
import { base36 } from 'multiformats/bases/base36'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { GatewayNames } from '../../../src/api/gateway/types.ts'
import { ask, directory, type GatewayBench, openGateway, put, rawBlock } from '../../support/gateway.ts'

const hello = rawBlock('hello')
const lost = rawBlock('lost page')
const redirects = rawBlock(
  [
    '# rules',
    '/old /new 302',
    '/u/:id/x /user?id=:id&s=1',
    '/blog/* /posts/:splat 308',
    '/away/* https://example.net/:splat',
    '/gone/* /lost.html 410',
    '/* /lost.html 404',
  ].join('\r\n'),
)
const site = directory([
  ['_redirects', redirects],
  ['hello', hello],
  ['lost.html', lost],
])
const outer = directory([['www', site]])
const broken = directory([['_redirects', rawBlock('/a /b 999')]])
const large = directory([['_redirects', rawBlock('#'.repeat(64 * 1024 + 1))]])

const KEY = 'k51qzi5uqu5dk3v4rmjber23h16xnr23bsggmqqil9z2gduiis5se8dht36dam'
const PEER = '12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d'
const asked: string[] = []
const names: GatewayNames = {
  async resolve(name) {
    asked.push(name)
    const path = new Map([
      [KEY, `/ipfs/${hello.cid}`],
      ['site.example.org', `/ipfs/${outer.cid}/www`],
      ['strange.example.org', '/ipfs/nonsense'],
    ]).get(name)
    if (path === undefined) throw new P2pnodeError('ERR_NAME_NOT_FOUND', 'not-found', `nobody knows ${name}`)
    return { path, ttlMs: 90_500 }
  },
  async record(name) {
    return { bytes: new TextEncoder().encode(`record of ${name}`), ttlMs: 60_000 }
  },
}

let bench: GatewayBench
beforeAll(async () => {
  bench = await openGateway({ names, settings: { hosts: ['localhost', 'gw.example.net'] } })
  await put(bench.node, hello, lost, redirects, site, outer, broken, large)
  await put(bench.node, rawBlock('/a /b 999'), rawBlock('#'.repeat(64 * 1024 + 1)))
})
afterAll(() => bench.close())

const get = (host: string, path: string, headers: Record<string, string> = {}) =>
  ask(bench.port, path, { headers: { host, ...headers } })
const where = async (host: string, path: string, headers: Record<string, string> = {}) => {
  const answer = await get(host, path, headers)
  return [answer.status, answer.headers['location']]
}

describe('subdomains', () => {
  it('have every root as an origin of its own', async () => {
    expect((await get(`${hello.cid}.ipfs.localhost:80`, '/')).text).toBe('hello')
    expect((await get(`${site.cid}.ipfs.gw.example.net`, '/hello')).text).toBe('hello')
    expect((await get(`${KEY}.ipns.localhost`, '/')).text).toBe('hello')
    expect((await get('site-example-org.ipns.localhost', '/hello')).text).toBe('hello')
    expect((await get('site.example.org.ipns.localhost', '/hello')).text).toBe('hello')
  })

  it('are where paths are sent to', async () => {
    const v0 = site.cid.toV0()
    expect(await where('localhost:80', `/ipfs/${hello.cid}`)).toEqual([
      301,
      `http://${hello.cid}.ipfs.localhost:80/`,
    ])
    expect(await where('localhost', `/ipfs/${v0}/a%20b/?q=%20`)).toEqual([
      301,
      `http://${site.cid}.ipfs.localhost/a%20b/?q=%20`,
    ])
    expect(await where('localhost', `/ipns/${PEER}/x`)).toEqual([301, `http://${KEY}.ipns.localhost/x`])
    expect(await where('localhost', '/ipns/a-b.example.org/x')).toEqual([
      301,
      'http://a--b-example-org.ipns.localhost/x',
    ])
    expect(await where('127.0.0.1', `/ipfs/${hello.cid}`)).toEqual([200, undefined])
  })

  it('are canonical', async () => {
    const other = hello.cid.toString(base36)
    expect(await where(`${other}.ipfs.localhost`, '/x?y')).toEqual([
      301,
      `http://${hello.cid}.ipfs.localhost/x?y`,
    ])
  })

  it('heed what a proxy says of itself, and only for known names', async () => {
    const forwarded = { 'x-forwarded-host': 'gw.example.net', 'x-forwarded-proto': 'https' }
    expect(await where('inside', `/ipfs/${hello.cid}/`, forwarded)).toEqual([
      301,
      `https://${hello.cid}.ipfs.gw.example.net/`,
    ])
    for (const host of [
      'evil.example',
      'gw.example.net@evil.example',
      'evil.example/gw.example.net',
      'gw.example.net\u00e9',
    ]) {
      const [status, location] = await where('inside', `/ipfs/${hello.cid}/`, { 'x-forwarded-host': host })
      expect([status, location]).toEqual([200, undefined])
    }
  })

  it('are no longer than a label', async () => {
    const long = `${CID.createV1(0x55, { ...hello.cid.multihash, code: 0x13, size: 64, digest: new Uint8Array(64), bytes: new Uint8Array([0x13, 64, ...new Uint8Array(64)]) })}`
    for (const [host, path] of [
      ['localhost', `/ipfs/${long}`],
      [`${long}.ipfs.localhost`, '/'],
    ] as const) {
      const { status, text: body } = await get(host, path)
      expect(status).toBe(400)
      expect(body).toContain('CID incompatible with DNS label length limit of 63')
    }
  })

  it('mount no further content', async () => {
    expect((await get(`${hello.cid}.ipfs.localhost`, `/ipfs/${hello.cid}`)).status).toBe(404)
    expect((await get('nonsense.ipfs.localhost', '/')).status).toBe(400)
    expect((await get('no_name.ipns.localhost', '/')).status).toBe(400)
  })

  it('are reached through the gateway as a proxy, and nothing else is', async () => {
    expect((await ask(bench.port, `http://${hello.cid}.ipfs.localhost/`)).text).toBe('hello')
    const socket = connect(bench.port, '127.0.0.1')
    socket.write('CONNECT example.net:443 HTTP/1.1\r\nHost: example.net:443\r\n\r\n')
    await new Promise((resolve) => socket.once('data', resolve))
    socket.write(`GET / HTTP/1.1\r\nHost: ${hello.cid}.ipfs.localhost\r\nConnection: close\r\n\r\n`)
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 [^]*hello$/)
  })

  it('resolve addresses of browsers', async () => {
    expect(await where('localhost', `/ipfs/?uri=${encodeURIComponent(`ipfs://${hello.cid}/a b`)}`)).toEqual([
      301,
      `/ipfs/${hello.cid}/a%20b`,
    ])
    expect((await get('localhost', '/ipfs/?uri=https%3A%2F%2Fevil.example')).status).toBe(400)
  })
})

describe('names', () => {
  it('on paths are canonical and cached for as long as they hold', async () => {
    expect(await where('127.0.0.1', `/ipns/${PEER}/x/`)).toEqual([302, `/ipns/${KEY}/x/`])
    const { headers, text: body } = await get('127.0.0.1', `/ipns/${KEY}`)
    expect([body, headers['cache-control'], headers['x-ipfs-path']]).toEqual([
      'hello',
      'public, max-age=90',
      `/ipns/${KEY}`,
    ])
  })

  it('have records', async () => {
    const { headers, text: body } = await get('127.0.0.1', `/ipns/${KEY}?format=ipns-record`)
    expect([body, headers['content-type']]).toEqual([`record of ${KEY}`, 'application/vnd.ipfs.ipns-record'])
    expect((await get('127.0.0.1', `/ipns/${KEY}/x?format=ipns-record`)).status).toBe(400)
    expect((await get('127.0.0.1', `/ipfs/${hello.cid}?format=ipns-record`)).status).toBe(400)
  })

  it('that lead nowhere say so', async () => {
    expect((await get('127.0.0.1', '/ipns/unknown.example.org')).status).toBe(404)
    expect((await get('127.0.0.1', '/ipns/strange.example.org')).status).toBe(502)
    const key = 'k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8'
    const { status, headers } = await get('127.0.0.1', `/ipns/${key}`)
    expect([status, headers['retry-after']]).toEqual([502, '5'])
  })

  it('are hosts, unless they lead nowhere', async () => {
    expect((await get('site.example.org', '/hello')).text).toBe('hello')
    // A website's origin is its own: nobody else's content is mounted there.
    expect((await get('site.example.org', `/ipfs/${lost.cid}`)).status).toBe(404)
    expect((await get('unknown.example.org', `/ipfs/${hello.cid}`)).text).toBe('hello')
    expect((await get('unknown.example.org', '/hello')).status).toBe(404)
    expect((await get('site.example.org', '/')).text).toContain('https://cid.ipfs.tech/#')
  })
})

describe('_redirects', () => {
  const host = 'site.example.org'
  it('are heeded where nothing else is', async () => {
    expect(await where(host, '/hello')).toEqual([200, undefined])
    expect(await where(host, '/old')).toEqual([302, '/new'])
    expect(await where(host, '/blog/2026/a%2Cb')).toEqual([308, '/posts/2026/a%2Cb'])
    expect(await where(host, '/u/7/x?s=2&t=3')).toEqual([301, '/user?id=7&s=2&t=3'])
    expect(await where(host, '/away/x%0d%0aset-cookie:%20a')).toEqual([
      301,
      'https://example.net/x%0D%0Aset-cookie%3A%20a',
    ])
    const gone = await get(host, '/gone/x')
    expect([gone.status, gone.text, gone.headers['etag']]).toEqual([410, 'lost page', `"${lost.cid}"`])
    expect((await get(`${site.cid}.ipfs.localhost`, '/nothing')).status).toBe(404)
    expect((await get(`${site.cid}.ipfs.localhost`, '/nothing')).text).toBe('lost page')
  })

  it('are not heeded where content shares an origin, nor for blocks', async () => {
    expect((await get('127.0.0.1', `/ipfs/${site.cid}/old`)).status).toBe(404)
    expect((await get(host, '/old?format=raw')).status).toBe(404)
  })

  it('that are wrong say what', async () => {
    const wrong = await get(`${broken.cid}.ipfs.localhost`, '/x')
    expect([wrong.status, wrong.text]).toEqual([
      500,
      'could not parse _redirects: line 1: the status "999" is not supported\n',
    ])
    const big = await get(`${large.cid}.ipfs.localhost`, '/x')
    expect([big.status, big.text]).toEqual([
      500,
      'could not parse _redirects: redirects file size cannot exceed 65536 bytes\n',
    ])
  })
})

describe('service workers', () => {
  it('are not let to govern all roots', async () => {
    const worker = { 'service-worker': 'script' }
    expect((await get('127.0.0.1', `/ipfs/${hello.cid}`, worker)).status).toBe(400)
    expect((await get('127.0.0.1', `/ipns/${KEY}`, worker)).status).toBe(400)
    expect((await get('127.0.0.1', `/ipfs/${site.cid}/hello`, worker)).status).toBe(200)
    expect((await get(`${hello.cid}.ipfs.localhost`, '/', worker)).status).toBe(200)
  })
})

describe('routes of other services', () => {
  it('are served beside content, with the rules of the server', async () => {
    const { port } = await bench.another({
      names,
      routes: [
        (app) => {
          app.get('/routing/v1/providers/:cid', (request, reply) => reply.send({ asked: request.params }))
          app.put('/routing/v1/ipns/:name', (request, reply) => reply.send({ got: request.body }))
        },
      ],
    })
    const got = await ask(port, '/routing/v1/providers/abc?x=1', { headers: { host: 'site.example.org' } })
    expect([got.status, got.text]).toEqual([200, '{"asked":{"cid":"abc"}}'])
    expect(got.headers['access-control-allow-origin']).toBe('*')
    expect((await ask(port, '/routing/v1/nothing')).status).toBe(404)
    const large = await fetch(`http://127.0.0.1:${port}/routing/v1/ipns/x`, {
      method: 'PUT',
      body: JSON.stringify('a'.repeat(70_000)),
      headers: { 'content-type': 'application/json' },
    })
    expect(large.status).toBe(413)
    // Below a root the same path is content.
    const own = await ask(port, '/routing/v1/nothing', { headers: { host: `${hello.cid}.ipfs.localhost` } })
    expect(own.text).toContain('there is no')
  })
})
