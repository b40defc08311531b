import { randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import type { GetResult } from '../../../src/content/types.ts'
import { collect, type ContentNode, startContentNode, until } from '../../support/content-node.ts'

const MIB = 2 ** 20
const BLOCK_BYTES = MIB
const FILE_BYTES = 24 * MIB

const nodes: ContentNode[] = []
const signal = AbortSignal.timeout(55_000)

async function start(options?: Parameters<typeof startContentNode>[0]): Promise<ContentNode> {
  const node = await startContentNode(options)
  nodes.push(node)
  return node
}

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
})

/** Three nodes with the same file, and one without it. */
async function house(): Promise<{ sources: ContentNode[]; target: ContentNode; cid: string; bytes: Buffer }> {
  const [target, ...sources] = await Promise.all([start(), start(), start(), start()])
  const bytes = randomBytes(FILE_BYTES)
  let cid = ''
  for (const source of sources) cid = (await source.add(bytes)).cid
  for (const source of sources) await target.connect(source)
  return { sources, target, cid, bytes }
}

const servedBytes = (of: ContentNode[]): number =>
  of.reduce((sum, node) => sum + node.libp2p.services.content.statistics().servedBytes, 0)

describe('three sources', () => {
  it('of which one lies from the middle on: it is dropped with evidence, and costs no more than it had under way', async () => {
    const { sources, target, cid, bytes } = await house()
    const liar = sources[1]!
    const { blocks } = liar.storage
    const get = blocks.get.bind(blocks)
    let given = 0
    blocks.get = async (wanted, options) => {
      const block = await get(wanted, options)
      if (block?.length !== BLOCK_BYTES) return block
      given += 1
      return given > 2 ? Buffer.from(block).fill(0, 0, 100) : block
    }
    await target.run<GetResult>('get', { address: cid })
    const read = await collect(target.content.cat(cid, { signal, offline: true }))
    expect(read.equals(bytes)).toBe(true)

    const peer = liar.libp2p.peerId.toString()
    const evidence = target.trust.evidence({ peer }).evidence.map(({ kind }) => kind)
    expect(evidence.filter((kind) => kind === 'block-invalid')).toHaveLength(1)
    expect(
      target.trust.evidence({ limit: 100 }).evidence.filter(({ kind }) => kind === 'block-invalid'),
    ).toHaveLength(1)
    // What it had been asked for and could send before the stream was reset: the credit of one stream.
    expect(servedBytes(sources)).toBeLessThan(FILE_BYTES * 1.03 + 9 * MIB)
    expect(target.router.statistics({ kind: 'peer', id: peer })?.failures).toBeGreaterThan(4)

    const { sources: ranked } = await target.content.route(CID.parse(cid), { signal })
    expect(ranked.at(-1)?.id).toBe(peer)
  })

  it('give no block twice to a node that is stopped half way and goes on', async () => {
    const { sources, target, cid, bytes } = await house()
    const job = await target.jobs.submit('get', { address: cid })
    const fetchedBlocks = (): number => target.libp2p.services.content.statistics().fetchedBlocks
    await until(() => fetchedBlocks() > 4)
    nodes.splice(nodes.indexOf(target), 1)
    await target.stop({ keepHome: true })

    const again = await start({ home: target.home })
    const held = again.storage.blocks.usage().blocks
    expect(held).toBeGreaterThan(0)
    for (const source of sources) await again.connect(source)
    const ended = await again.jobs.wait(job.id, signal)
    expect(ended.state).toBe('done')
    const read = await collect(again.content.cat(cid, { signal, offline: true }))
    expect(read.equals(bytes)).toBe(true)
    const { blocks, sources: from } = ended.result as GetResult
    expect(from.reduce((sum, source) => sum + source.blocks, 0)).toBe(blocks - held)
  })
})
