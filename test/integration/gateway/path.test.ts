import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ask,
  blockOf,
  cborBlock,
  directory,
  fileOf,
  type GatewayBench,
  jsonBlock,
  openGateway,
  put,
  rawBlock,
  symlink,
} from '../../support/gateway.ts'

const hello = rawBlock('hello gateway\n')
const page = rawBlock('<!doctype html><script>steal()</script>')
const json = rawBlock('{"a": [1, 2]}')
const parts = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'].map((text) => rawBlock(text))
const long = fileOf(parts)
const awkward = 'a "b" <i>&\'ą %2F.txt'
const link = symlink('../hello.txt')
const site = directory([['index.html', page]])
const sub = directory([
  ['hello.txt', hello],
  [awkward, hello],
  ['link', link],
])
const root = directory([
  ['long', long],
  ['page', page],
  ['data', json],
  ['site', site],
  ['sub', sub],
])
const value = cborBlock({ a: { link: hello.cid }, b: [1, root.cid] })
const jsonValue = jsonBlock({ hello: 'world', on: hello.cid })
const plainJson = blockOf(0x0200, '{"plain":true}')

let bench: GatewayBench
beforeAll(async () => {
  bench = await openGateway()
  await put(bench.node, hello, page, json, ...parts, long, link, site, sub, root, value, jsonValue, plainJson)
})
afterAll(() => bench.close())

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  ask(bench.port, path, { headers, method })

describe('files', () => {
  it('come with what caches and browsers need', async () => {
    const { status, headers, text } = await get(`/ipfs/${root.cid}/sub/hello.txt`)
    expect([status, text]).toEqual([200, 'hello gateway\n'])
    expect(headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '14',
      'accept-ranges': 'bytes',
      etag: `"${hello.cid}"`,
      'cache-control': 'public, max-age=29030400, immutable',
      'x-ipfs-path': `/ipfs/${root.cid}/sub/hello.txt`,
      'x-ipfs-roots': [root.cid, sub.cid, hello.cid].join(','),
      'x-content-type-options': 'nosniff',
      'access-control-allow-origin': '*',
    })
    expect(headers['last-modified']).toBeUndefined()
    expect(headers['content-disposition']).toBeUndefined()
  })

  it('answer HEAD with the same head and nothing else', async () => {
    const { status, headers, text } = await get(`/ipfs/${long.cid}`, {}, 'HEAD')
    expect([status, headers['content-length'], text]).toEqual([200, '30', ''])
  })

  it.each([
    ['bytes=8-11', '8-11', 'aabb'],
    ['bytes=25-', '25-29', 'ccccc'],
    ['bytes=-3', '27-29', 'ccc'],
    ['bytes=-99', '0-29', parts.map(({ bytes }) => Buffer.from(bytes).toString()).join('')],
    ['bytes=28-999999999999', '28-29', 'cc'],
  ])('give the range %s', async (range, told, body) => {
    const { status, headers, text } = await get(`/ipfs/${long.cid}`, { range })
    expect([status, headers['content-range'], text]).toEqual([206, `bytes ${told}/30`, body])
    expect(headers['content-length']).toBe(String(body.length))
  })

  it('give several ranges as multipart', async () => {
    const { status, headers, text, body } = await get(`/ipfs/${long.cid}`, { range: 'bytes=0-1, 10-11,-2' })
    const [, boundary] = /^multipart\/byteranges; boundary=(.+)$/.exec(headers['content-type'] ?? '') ?? []
    expect([status, headers['content-length']]).toEqual([206, String(body.length)])
    const bodies = text.split(`--${boundary}`).slice(1, -1)
    expect(bodies.map((one) => /Content-Range: bytes (\S+)\r\n\r\n(.*)\r\n/s.exec(one)?.slice(1))).toEqual([
      ['0-1/30', 'aa'],
      ['10-11/30', 'bb'],
      ['28-29/30', 'cc'],
    ])
  })

  it.each([
    'bytes=0-99,0-99',
    'bytes=0-1,2-3,4-5,6-7,8-9,10-11,12-13,14-15,16-17',
    'bytes=9-3',
    'lines=1-2',
    'bytes=',
    `bytes=${'9'.repeat(400)}-`,
  ])('ignore the range %s', async (range) => {
    expect((await get(`/ipfs/${long.cid}`, { range })).status).toBe(200)
  })

  it('refuse a range that lies outside', async () => {
    const { status, headers } = await get(`/ipfs/${long.cid}`, { range: 'bytes=30-40' })
    expect([status, headers['content-range']]).toEqual([416, 'bytes */30'])
  })

  it('heed If-None-Match and If-Range', async () => {
    const path = `/ipfs/${hello.cid}`
    for (const tag of [`"${hello.cid}"`, `W/"${hello.cid}"`, `"x", "${hello.cid}"`, '*']) {
      expect((await get(path, { 'if-none-match': tag })).status).toBe(304)
    }
    expect((await get(path, { 'if-none-match': '"other"' })).status).toBe(200)
    expect((await get(path, { range: 'bytes=0-0', 'if-range': '"other"' })).status).toBe(200)
  })

  it('are named by filename and download', async () => {
    const named = await get(`/ipfs/${hello.cid}?filename=${encodeURIComponent('b\r\n"ä.html')}`)
    expect(named.headers['content-disposition']).toBe(
      `inline; filename="b___a.html".`.replace(
        'b___a.html".',
        `b____.html"; filename*=UTF-8''b%0D%0A%22%C3%A4.html`,
      ),
    )
    const saved = await get(`/ipfs/${root.cid}/sub/hello.txt?download=true`)
    expect(saved.headers['content-disposition']).toContain('attachment; filename="hello.txt"')
  })

  it('that are pages run in an origin of nobody where all content shares one', async () => {
    const { headers } = await get(`/ipfs/${root.cid}/page`)
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(headers['content-security-policy']).toMatch(/^sandbox /)
    expect(headers['content-security-policy']).not.toContain('allow-same-origin')
    const own = await get('/page', { host: `${root.cid}.ipfs.localhost` })
    expect([own.status, own.headers['content-security-policy']]).toEqual([200, undefined])
  })

  it('are what their name says, whatever they begin with', async () => {
    const { headers } = await get(`/ipfs/${page.cid}?filename=notes.txt`)
    expect(headers['content-type']).toBe('text/plain; charset=utf-8')
    expect((await get(`/ipfs/${json.cid}`)).headers['content-type']).toBe('application/json')
  })

  it('are given as JSON only if they are', async () => {
    expect((await get(`/ipfs/${json.cid}?format=json`)).headers['content-type']).toBe('application/json')
    expect((await get(`/ipfs/${hello.cid}?format=json`)).status).toBe(406)
  })
})

describe('directories', () => {
  it('are called by a path with a slash', async () => {
    const { status, headers } = await get(`/ipfs/${root.cid}/sub?x=1`)
    expect([status, headers['location']]).toEqual([301, `/ipfs/${root.cid}/sub/?x=1`])
    // Two slashes would be another host.
    const own = await get('//site', { host: `${root.cid}.ipfs.localhost` })
    expect([own.status, own.headers['location']]).toEqual([301, '/site/'])
  })

  it('are listed without a script, and with names that cannot leave their place', async () => {
    const { status, headers, text } = await get(`/ipfs/${root.cid}/sub/`)
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(headers['etag']).toMatch(new RegExp(`^"DirIndex-.*_CID-${sub.cid}"$`))
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    expect(headers['cache-control']).not.toContain('immutable')
    expect(text).not.toContain('<i>')
    expect(text).not.toContain('<script')
    expect(text).toContain(`<a href="/ipfs/${root.cid}/sub/..">..</a>`)
    const href = [...text.matchAll(/href="([^"]*)">a &quot;b&quot; &lt;i&gt;&amp;&#39;ą %2F\.txt</g)][0]?.[1]
    expect((await get((href as string).replaceAll('&#39;', "'"))).text).toBe('hello gateway\n')
    expect((await get(`/ipfs/${root.cid}/sub/`, { 'if-none-match': headers['etag'] as string })).status).toBe(
      304,
    )
  })

  it('with an index.html are that, under their own tag', async () => {
    const { headers, text } = await get(`/ipfs/${root.cid}/site/`)
    expect([text, headers['etag']]).toEqual([Buffer.from(page.bytes).toString(), `"${site.cid}"`])
  })

  it('are no JSON', async () => {
    expect((await get(`/ipfs/${root.cid}?format=json`)).status).toBe(406)
  })

  it('tell where a link leads and do not follow it', async () => {
    expect((await get(`/ipfs/${root.cid}/sub/link`)).text).toBe('../hello.txt')
    expect((await get(`/ipfs/${root.cid}/sub/link/hello.txt`)).status).toBe(404)
  })
})

describe('values', () => {
  it('are walked link by link', async () => {
    expect((await get(`/ipfs/${value.cid}/a/link`)).text).toBe('hello gateway\n')
    expect((await get(`/ipfs/${value.cid}/b/1/sub/hello.txt`)).text).toBe('hello gateway\n')
    expect((await get(`/ipfs/${value.cid}/a`)).status).toBe(501)
    expect((await get(`/ipfs/${value.cid}/a/nothing`)).status).toBe(404)
    expect((await get(`/ipfs/${value.cid}/a/__proto__`)).status).toBe(404)
  })

  it('come as they are, under the names that fit', async () => {
    const plain = await get(`/ipfs/${value.cid}`)
    expect([plain.headers['content-type'], plain.headers['etag']]).toEqual([
      'application/vnd.ipld.dag-cbor',
      `"${value.cid}.dag-cbor"`,
    ])
    expect(plain.headers['content-disposition']).toContain(`attachment; filename="${value.cid}.cbor"`)
    expect((await get(`/ipfs/${value.cid}?format=cbor`)).headers['content-type']).toBe('application/cbor')
    expect((await get(`/ipfs/${value.cid}?format=dag-json`)).status).toBe(406)
    expect((await get(`/ipfs/${plainJson.cid}`)).headers['content-type']).toBe('application/json')
    expect((await get(`/ipfs/${hello.cid}?format=dag-cbor`)).status).toBe(406)
    const named = await get(`/ipfs/${jsonValue.cid}`, { accept: 'application/vnd.ipld.dag-json' })
    expect(named.headers['content-location']).toBe(`/ipfs/${jsonValue.cid}?format=dag-json`)
  })

  it('have a page for people', async () => {
    const { headers, text } = await get(`/ipfs/${jsonValue.cid}/`, { accept: 'text/html' })
    expect(headers['content-type']).toContain('text/html')
    expect(headers['etag']).toContain('DagIndex-')
    expect(text).toContain('&quot;hello&quot;: &quot;world&quot;')
  })
})

describe('what is not there', () => {
  it.each([
    ['/ipfs/', 400],
    ['/ipfs/nonsense', 400],
    ['/ipfs/QmInvalidCID', 400],
    [`/ipfs/${root.cid}/nothing`, 404],
    [`/ipfs/${rawBlock('nobody has this').cid}`, 404],
    [`/ipfs/${root.cid}?format=zip`, 400],
    ['/ipns/example.org', 501],
    ['/ipns/%20', 400],
    ['/', 404],
    ['/content', 404],
    ['/robots.txt', 404],
  ])('%s is %i', async (path, status) => {
    const answer = await get(path)
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'text/plain; charset=utf-8'])
    expect(answer.headers['access-control-allow-origin']).toBe('*')
  })

  it('is 412 where the client wants only what is held', async () => {
    const headers = { 'cache-control': 'only-if-cached' }
    expect((await get(`/ipfs/${hello.cid}`, headers)).status).toBe(200)
    expect((await get(`/ipfs/${rawBlock('nor this').cid}`, headers)).status).toBe(412)
  })

  it('is not written, and not asked for by other methods', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const { status, headers } = await get(`/ipfs/${hello.cid}`, {}, method)
      expect([status, headers['allow']]).toEqual([405, 'GET, HEAD, OPTIONS'])
    }
    expect((await get(`/ipfs/${hello.cid}`, {}, 'OPTIONS')).status).toBe(204)
  })

  it('says nothing of who was asked', async () => {
    const { text } = await get(`/ipfs/${rawBlock('nobody at all').cid}`)
    expect(text).toMatch(/^bafkrei\w+ could not be had\n$/)
  })
})

describe('what may not leave', () => {
  it('private blocks are nowhere, denied ones are gone, in every form', async () => {
    const { port } = await bench.another({
      privateMark: { isPrivate: (cid) => cid.equals(hello.cid) },
      settings: { denied: [`${page.cid}`] },
    })
    for (const query of ['', '?format=raw', '?format=car', '?format=tar']) {
      expect((await ask(port, `/ipfs/${hello.cid}${query}`)).status).toBe(404)
      expect((await ask(port, `/ipfs/${root.cid}/page${query}`)).status).toBe(410)
    }
    // Below another codec it is the same block.
    const other = page.cid.toString().replace('bafkrei', 'bafybei')
    expect((await ask(port, `/ipfs/${other}?format=raw`)).status).toBe(410)
    expect((await ask(port, `/ipfs/${root.cid}/long`)).status).toBe(200)
  })

  it('a gateway for verifying clients gives no files', async () => {
    const { port } = await bench.another({ settings: { deserialized: false } })
    expect((await ask(port, `/ipfs/${hello.cid}`)).status).toBe(406)
    expect((await ask(port, `/ipfs/${hello.cid}?format=raw`)).status).toBe(200)
    expect((await ask(port, `/ipfs/${root.cid}?format=tar`)).status).toBe(406)
  })

  it('blocked addresses get nothing', async () => {
    const { port } = await bench.another({ decideAddress: () => ({ allowed: false, reason: 'deny-list' }) })
    expect((await ask(port, `/ipfs/${hello.cid}`)).status).toBe(403)
  })
})
