import { CarReader } from '@ipld/car'
import { extract } from 'tar-stream'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { identity } from 'multiformats/hashes/identity'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ask,
  directory,
  fileOf,
  type GatewayBench,
  openGateway,
  pbBlock,
  put,
  rawBlock,
  symlink,
} from '../../support/gateway.ts'
import { UnixFS } from 'ipfs-unixfs'

const parts = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'].map((text) => rawBlock(text))
const long = fileOf(parts)
const copy = rawBlock('copied')
const inner = directory([
  ['copy', copy],
  ['long', long],
])
const root = directory([
  ['again', copy],
  ['inner', inner],
])
const missing = rawBlock('nobody has this part')
const torn = fileOf([parts[0]!, missing, parts[2]!])

let bench: GatewayBench
beforeAll(async () => {
  bench = await openGateway()
  await put(bench.node, ...parts, long, copy, inner, root, torn)
})
afterAll(() => bench.close())

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  ask(bench.port, path, { headers, method })

async function carOf(path: string, headers: Record<string, string> = {}): Promise<string[]> {
  const { status, body } = await get(path, headers)
  expect(status).toBe(200)
  const reader = await CarReader.fromBytes(body)
  const cids: string[] = []
  for await (const { cid } of reader.blocks()) cids.push(cid.toString())
  return cids
}
const texts = (...blocks: { cid: CID }[]): string[] => blocks.map(({ cid }) => cid.toString())

describe('blocks', () => {
  it('are given by query and by header, to be saved', async () => {
    for (const [path, headers] of [
      [`/ipfs/${root.cid}?format=raw`, {}],
      [`/ipfs/${root.cid}`, { accept: 'application/vnd.ipld.raw' }],
      [`/ipfs/${root.cid}?format=raw`, { accept: 'application/vnd.ipld.car' }],
    ] as const) {
      const answer = await get(path, headers)
      expect(answer.body).toEqual(Buffer.from(root.bytes))
      expect(answer.headers).toMatchObject({
        'content-type': 'application/vnd.ipld.raw',
        etag: `"${root.cid}.raw"`,
        'x-content-type-options': 'nosniff',
      })
      expect(answer.headers['content-disposition']).toContain(`attachment; filename="${root.cid}.bin"`)
    }
  })

  it('take ranges', async () => {
    const { status, text } = await get(`/ipfs/${copy.cid}?format=raw`, { range: 'bytes=1-3' })
    expect([status, text]).toEqual([206, 'opi'])
  })

  it('inside of a CID are given, unless they are long', async () => {
    const small = CID.createV1(raw.code, identity.digest(new Uint8Array(128).fill(65)))
    const large = CID.createV1(raw.code, identity.digest(new Uint8Array(129).fill(65)))
    expect((await get(`/ipfs/${small}?format=raw`)).text).toBe('A'.repeat(128))
    expect((await get(`/ipfs/${large}?format=raw`)).status).toBe(400)
    expect((await get('/ipfs/bafkqaaa?format=raw')).text).toBe('')
    expect(await carOf('/ipfs/bafkqaaa?format=car')).toEqual([])
    expect((await get('/ipfs/bafkqaaa', { accept: 'application/vnd.ipld.raw' }, 'HEAD')).status).toBe(200)
  })
})

describe('CARs', () => {
  it('have the blocks on the path and those in scope, in their order', async () => {
    const path = `/ipfs/${root.cid}/inner`
    const at = texts(root, inner)
    expect(await carOf(`${path}?format=car`)).toEqual([...at, ...texts(copy, long, ...parts)])
    expect(await carOf(`${path}?format=car&dag-scope=block`)).toEqual(at)
    expect(await carOf(`${path}?format=car&dag-scope=entity`)).toEqual(at)
    const file = `${path}/long?format=car&dag-scope=entity`
    expect(await carOf(file)).toEqual([...at, ...texts(long, ...parts)])
    expect(await carOf(`${file}&entity-bytes=12:13`)).toEqual([...at, ...texts(long, parts[1]!)])
    expect(await carOf(`${file}&entity-bytes=-3:*`)).toEqual([...at, ...texts(long, parts[2]!)])
    expect(await carOf(`${file}&entity-bytes=5:-11`)).toEqual([...at, ...texts(long, parts[0]!, parts[1]!)])
    expect(await carOf(`${file}&entity-bytes=5:3`)).toEqual([...at, ...texts(long)])
  })

  it('repeat blocks where the client wants that', async () => {
    const path = `/ipfs/${root.cid}?format=car`
    expect(await carOf(path)).toEqual(texts(root, copy, inner, long, ...parts))
    const twice = texts(root, copy, inner, copy, long, ...parts)
    expect(await carOf(`${path}&car-dups=y`)).toEqual(twice)
    const accept = 'application/vnd.ipld.car; version=1; order=dfs; dups=y'
    expect(await carOf(`/ipfs/${root.cid}`, { accept })).toEqual(twice)
    const { headers } = await get(`/ipfs/${root.cid}`, { accept })
    expect(headers['content-type']).toBe('application/vnd.ipld.car; version=1; order=dfs; dups=y')
    expect(headers['content-location']).toBe(`/ipfs/${root.cid}?format=car`)
  })

  it('of different parts have different tags', async () => {
    const tags = new Set<unknown>()
    for (const query of [
      '',
      '&dag-scope=block',
      '&dag-scope=entity',
      '&entity-bytes=0:1',
      '&entity-bytes=0:2',
      '&car-dups=y',
    ]) {
      const { headers } = await get(`/ipfs/${long.cid}?format=car${query}`, {}, 'HEAD')
      tags.add(headers['etag'])
      const again = await get(`/ipfs/${long.cid}?format=car${query}`, {
        'if-none-match': headers['etag'] as string,
      })
      expect(again.status).toBe(304)
    }
    expect(tags.size).toBe(6)
  })

  it.each([
    ['dag-scope=some', 400],
    ['entity-bytes=a:b', 400],
    ['entity-bytes=1-2', 400],
    ['entity-bytes=31:*', 400],
    ['car-version=2', 406],
    ['car-order=bfs', 406],
    ['car-dups=x', 406],
  ])('are refused with %s', async (query, status) => {
    expect((await get(`/ipfs/${long.cid}?format=car&${query}`)).status).toBe(status)
  })

  it('with a range need no block outside of it, and without end cut off', async () => {
    expect(await carOf(`/ipfs/${torn.cid}?format=car&entity-bytes=0:5`)).toEqual(texts(torn, parts[0]!))
    const ranged = await get(`/ipfs/${torn.cid}`, { range: `bytes=${10 + missing.bytes.length}-` })
    expect([ranged.status, ranged.text]).toEqual([206, 'cccccccccc'])
    await expect(get(`/ipfs/${torn.cid}?format=car`)).rejects.toThrow(/aborted|hang up|ECONNRESET/)
    await expect(get(`/ipfs/${torn.cid}`)).rejects.toThrow(/aborted|hang up|ECONNRESET/)
  })

  it('of what leads nowhere are none', async () => {
    expect((await get(`/ipfs/${root.cid}/nothing?format=car`)).status).toBe(404)
    expect((await get(`/ipfs/${missing.cid}?format=car`)).status).toBe(404)
  })
})

describe('TARs', () => {
  it('have files, folders and links', async () => {
    const tree = directory([
      ['copy', copy],
      ['link', symlink('copy')],
    ])
    await put(bench.node, tree, symlink('copy'))
    const { headers, body } = await get(`/ipfs/${tree.cid}?format=tar&filename=t.tar`)
    expect(headers['content-type']).toBe('application/x-tar')
    expect(headers['etag']).toBe(`W/"${tree.cid}.x-tar"`)
    expect(headers['content-disposition']).toContain('attachment; filename="t.tar"')
    const found: [string, string | null | undefined, string][] = []
    const entries = Readable.from([body]).pipe(extract())
    for await (const entry of entries) {
      found.push([entry.header.name, entry.header.type, (await buffer(entry)).toString()])
    }
    expect(found).toEqual([
      [`${tree.cid}/`, 'directory', ''],
      [`${tree.cid}/copy`, 'file', 'copied'],
      [`${tree.cid}/link`, 'symlink', ''],
    ])
  })

  it.each(['..', '../../etc/passwd', 'a/b', '', '.'])('never hold the name %j', async (name) => {
    const tree = pbBlock(new UnixFS({ type: 'directory' }), [[name, copy]])
    await put(bench.node, tree)
    expect((await get(`/ipfs/${tree.cid}?format=tar`)).status).toBe(400)
  })
})
