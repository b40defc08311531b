import { randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import { links } from '../../../protocols/content/index.ts'
import type { Bandwidth } from '../../../protocols/shared/bandwidth.ts'
import { BURST_MS, SLICE_MS } from '../../../src/network/bandwidth/limits.ts'
import { metered } from '../../support/bandwidth.ts'
import { startContentNode } from '../../support/content-node.ts'
import { connect, importRandomFile, MemoryBlocks, startNode, until } from '../../support/content-protocol.ts'
import { collect, makeSlab, startChunkNode, storeColumn } from '../../support/chunk-protocol.ts'

const KIB = 1024
const MIB = 1024 * KIB
/** By its own clock no limiter ever lets more through than its rate, the burst and one slice; and a frame has its cost. */
const ALLOWED_AHEAD_MS = BURST_MS + SLICE_MS + 1

const running: { stop(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})
function started<Node extends { stop(): Promise<unknown> }>(node: Node): Node {
  running.push(node)
  return node
}

async function fetchOver(
  sizeBytes: number,
  { server, clients }: { server?: Bandwidth; clients: (Bandwidth | undefined)[] },
  chunkBytes = 256 * KIB,
): Promise<number> {
  const store = new MemoryBlocks()
  const { root } = await importRandomFile(store, sizeBytes, chunkBytes)
  const source = started(
    await startNode({ blocks: store, ...(server === undefined ? {} : { bandwidth: server }) }),
  )
  const fetches = clients.map(async (bandwidth) => {
    const client = started(await startNode(bandwidth === undefined ? {} : { bandwidth }))
    await connect(client.libp2p, source.libp2p)
    await client.content.fetchDag(root, {
      scope: 'all',
      sources: [source.peerId],
      held: client.blocks,
      sink: client.blocks,
      signal: AbortSignal.timeout(30_000),
    }).done
    expect(client.blocks.bytes).toBe(store.bytes)
    expect(client.trust.of('transfer-failed')).toEqual([])
  })
  await Promise.all(fetches)
  expect(source.trust.evidence).toEqual([])
  return store.bytes
}

describe('the content protocol', () => {
  it('sends no faster than the node may, to all together', async () => {
    const out = metered('out', 4 * MIB)
    const bytes = await fetchOver(2 * MIB, { server: out.limiter, clients: [undefined, undefined] })
    expect(out.waits).toBeGreaterThan(0)
    expect(out.mostAheadMs).toBeLessThanOrEqual(ALLOWED_AHEAD_MS)
    expect(out.bytesOf('out')).toBeGreaterThanOrEqual(2 * bytes)
  })

  it('sends each peer no faster than one may have', async () => {
    const out = metered('out', 2 * MIB, 'perPeer')
    await fetchOver(MIB, { server: out.limiter, clients: [undefined, undefined, undefined] })
    expect(out.waits).toBeGreaterThan(0)
    expect(out.mostAheadMs).toBeLessThanOrEqual(ALLOWED_AHEAD_MS)
  })

  it('is sent no faster than the node may receive', async () => {
    const incoming = metered('in', 4 * MIB)
    const bytes = await fetchOver(2 * MIB, { clients: [incoming.limiter] })
    expect(incoming.waits).toBeGreaterThan(0)
    expect(incoming.mostAheadMs).toBeLessThanOrEqual(ALLOWED_AHEAD_MS)
    expect(incoming.bytesOf('in')).toBeGreaterThanOrEqual(bytes)
  })

  it('brings whole blocks slowly where both ends are held back, with frames as small as need be', async () => {
    const out = metered('out', 512 * KIB)
    const incoming = metered('in', 256 * KIB)
    await fetchOver(384 * KIB, { server: out.limiter, clients: [incoming.limiter] }, MIB)
    expect(incoming.mostAheadMs).toBeLessThanOrEqual(ALLOWED_AHEAD_MS)
    expect(out.mostAheadMs).toBeLessThanOrEqual(ALLOWED_AHEAD_MS)
  })

  it('counts what moves without limits, exactly', async () => {
    const [out, incoming] = [metered('in', 4 * KIB), metered('out', 4 * KIB)]
    const bytes = await fetchOver(2 * MIB, { server: out.limiter, clients: [incoming.limiter] })
    expect(out.waits + incoming.waits).toBe(0)
    expect(out.bytesOf('out')).toBe(incoming.bytesOf('in'))
    expect(out.bytesOf('out') / bytes).toBeCloseTo(1, 2)
  })
})

describe('the chunk protocol', () => {
  it.each([
    ['owner', 'out'],
    ['owner', 'in'],
    ['holder', 'in'],
    ['holder', 'out'],
  ] as const)('keeps to the limit of the %s, %s', async (side, direction) => {
    const meter = metered(direction, 4 * MIB)
    const limited = { bandwidth: meter.limiter }
    const owner = started(await startChunkNode(side === 'owner' ? limited : {}))
    const holder = started(await startChunkNode(side === 'holder' ? limited : {}))
    await connect(owner.libp2p, holder.libp2p)
    const made = makeSlab({ segments: 2, sealedBytes: MIB + 20, k: 1, n: 1 })
    await storeColumn(owner, holder.peerId, made, 0)
    const segments = [0, 1]
    const all = await collect(
      owner.chunk.fetch(holder.peerId, made.index, 0, { segments, signal: AbortSignal.timeout(30_000) }),
    )
    expect([...all.values()]).toEqual(made.columnOf(0).map((piece) => Buffer.from(piece)))
    expect(meter.waits).toBeGreaterThan(0)
    expect(meter.mostAheadMs).toBeLessThanOrEqual(ALLOWED_AHEAD_MS)
    expect(meter.bytesOf(direction)).toBeGreaterThanOrEqual(2 * MIB)
    expect([...owner.trust.of('transfer-failed'), ...holder.trust.evidence]).toEqual([])
  })
})

describe('Bitswap', () => {
  it.each(['in', 'out'] as const)('keeps to the limit, %s', async (direction) => {
    const meter = metered(direction, 2 * MIB)
    const limited = { bandwidth: meter.limiter }
    const server = started(await startContentNode(direction === 'out' ? limited : {}))
    const client = started(await startContentNode(direction === 'in' ? limited : {}))
    const { cid } = await server.add(randomBytes(3 * MIB))
    await client.connect(server)
    // The content protocol is out of the way, so that nothing but Bitswap is left.
    await server.libp2p.unhandle(server.libp2p.services.content.protocols)
    const root = CID.parse(cid)
    const signal = AbortSignal.timeout(30_000)
    const node = await client.helia.fetchBlock(root, { signal })
    const leaves = await Promise.all(
      [...links(root, node)].map((link) => client.helia.fetchBlock(link, { signal })),
    )
    expect(leaves.reduce((sum, leaf) => sum + leaf.length, 0)).toBe(3 * MIB)
    // What a paused stream's window held was handed on before it was paid for.
    await until(() => meter.bytesOf(direction) >= 3 * MIB)
    expect(meter.waits).toBeGreaterThan(0)
    expect(meter.mostAheadMs).toBeLessThanOrEqual(ALLOWED_AHEAD_MS)
  })
})
