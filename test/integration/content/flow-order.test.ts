import { randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import type { Config } from '../../../config/index.ts'
import type { GetResult } from '../../../src/content/types.ts'
import { type ContentNode, startContentNode } from '../../support/content-node.ts'
import { defaultConfig } from '../../support/config.ts'
import { startGateway } from '../../support/trustless-gateway.ts'

const { content: defaults } = await defaultConfig()
const signal = AbortSignal.timeout(50_000)
const stopping: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop()
})

async function node(
  steps: Partial<Config['content']['steps']>,
  discovery: Partial<Omit<Config['content'], 'steps'>> = {},
): Promise<ContentNode> {
  const started = await startContentNode({
    discovery: { ...discovery, steps: { peers: false, ...steps } },
    proxyThreshold: 0.5,
  })
  stopping.push(() => started.stop())
  return started
}

/** A file whose root is held by the asker, so that its size is known. */
async function file(holder: ContentNode, asker: ContentNode, sizeBytes: number): Promise<CID> {
  const cid = CID.parse((await holder.add(randomBytes(sizeBytes))).cid)
  const root = await holder.storage.blocks.get(cid)
  await asker.storage.blocks.put(cid, root!)
  return cid
}

const get = (at: ContentNode, cid: CID): Promise<GetResult> =>
  at.run<GetResult>('get', { address: cid.toString() })
const stepsOf = ({ sources }: GetResult): string[] => [...new Set(sources.map(({ step }) => step))]

describe('whom a fetch asks first after the peers', () => {
  it('is said by the rules: peers for what is small, IPFS for what is large', async () => {
    const holder = await node({})
    const proxy = await node({ ipfs: true })
    const router = {
      ...defaults.router,
      smallBelowBytes: 3_000_000,
      largeFromBytes: 3_000_000,
      prefer: { ...defaults.router.prefer, public: 'none' as const },
    }
    await proxy.connect(holder)
    // One for each, since what the first fetch was like is learned and may outweigh the rule.
    const asking = async (): Promise<ContentNode> => {
      const asker = await node({ ipfs: true, proxy: true }, { router })
      await asker.connect(holder)
      await asker.connect(proxy)
      return asker
    }

    const ofLarge = await asking()
    const large = await file(holder, ofLarge, 4_000_000)
    expect((await ofLarge.content.route(large, { signal })).steps).toEqual(['ipfs', 'proxy'])
    expect(stepsOf(await get(ofLarge, large))).toEqual(['ipfs'])
    expect(ofLarge.content.steps().proxy.asked).toBe(0)

    const ofSmall = await asking()
    const small = await file(holder, ofSmall, 2_500_000)
    const route = await ofSmall.content.route(small, { signal })
    expect(route).toMatchObject({ preference: 'p2p', steps: ['proxy', 'ipfs'] })
    expect(stepsOf(await get(ofSmall, small))).toEqual(['proxy'])
    expect(ofSmall.content.steps().ipfs.asked).toBe(0)
  })

  it('is learned: what steps bring and fail to bring is told to the router', async () => {
    const holder = await node({})
    const gateway = await startGateway({ get: (cid) => holder.storage.blocks.get(cid) })
    stopping.push(() => gateway.stop())
    const asker = await node({ ipfs: true, gateways: true }, { gateways: [`${gateway.url}/`] })
    await asker.connect(holder)
    const before = CID.parse((await holder.add(randomBytes(2_000_000))).cid)
    expect((await asker.content.route(before, { signal })).steps).toEqual(['ipfs', 'gateways'])
    const got = await get(asker, before)
    expect(stepsOf(got)).toEqual(['ipfs'])
    const ipfs = asker.router.statistics({ kind: 'ipfs', id: 'ipfs' })
    expect(ipfs?.successes).toBeCloseTo(1, 2)
    expect(ipfs?.bytes).toBeGreaterThan(1_990_000)
    expect(ipfs?.latencyMs).not.toBeNull()

    for (let time = 0; time < 20; time += 1) {
      const nothing = { bytes: 0, transferMs: 0, latencyMs: null }
      asker.router.report(before, { kind: 'ipfs', id: 'ipfs', result: 'failed', ...nothing })
      asker.router.report(before, { kind: 'gateway', id: gateway.url, result: 'served', ...nothing })
    }
    const after = CID.parse((await holder.add(randomBytes(2_000_000))).cid)
    const route = await asker.content.route(after, { signal })
    expect(route.steps).toEqual(['gateways', 'ipfs'])
    expect(
      route.sources
        .filter(({ kind }) => kind !== 'provider')
        .map(({ kind }) => kind)
        .at(-1),
    ).toBe('ipfs')
    const { asked } = asker.content.steps().ipfs
    expect(stepsOf(await get(asker, after))).toEqual(['gateways'])
    expect(asker.content.steps().ipfs.asked).toBe(asked)
    const { successes = 0, bytes = 0 } = asker.router.statistics({ kind: 'gateway', id: gateway.url }) ?? {}
    expect(successes).toBeCloseTo(21, 1)
    expect(bytes).toBeGreaterThan(1_990_000)
    // The root whose last block IPFS brought is asked for there again, as said.
    expect((await asker.content.route(before, { signal })).steps).toEqual(['ipfs', 'gateways'])
  })

  it('is nobody for private content', async () => {
    const asker = await node({ ipfs: true, gateways: true }, { gateways: ['http://127.0.0.1:1'] })
    const { cid } = await asker.add(randomBytes(1_000), { private: true })
    const route = await asker.content.route(CID.parse(cid), { signal })
    expect(route).toMatchObject({ facts: { isPrivate: true }, sources: [], steps: [] })
  })
})
