import { withHTTP } from '@helia/http'
import { unixfs } from '@helia/unixfs'
import { createVerifiedFetchWithHelia } from '@helia/verified-fetch'
import { createHeliaLight, type Helia, type Router } from 'helia'
import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ADD, collect } from '../../support/content-node.ts'
import { cborBlock, directory, type GatewayBench, openGateway, put, rawBlock } from '../../support/gateway.ts'

/** Clients that others made, and that verify what they get: all they know is the address of the gateway. */
const bytes = new Uint8Array(3 * 1024 * 1024 + 17).map((_, index) => (index * 31) >> 3)
const hello = rawBlock('hello')
const value = cborBlock({ hello: 'world' })
const tree = directory([
  ['hello.txt', hello],
  ['value', value],
])

let bench: GatewayBench
let large: CID
const started: Helia[] = []
beforeAll(async () => {
  bench = await openGateway()
  await put(bench.node, hello, value, tree)
  large = CID.parse((await bench.node.add(bytes, ADD)).cid)
})
afterAll(async () => {
  for (const helia of started) await helia.stop()
  await bench.close()
})

/** Helia asks routers of last resort, as gateways are, once another one has said that it finds nobody. */
const nobody: Router = {
  name: 'nobody',
  async *findProviders() {},
}

async function client(): Promise<Helia> {
  const helia = withHTTP(createHeliaLight({ routers: [nobody] }), {
    delegatedRouters: [],
    recursiveGateways: [bench.url],
    allowInsecure: true,
    allowLocal: true,
  })
  await helia.start()
  started.push(helia)
  return helia
}

describe('@helia/http', () => {
  it('reads files and folders as blocks', async () => {
    const fs = unixfs(await client())
    const signal = AbortSignal.timeout(20_000)
    expect(await collect(fs.cat(large, { signal }))).toEqual(Buffer.from(bytes))
    const names: string[] = []
    for await (const { name } of fs.ls(tree.cid, { signal })) names.push(name)
    expect(names).toEqual(['hello.txt', 'value'])
  })
})

describe('@helia/verified-fetch', () => {
  it('reads files, ranges, folders and values', async () => {
    const verifiedFetch = await createVerifiedFetchWithHelia(await client())
    const options = { signal: AbortSignal.timeout(20_000), allowInsecure: true, allowLocal: true }
    const file = await verifiedFetch(`ipfs://${tree.cid}/hello.txt`, options)
    expect([file.status, await file.text()]).toEqual([200, 'hello'])
    const whole = await verifiedFetch(`ipfs://${large}`, options)
    expect(Buffer.from(await whole.arrayBuffer())).toEqual(Buffer.from(bytes))
    const range = await verifiedFetch(`ipfs://${large}`, {
      ...options,
      headers: { range: 'bytes=2097150-2097155' },
    })
    expect([range.status, Buffer.from(await range.arrayBuffer())]).toEqual([
      206,
      Buffer.from(bytes.subarray(2097150, 2097156)),
    ])
    const json = await verifiedFetch(`ipfs://${tree.cid}/value`, options)
    expect(json.status).toBe(200)
    expect((await verifiedFetch(`ipfs://${tree.cid}/nothing`, options)).status).toBe(404)
    await verifiedFetch.stop()
  })
})
