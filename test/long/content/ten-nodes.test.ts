import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import type { Config } from '../../../config/index.ts'
import type { GetResult } from '../../../src/content/types.ts'
import { collect, type ContentNode, startContentNode } from '../../support/content-node.ts'
import { startGateway } from '../../support/trustless-gateway.ts'

const NODES = 10
const FILE_BYTES = 3 * 1024 * 1024 + 1

const stopping: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop()
})

type Steps = Config['content']['steps']
const NONE: Steps = { peers: false, ipfs: false, proxy: false, gateways: false }

interface House {
  nodes: ContentNode[]
  /** Adds a file at each node in turn, and has every other one get it. Which steps brought it, by how many nodes. */
  everybodyGets(from: (index: number) => ContentNode[]): Promise<Record<string, number>>
}

/** Ten nodes, each connected to all others, and a gateway that has what any of them has. */
async function house(stepsOf: (index: number) => Partial<Steps>): Promise<House> {
  const nodes: ContentNode[] = []
  const gateway = await startGateway({
    async get(cid) {
      for (const node of nodes) {
        const bytes = await node.storage.blocks.get(cid)
        if (bytes !== undefined) return bytes
      }
      return undefined
    },
  })
  stopping.push(() => gateway.stop())
  for (let index = 0; index < NODES; index += 1) {
    const node = await startContentNode({
      proxyThreshold: 0.5,
      discovery: { steps: { ...NONE, ...stepsOf(index) }, gateways: [gateway.url] },
    })
    stopping.push(() => node.stop())
    for (const other of nodes) await node.connect(other)
    nodes.push(node)
  }
  return {
    nodes,
    async everybodyGets(from) {
      const steps: Record<string, number> = {}
      for (const [index, holder] of nodes.entries()) {
        const bytes = randomBytes(FILE_BYTES)
        const { cid } = await holder.add(bytes)
        for (const asker of from(index)) {
          const { sources } = await asker.run<GetResult>('get', { address: cid })
          for (const step of new Set(sources.map((source) => source.step)))
            steps[step] = (steps[step] ?? 0) + 1
          const signal = AbortSignal.timeout(30_000)
          const read = await collect(asker.content.cat(cid, { signal, offline: true }))
          expect(read.equals(bytes)).toBe(true)
        }
      }
      return steps
    },
  }
}

const others = (nodes: ContentNode[], index: number): ContentNode[] => nodes.filter((_, at) => at !== index)

describe('content on one of ten nodes is found by any other', () => {
  it('through peers alone', async () => {
    const { nodes, everybodyGets } = await house(() => ({ peers: true }))
    expect(await everybodyGets((index) => others(nodes, index))).toEqual({ peers: 90 })
  })

  it('through IPFS alone', async () => {
    const { nodes, everybodyGets } = await house(() => ({ ipfs: true }))
    expect(await everybodyGets((index) => others(nodes, index))).toEqual({ ipfs: 90 })
  })

  it('through gateways alone', async () => {
    const { nodes, everybodyGets } = await house(() => ({ gateways: true }))
    expect(await everybodyGets((index) => others(nodes, index))).toEqual({ gateways: 90 })
  })

  it('through a proxy alone', async () => {
    // The first reaches IPFS and fetches for the others, which do not.
    const { nodes, everybodyGets } = await house((index) => (index === 0 ? { ipfs: true } : { proxy: true }))
    const askers = (index: number): ContentNode[] => others(nodes, index).filter((node) => node !== nodes[0])
    expect(await everybodyGets(askers)).toEqual({ proxy: 81 })
  })

  it('through peers, when all steps are on', async () => {
    const { nodes, everybodyGets } = await house(() => ({
      peers: true,
      ipfs: true,
      proxy: true,
      gateways: true,
    }))
    expect(await everybodyGets((index) => others(nodes, index))).toEqual({ peers: 90 })
  })
})
