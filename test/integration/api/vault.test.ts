import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { call } from '../../support/api-calls.ts'
import { type ApiBench, openApi } from '../../support/api-server.ts'
import { READ_LINK, VERIFY_LINK } from '../../support/api-vault.ts'

let bench: ApiBench
let readToken: string
const bytes = randomBytes(300_000)
const sha256 = createHash('sha256').update(bytes).digest('hex')

beforeAll(async () => {
  bench = await openApi()
  const created = await call(bench, 'POST', '/api/v1/tokens', { body: { name: 'looks', scope: 'read' } })
  readToken = (created.json as { token: string }).token
})
afterAll(() => bench[Symbol.asyncDispose]())
beforeEach(() => {
  bench.vault.files.clear()
  bench.vault.put('', bytes, 'video/mp4')
})

const post = (path: string, body: object, token?: string | null) =>
  call(bench, 'POST', `/api/v1/vault/${path}`, { body, ...(token === undefined ? {} : { token }) })

const file = (path = '', init: RequestInit & { token?: string | null } = {}) =>
  fetch(`${bench.url}/api/v1/files/${encodeURIComponent(READ_LINK)}${path}`, {
    ...init,
    headers: {
      ...(init.token === null ? {} : { authorization: `Bearer ${init.token ?? bench.token}` }),
      ...(init.headers as Record<string, string>),
    },
  })

const bodyOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer())

describe('a private file for a player', () => {
  it('comes whole, in place, with the type of its manifest, and no cache keeps it', async () => {
    const response = await file()
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'video/mp4',
      'content-length': '300000',
      'accept-ranges': 'bytes',
      'content-disposition': `inline; filename="holiday.mp4"; filename*=UTF-8''holiday.mp4`,
      'cache-control': 'private, no-store',
      'x-content-type-options': 'nosniff',
      etag: `"${sha256}"`,
    })
    expect(response.headers.get('content-security-policy')).toContain('sandbox')
    expect((await bodyOf(response)).equals(bytes)).toBe(true)
  })

  it('seeks: ranges, suffixes, conditions, HEAD', async () => {
    const part = await file('', { headers: { range: 'bytes=100000-199999' } })
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 100000-199999/300000'])
    expect((await bodyOf(part)).equals(bytes.subarray(100_000, 200_000))).toBe(true)
    const end = await file('', { headers: { range: 'bytes=-5' } })
    expect((await bodyOf(end)).equals(bytes.subarray(-5))).toBe(true)
    const outside = await file('', { headers: { range: 'bytes=300000-' } })
    expect([outside.status, outside.headers.get('content-range')]).toEqual([416, 'bytes */300000'])
    const other = await file('', { headers: { range: 'bytes=0-1', 'if-range': '"other"' } })
    expect([other.status, (await bodyOf(other)).length]).toEqual([200, 300_000])
    const known = await file('', { headers: { 'if-none-match': `"${sha256}"` } })
    expect(known.status).toBe(304)
    const head = await file('', { method: 'HEAD', headers: { range: 'bytes=0-9' } })
    expect([head.status, head.headers.get('content-length')]).toEqual([206, '10'])
  })

  it('of a tree is found by its path; a folder comes as a tar stream', async () => {
    bench.vault.files.clear()
    bench.vault.put('clips/first cut.mp4', bytes, 'video/mp4')
    bench.vault.put('page.html', Buffer.from('<script>'), 'text/html')
    const clip = await file('/clips/first%20cut.mp4', { headers: { range: 'bytes=0-9' } })
    expect([clip.status, clip.headers.get('content-type')]).toEqual([206, 'video/mp4'])
    const page = await file('/page.html')
    expect(page.headers.get('content-type')).toBe('application/octet-stream')
    expect(page.headers.get('content-disposition')).toMatch(/^attachment/)
    const folder = await file('/clips')
    expect([folder.status, folder.headers.get('content-type')]).toEqual([200, 'application/x-tar'])
    expect(await folder.text()).toBe('tar of clips clips')
    expect((await file('/clips/none')).status).toBe(404)
  })

  it('needs a token, unless the operator opened it, and then on loopback alone', async () => {
    expect((await file('', { token: null })).status).toBe(401)
    await using open = await openApi({ publicRead: true })
    open.vault.put('', bytes, 'video/mp4')
    const url = `${open.url}/api/v1/files/${READ_LINK}`
    expect((await fetch(url)).status).toBe(200)
    expect((await fetch(url, { headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(403)
    expect((await fetch(`${open.url}/api/v1/vault/objects`)).status).toBe(401)
  })

  it('refuses other links in the words of the vault', async () => {
    const wrong = await fetch(`${bench.url}/api/v1/files/${VERIFY_LINK}`, {
      headers: { authorization: `Bearer ${bench.token}` },
    })
    expect([wrong.status, await wrong.json()]).toMatchObject([403, { error: { code: 'ERR_LINK_POWER' } }])
    expect((await post('cat', { link: 'p2pnode:typo' })).status).toBe(400)
  })
})

describe('reading for a program', () => {
  it('takes the link in the body, any part, and tells the sources afterwards', async () => {
    const read = (offset: number, length?: number) =>
      fetch(`${bench.url}/api/v1/vault/cat`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bench.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          link: READ_LINK,
          offset,
          read: 'read-0001',
          ...(length === undefined ? {} : { length }),
        }),
      })
    expect((await bodyOf(await read(0))).equals(bytes)).toBe(true)
    expect((await bodyOf(await read(299_990))).equals(bytes.subarray(299_990))).toBe(true)
    expect((await bodyOf(await read(5, 7))).equals(bytes.subarray(5, 12))).toBe(true)
    expect((await bodyOf(await read(400_000))).length).toBe(0)
    const told = await call(bench, 'GET', '/api/v1/vault/reads/read-0001')
    expect(told.json).toMatchObject({ sources: [{ bytes: 300_017, failures: 0 }] })
    expect((await call(bench, 'GET', '/api/v1/vault/reads/read-none')).status).toBe(404)
  })

  it('lists, resolves, shares, inspects and measures', async () => {
    const resolved = await post('resolve', { link: READ_LINK })
    expect(resolved.json).toMatchObject({ name: 'holiday.mp4', type: 'file', size: 300_000, sha256 })
    expect((await post('health', { link: VERIFY_LINK, fresh: true })).json).toMatchObject({
      state: 'healthy',
    })
    expect((await post('share', { link: READ_LINK, power: 'verify' })).json).toEqual({ text: VERIFY_LINK })
    expect((await post('inspect', { link: READ_LINK })).json).toMatchObject({ kind: 'link', slab: '00' })
    expect((await post('entries', { link: READ_LINK })).text).toContain('"size":300000')
    expect((await post('resolve', { link: READ_LINK, more: 1 })).status).toBe(400)
  })
})

describe('links are secrets', () => {
  it('a token that may only look gets none, from lists, jobs or events', async () => {
    bench.vault.objects = [
      {
        id: 'o1',
        name: 'holiday',
        version: 1,
        kind: 'file',
        size: 1,
        stored: 2,
        redundancy: 'copies:2',
        link: READ_LINK,
        createdAtMs: 1,
        expiresAtMs: 2,
        state: 'stored',
        health: 'healthy',
        healthAtMs: 3,
      },
    ]
    expect((await call(bench, 'GET', '/api/v1/vault/objects')).text).toContain(READ_LINK)
    const job = (await post('rm', { link: READ_LINK })).json as { id: string; params: unknown }
    expect(job.params).toEqual({ link: READ_LINK })
    const paths = ['vault/objects', 'jobs', `jobs/${job.id}`, `jobs/${job.id}/wait?timeoutMs=0`]
    for (const path of paths) {
      const seen = await call(bench, 'GET', `/api/v1/${path}`, { token: readToken })
      expect([path, seen.status]).toEqual([path, 200])
      expect(seen.text).not.toContain(READ_LINK)
    }
    expect((await call(bench, 'GET', `/api/v1/jobs/${job.id}`)).text).toContain(READ_LINK)

    const events = new AbortController()
    const stream = await fetch(`${bench.url}/api/v1/events?topics=jobs`, {
      headers: { authorization: `Bearer ${bench.token}` },
      signal: events.signal,
    })
    const reader = (stream.body as ReadableStream<Uint8Array>)
      .pipeThrough(new TextDecoderStream())
      .getReader()
    await post('repair', { link: READ_LINK })
    let text = ''
    while (!text.includes('"repair"')) text += (await reader.read()).value ?? ''
    expect(text).toContain('p2pnode:[hidden]')
    expect(text).not.toContain(READ_LINK)
    events.abort()
  })

  it('powers follow the scope of the token', async () => {
    expect((await post('rm', { link: READ_LINK }, readToken)).status).toBe(403)
    expect((await post('share', { link: READ_LINK, power: 'verify' }, readToken)).status).toBe(403)
    const writer = await call(bench, 'POST', '/api/v1/tokens', { body: { name: 'writes', scope: 'write' } })
    const { token } = writer.json as { token: string }
    expect((await post('share', { link: READ_LINK, power: 'verify' }, token)).status).toBe(200)
    expect((await post('share', { link: READ_LINK, power: 'owner' }, token)).status).toBe(403)
    expect((await post('state/phrase', {}, token)).status).toBe(403)
    expect((await post('leave', {}, token)).status).toBe(403)
    expect((await post('share', { link: READ_LINK, power: 'owner' })).json).toEqual({ text: 'owner-text' })
  })

  it('no answer to a wrong one is logged with it', async () => {
    await file('/none')
    await fetch(`${bench.url}/api/v1/nowhere/${READ_LINK}`)
    expect(JSON.stringify(bench.log.lines)).not.toContain(READ_LINK)
  })
})

describe("manifests and the owner's state", () => {
  const send = (path: string, body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
    fetch(`${bench.url}/api/v1/vault/${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${bench.token}`,
        'content-type': 'application/octet-stream',
        ...headers,
      },
      body,
    })

  it('a manifest goes up and down as bytes', async () => {
    expect(await (await send('manifests', Uint8Array.of(1, 2))).json()).toEqual({ link: READ_LINK })
    expect((await send('manifests', Uint8Array.of(9))).status).toBe(422)
    expect((await send('manifests', new Uint8Array())).status).toBe(400)
    expect((await send('manifests/inspect', Uint8Array.of(1))).status).toBe(200)
    expect((await post('manifests/file', { link: READ_LINK })).text).toBe('\u0001\u0002\u0003')
  })

  it('state is exported, imported and recovered', async () => {
    expect((await post('state/export', { passphrase: 'naïve' })).text).toBe('state naïve')
    expect((await post('state/export', {})).text).toBe('state plain')
    const imported = await send('state/import', Uint8Array.of(7, 8), {
      'state-passphrase': encodeURIComponent('naïve'),
    })
    expect(await imported.json()).toEqual({ objects: 2 })
    expect(bench.vault.imported).toEqual({ bytes: Buffer.from([7, 8]), passphrase: 'naïve' })
    const broken = await send('state/import', Uint8Array.of(7), { 'state-passphrase': '%zz' })
    expect(broken.status).toBe(400)
    const { phrase } = (await post('state/phrase', {})).json as { phrase: string }
    expect((await post('state/recover', { phrase })).json).toEqual({ objects: 3, version: 7 })
    expect((await post('state/recover', { phrase: 'no words' })).status).toBe(400)
  })
})

it('an upload of the kind put is taken like any other', async () => {
  const body = {
    kind: 'put',
    params: { source: 'file', fileName: 'a', name: 'a', allowDegraded: false, preserveMode: true },
    fingerprint: 'f1',
    size: 3,
  }
  const opened = await call(bench, 'POST', '/api/v1/uploads', { body })
  expect(opened.status).toBe(201)
  const wrong = { ...body, params: { ...body.params, redundancy: 'rs:9' }, fingerprint: 'f2' }
  expect((await call(bench, 'POST', '/api/v1/uploads', { body: wrong })).status).toBe(400)
})

it('a node without a vault says so', async () => {
  await using without = await openApi({ vault: undefined })
  const answer = await call(without, 'GET', '/api/v1/vault/objects')
  expect([answer.status, answer.json]).toMatchObject([503, { error: { code: 'ERR_VAULT_ABSENT' } }])
})
