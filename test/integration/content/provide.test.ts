import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import { keystream } from '../../support/content.ts'
import type { ContentNode } from '../../support/content-node.ts'
import { startContentNode, until } from '../../support/content-node.ts'

const nodes: ContentNode[] = []

async function start(options?: Parameters<typeof startContentNode>[0]): Promise<ContentNode> {
  const node = await startContentNode(options)
  nodes.push(node)
  return node
}

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
})

async function providersOf(node: ContentNode, cid: string): Promise<string[]> {
  const found: string[] = []
  const signal = AbortSignal.timeout(10_000)
  try {
    for await (const { id } of node.libp2p.contentRouting.findProviders(CID.parse(cid), { signal }))
      found.push(id.toString())
  } catch {
    // Routers report an empty result as an error.
  }
  return found
}

describe('provider records', () => {
  it('of what was added while nobody was there are in the DHT after a restart, once somebody is', async () => {
    const alone = await startContentNode()
    const { cid } = await alone.add(keystream('alone', 100_000))
    expect(alone.content.provideStatistics()).toMatchObject({ records: 1, provided: 0 })
    await alone.stop({ keepHome: true })

    const [middle, reader] = await Promise.all([start(), start()])
    const again = await start({ home: alone.home })
    expect(again.content.provideStatistics().records).toBe(1)
    await Promise.all([again.connect(middle), reader.connect(middle)])
    await until(() => again.content.provideStatistics().provided === 1)
    await until(async () => (await providersOf(reader, cid)).includes(again.libp2p.peerId.toString()))
    expect(again.content.provideStatistics()).toMatchObject({ records: 1, debtRecords: 0, failed: 0 })
  })

  it('are made of what was pinned from elsewhere', async () => {
    const [origin, keeper] = await Promise.all([start(), start()])
    const { cid } = await origin.add(keystream('pinned', 100_000))
    await keeper.connect(origin)
    await keeper.run('pin', { address: cid })
    await until(() => keeper.content.provideStatistics().provided === 1)
  })
})
