import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import type { Heard } from '../../../src/content/announce/index.ts'
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

function listen(node: ContentNode): Heard[] {
  const heard: Heard[] = []
  node.announcements.onAnnouncement((announcement) => heard.push(announcement))
  return heard
}

/** Connected, and following the topic, both. */
async function meet(one: ContentNode, other: ContentNode): Promise<void> {
  await one.connect(other)
  const { pubsub } = one.libp2p.services as unknown as {
    pubsub: { getTopics(): string[]; getMeshPeers(topic: string): string[] }
  }
  await until(() => pubsub.getTopics().every((topic) => pubsub.getMeshPeers(topic).length > 0))
}

describe('announcements', () => {
  it('tell others what was added: name, size, kind, author', async () => {
    const [teller, listener] = await Promise.all([start({ publish: true }), start()])
    const heard = listen(listener)
    await meet(teller, listener)
    const { cid } = await teller.add(keystream('news', 100_000), { pin: 'news.bin' })
    await until(() => heard.length === 1)
    expect(heard[0]).toMatchObject({
      author: teller.libp2p.peerId.toString(),
      cid: CID.parse(cid),
      name: 'news.bin',
      sizeBytes: 100_000,
      kind: 'file',
    })
  })

  it('say nothing of what is private, nor where they are switched off', async () => {
    const secrets = new Set<string>()
    const teller = await start({ publish: true, isPrivate: (cid) => secrets.has(cid.toString()) })
    const [silent, listener] = await Promise.all([start(), start()])
    const heard = listen(listener)
    await Promise.all([meet(teller, listener), meet(silent, listener)])
    const bytes = keystream('secret', 1_000)
    const { cid } = await silent.add(bytes)
    secrets.add(cid)
    await teller.add(bytes)
    const open = await teller.add(keystream('open', 1_000))
    await until(() => heard.length > 0)
    expect(heard.map((announcement) => announcement.cid.toString())).toEqual([open.cid])
    expect(teller.announcements.statistics()).toMatchObject({ told: 1 })
    expect(teller.content.provideStatistics().records).toBe(1)
  })

  it('of trusted peers are fetched where that is on, within the budget, and not pinned', async () => {
    const teller = await start({ publish: true })
    const peer = teller.libp2p.peerId.toString()
    const autoFetch = { isOn: true, budgetBytes: 4 * 2 ** 20, minScore: 0.7 }
    const [fetching, wary] = await Promise.all([
      start({ policies: { autoFetch }, score: (name) => (name === peer ? 0.8 : 0.5) }),
      start({ policies: { autoFetch } }),
    ])
    await Promise.all([meet(teller, fetching), meet(teller, wary)])
    const small = await teller.add(keystream('small', 2_000_000))
    await until(async () => fetching.storage.blocks.has(CID.parse(small.cid)))
    await until(() => fetching.jobs.list({ kind: 'acquire', state: 'done' }).length === 1)
    expect(fetching.storage.pins.count()).toBe(0)
    // 2 MB and as much again with what a DAG takes are over 4 MiB.
    const [before] = [listen(fetching), listen(wary)]
    await teller.add(keystream('more', 2_000_000))
    await until(() => before.length === 1)
    expect(fetching.jobs.list({ kind: 'acquire' })).toHaveLength(1)
    expect(wary.jobs.list({ kind: 'acquire' })).toHaveLength(0)
  })

  it('of too small a size cost their budget all the same, and what came goes again like all that was fetched', async () => {
    const [teller, origin] = await Promise.all([start({ publish: true }), start()])
    const peer = teller.libp2p.peerId.toString()
    const autoFetch = { isOn: true, budgetBytes: 4 * 2 ** 20, minScore: 0.7 }
    const fetching = await start({
      policies: { autoFetch },
      score: (name) => (name === peer ? 0.8 : 0.5),
      cache: { strategy: 'lru', limit: 0.9, prefetchBytesPerSecond: 1 },
    })
    await Promise.all([meet(teller, fetching), origin.connect(fetching)])
    const heard = listen(fetching)
    for (const name of ['one', 'two']) {
      const { cid } = await origin.add(keystream(name, 12_000_000), { pin: null })
      teller.announcements.tell({ cid: CID.parse(cid), name, sizeBytes: 2_000_000, kind: 'file' })
    }
    await until(() => heard.length === 2)
    await until(() => fetching.jobs.list({ kind: 'acquire', state: 'failed' }).length === 1)
    expect(fetching.jobs.list({ kind: 'acquire' })).toHaveLength(1)
    expect(fetching.content.cacheStatistics()?.roots).toBe(1)
  })
})
