import { afterEach, describe, expect, it } from 'vitest'
import {
  connect,
  importFiles,
  importRandomFile,
  MemoryBlocks,
  startNode,
  type TestNode,
} from '../../support/content-protocol.ts'
import type { ContentLimits } from '../../../protocols/content/index.ts'

const nodes: TestNode[] = []

async function node(blocks?: MemoryBlocks, limits: Partial<ContentLimits> = {}): Promise<TestNode> {
  const started = await startNode({ ...(blocks === undefined ? {} : { blocks }), limits })
  nodes.push(started)
  return started
}

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((started) => started.stop()))
})

describe('a fetch from one source', () => {
  it('brings a whole file', async () => {
    const server = await node()
    const client = await node()
    const { root } = await importRandomFile(server.blocks, 20 * 1024 * 1024, 1024 * 1024)
    await connect(client.libp2p, server.libp2p)
    const fetch = client.content.fetchDag(root, {
      scope: 'all',
      sources: [server.peerId],
      held: client.blocks,
      sink: client.blocks,
      signal: AbortSignal.timeout(10_000),
    })
    const statistics = await fetch.done
    expect(statistics.blocks).toBe(server.blocks.size)
    expect(client.blocks.size).toBe(server.blocks.size)
    expect(server.content.statistics().servedBlocks).toBe(server.blocks.size)
  })
})
