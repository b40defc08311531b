import { afterEach, describe, expect, it } from 'vitest'
import { metered } from '../../support/bandwidth.ts'
import { collect, makeSlab, startChunkNode, storeColumn } from '../../support/chunk-protocol.ts'
import { connect, importRandomFile, MemoryBlocks, startNode } from '../../support/content-protocol.ts'

const MIB = 2 ** 20
const RATE = 2 * MIB

const running: { stop(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

function started<Node extends { stop(): Promise<unknown> }>(node: Node): Node {
  running.push(node)
  return node
}

/** By the clock on the wall, over eight seconds: what the ordinary tests ask of the limiter's own accounts. */
function expectWithinATenth(bytes: number, elapsedMs: number): void {
  const rate = (bytes / elapsedMs) * 1000
  expect(rate / RATE).toBeGreaterThan(0.9)
  expect(rate / RATE).toBeLessThan(1.1)
}

describe('a cap is kept within a tenth', () => {
  it.each(['in', 'out'] as const)('by the content protocol, %s', async (direction) => {
    const { limiter } = metered(direction, RATE)
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 16 * MIB, MIB)
    const server = started(
      await startNode({ blocks: store, ...(direction === 'out' ? { bandwidth: limiter } : {}) }),
    )
    const client = started(await startNode(direction === 'in' ? { bandwidth: limiter } : {}))
    await connect(client.libp2p, server.libp2p)
    const startedMs = performance.now()
    const { bytes } = await client.content.fetchDag(root, {
      scope: 'all',
      sources: [server.peerId],
      held: client.blocks,
      sink: client.blocks,
      signal: AbortSignal.timeout(60_000),
    }).done
    expectWithinATenth(bytes, performance.now() - startedMs)
  })

  it.each(['in', 'out'] as const)('by the chunk protocol, %s', async (direction) => {
    const { limiter } = metered(direction, RATE)
    const owner = started(await startChunkNode({ bandwidth: limiter }))
    const holder = started(await startChunkNode())
    await connect(owner.libp2p, holder.libp2p)
    const made = makeSlab({ segments: 16, sealedBytes: MIB + 20, k: 1, n: 1 })
    const bytes = 16 * (MIB + 20)
    const startedMs = performance.now()
    await storeColumn(owner, holder.peerId, made, 0)
    if (direction === 'out') {
      expectWithinATenth(bytes, performance.now() - startedMs)
      return
    }
    const fetchedMs = performance.now()
    const segments = made.index.sealedBytes.map((_bytes, segment) => segment)
    await collect(
      owner.chunk.fetch(holder.peerId, made.index, 0, { segments, signal: AbortSignal.timeout(60_000) }),
    )
    expectWithinATenth(bytes, performance.now() - fetchedMs)
  })
})
