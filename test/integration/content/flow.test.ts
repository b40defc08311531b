import { randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import type { Config } from '../../../config/index.ts'
import type { GetResult } from '../../../src/content/types.ts'
import { collect, type ContentNode, startContentNode } from '../../support/content-node.ts'
import { rawCid } from '../../support/content-protocol.ts'
import { startGateway, type TestGateway } from '../../support/trustless-gateway.ts'

type Steps = Partial<Config['content']['steps']>

const stopping: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop()
})

async function node(
  steps: Steps,
  options: {
    gateways?: string[]
    proxyThreshold?: number
    proxy?: Config['content']['proxy']
    ipfsMs?: number
  } = {},
): Promise<ContentNode> {
  const { gateways = [], proxyThreshold, proxy, ipfsMs = 3_000 } = options
  const deadlines = { peersMs: 10_000, ipfsMs, proxyMs: 5_000, gatewaysMs: 3_000 }
  const started = await startContentNode({
    discovery: {
      steps: { peers: false, ...steps },
      gateways,
      deadlines,
      ...(proxy === undefined ? {} : { proxy }),
    },
    ...(proxyThreshold === undefined ? {} : { proxyThreshold }),
  })
  stopping.push(() => started.stop())
  return started
}

async function gatewayOf(holder: ContentNode): Promise<TestGateway> {
  const gateway = await startGateway({ get: (cid) => holder.storage.blocks.get(cid) })
  stopping.push(() => gateway.stop())
  return gateway
}

const FILE_BYTES = 5 * 1024 * 1024 + 17
const stepsOf = ({ sources }: GetResult): string[] => [...new Set(sources.map(({ step }) => step))].sort()
const get = (at: ContentNode, cid: string): Promise<GetResult> => at.run<GetResult>('get', { address: cid })

async function reads(at: ContentNode, cid: string): Promise<Buffer> {
  return collect(at.content.cat(cid, { signal: AbortSignal.timeout(20_000), offline: true }))
}

describe('content is found by each step alone', () => {
  it('by peers', async () => {
    const [holder, asker] = [await node({ peers: true }), await node({ peers: true })]
    await asker.connect(holder)
    const bytes = randomBytes(FILE_BYTES)
    const { cid } = await holder.add(bytes)
    const result = await get(asker, cid)
    expect(stepsOf(result)).toEqual(['peers'])
    expect(result.sources[0]?.peer).toBe(holder.libp2p.peerId.toString())
    expect((await reads(asker, cid)).equals(bytes)).toBe(true)
    expect(asker.content.steps().peers).toMatchObject({ asked: 1, answered: 7 })
  })

  it('by IPFS', async () => {
    const [holder, asker] = [await node({}), await node({ ipfs: true })]
    await asker.connect(holder)
    const bytes = randomBytes(FILE_BYTES)
    const { cid } = await holder.add(bytes)
    const result = await get(asker, cid)
    expect(result.sources).toEqual([{ step: 'ipfs', peer: 'ipfs', blocks: 7, bytes: result.fetchedBytes }])
    expect((await reads(asker, cid)).equals(bytes)).toBe(true)
    expect(asker.content.steps().ipfs).toMatchObject({ asked: 7, answered: 7, bytes: result.fetchedBytes })
  })

  it('by a proxy, which keeps nothing of it', async () => {
    const [holder, asker] = [await node({}), await node({ proxy: true })]
    const proxy = await node({ ipfs: true }, { proxyThreshold: 0.5 })
    await proxy.connect(holder)
    await asker.connect(proxy)
    const bytes = randomBytes(FILE_BYTES)
    const { cid } = await holder.add(bytes)
    const result = await get(asker, cid)
    expect(result.sources).toMatchObject([{ step: 'proxy', peer: proxy.libp2p.peerId.toString(), blocks: 7 }])
    expect((await reads(asker, cid)).equals(bytes)).toBe(true)
    expect(proxy.storage.blocks.usage().blocks).toBe(0)
  })

  it('by a gateway, in one CAR', async () => {
    const holder = await node({})
    const gateway = await gatewayOf(holder)
    const asker = await node({ gateways: true }, { gateways: [gateway.url] })
    const bytes = randomBytes(FILE_BYTES)
    const { cid } = await holder.add(bytes)
    const result = await get(asker, cid)
    expect(result.sources).toMatchObject([{ step: 'gateways', peer: new URL(gateway.url).host, blocks: 7 }])
    expect((await reads(asker, cid)).equals(bytes)).toBe(true)
    expect(gateway.requests.map(({ format }) => format)).toEqual(['car'])
    expect(asker.content.steps().gateways).toMatchObject({ answered: 7 })
  })

  it('by a gateway behind a proxy', async () => {
    const holder = await node({})
    const gateway = await gatewayOf(holder)
    const proxy = await node({ gateways: true }, { gateways: [gateway.url], proxyThreshold: 0.5 })
    const asker = await node({ proxy: true })
    await asker.connect(proxy)
    const { cid } = await holder.add(randomBytes(FILE_BYTES))
    expect(stepsOf(await get(asker, cid))).toEqual(['proxy'])
  })
})

describe('with all steps on', () => {
  const everything: Steps = { peers: true, ipfs: true, proxy: true, gateways: true }

  it('a peer that has it is the one that brings it, and nobody else is asked', async () => {
    const [holder, other] = [await node({ peers: true }), await node({})]
    const gateway = await gatewayOf(holder)
    const asker = await node(everything, { gateways: [gateway.url], ipfsMs: 200 })
    await asker.connect(holder)
    await asker.connect(other)
    const { cid } = await holder.add(randomBytes(FILE_BYTES))
    expect(stepsOf(await get(asker, cid))).toEqual(['peers'])
    expect(gateway.requests).toHaveLength(0)
    expect(asker.content.steps()).toMatchObject({ ipfs: { asked: 0 }, proxy: { asked: 0 } })
  })

  it('a gateway brings what no peer has', async () => {
    const [holder, peer] = [await node({}), await node({ peers: true })]
    const gateway = await gatewayOf(holder)
    const asker = await node(everything, { gateways: [gateway.url], ipfsMs: 200 })
    await asker.connect(peer)
    const { cid } = await holder.add(randomBytes(2_000_000))
    expect(stepsOf(await get(asker, cid))).toEqual(['gateways'])
    // Read on the way, by a reader that nobody waits for.
    const { cid: second } = await holder.add(randomBytes(2_000_000))
    const read = await collect(asker.content.cat(second, { signal: AbortSignal.timeout(20_000) }))
    expect(read.length).toBe(2_000_000)
  })

  it('what is missing of a DAG comes from elsewhere, and what is held is not asked for', async () => {
    const [holder, part] = [await node({}), await node({ peers: true })]
    const gateway = await gatewayOf(holder)
    const bytes = randomBytes(FILE_BYTES)
    const { cid } = await holder.add(bytes)
    const root = CID.parse(cid)
    const rootBytes = await holder.storage.blocks.get(root)
    await part.storage.blocks.put(root, rootBytes!)
    const asker = await node(everything, { gateways: [gateway.url], ipfsMs: 200 })
    await asker.connect(part)
    const result = await get(asker, cid)
    expect(stepsOf(result)).toEqual(['gateways', 'peers'])
    expect(result.sources.reduce((sum, { blocks }) => sum + blocks, 0)).toBe(7)
    expect((await reads(asker, cid)).equals(bytes)).toBe(true)
  })

  it('a failure says what each step answered', async () => {
    const [holder, peer] = [await node({}), await node({ peers: true })]
    const gateway = await gatewayOf(holder)
    const asker = await node(everything, { gateways: [gateway.url], ipfsMs: 200 })
    await asker.connect(peer)
    const nowhere = rawCid(randomBytes(30)).toString()
    const steps = ['connected peers', 'DHT', 'ipfs', 'proxy', 'gateways']
    const error = await get(asker, nowhere).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'ERR_NOT_FOUND' })
    const answers = (error as { details: { steps: { step: string; answer: string }[] } }).details.steps
    expect(answers.map(({ step }) => step)).toEqual(steps)
    expect(answers.find(({ step }) => step === 'gateways')?.answer).toMatch(/404/)
    expect(answers.find(({ step }) => step === 'ipfs')?.answer).toMatch(/within 0.2 s/)
    expect(answers.find(({ step }) => step === 'proxy')?.answer).toMatch(/fetches nothing/)
  })
})

describe('a proxy', () => {
  it('refuses whom it does not trust enough, and asks nobody for them', async () => {
    const holder = await node({})
    const gateway = await gatewayOf(holder)
    const proxy = await node({ gateways: true }, { gateways: [gateway.url], proxyThreshold: 0.6 })
    const asker = await node({ proxy: true })
    await asker.connect(proxy)
    const { cid } = await holder.add(randomBytes(1_000))
    await expect(get(asker, cid)).rejects.toThrow(/fetches nothing/)
    expect(gateway.requests).toHaveLength(0)
  })

  it('stops at its quotas', async () => {
    const holder = await node({})
    const gateway = await gatewayOf(holder)
    const some = { requests: 3, trafficBytes: 1_000_000_000 }
    const proxy = await node(
      { gateways: true },
      { gateways: [gateway.url], proxyThreshold: 0.5, proxy: { perPeer: some, inAll: some } },
    )
    const asker = await node({ proxy: true })
    await asker.connect(proxy)
    const { cid } = await holder.add(randomBytes(FILE_BYTES))
    const reading = collect(asker.content.cat(cid, { signal: AbortSignal.timeout(20_000) }))
    await expect(reading).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(gateway.requests).toHaveLength(3)
    expect(asker.content.steps().proxy.answered).toBeLessThanOrEqual(3)
  })

  it('is asked for by one that proxies itself, and the request goes no further', async () => {
    const [asker, middle, last] = [
      await node({ proxy: true }),
      await node({ proxy: true }, { proxyThreshold: 0.5 }),
      await node({}),
    ]
    await asker.connect(middle)
    await middle.connect(last)
    const { cid } = await last.add(randomBytes(1_000))
    await expect(get(asker, cid)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})
