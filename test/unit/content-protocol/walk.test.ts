import { randomBytes } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import fc from 'fast-check'
import { exporter } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { describe, expect, it } from 'vitest'
import { keyOf, matches } from '../../../protocols/content/hash.ts'
import { links } from '../../../protocols/content/links.ts'
import { expand, firstVisits, type Visit, type WalkRequest } from '../../../protocols/content/walk.ts'
import { cidOf, importFiles, importRandomFile, MemoryBlocks, rawCid } from '../../support/content-protocol.ts'

/** The CIDs that a request means, in order, as both ends walk them. */
function walk(blocks: MemoryBlocks, request: WalkRequest): CID[] {
  const pending: Visit[] = firstVisits(request).reverse()
  const visited: CID[] = []
  for (let visit = pending.pop(); visit !== undefined; visit = pending.pop()) {
    visited.push(visit.cid)
    pending.push(...expand(visit, blocks.peek(visit.cid)!).visits.reverse())
  }
  return visited
}

describe('a walk', () => {
  it('of a range visits exactly the leaves that a reader of it needs', async () => {
    const sizeBytes = 700_000
    const blocks = new MemoryBlocks()
    const { root } = await importRandomFile(blocks, sizeBytes, 1_000)
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: sizeBytes - 1 }), fc.nat({ max: 5_000 }), async (from, length) => {
        const to = Math.min(sizeBytes - 1, from + length)
        const visited = walk(blocks, { root, scope: 'entity', range: { from, to } })
        const leaves = visited.filter((cid) => cid.code === 0x55).map(keyOf)
        const first = Math.floor(from / 1_000)
        const last = Math.floor(to / 1_000)
        expect(leaves).toHaveLength(last - first + 1)
        // What was visited is enough to read the range; where it ends with a leaf, the exporter reads the next one too,
        // for nothing and unawaited, so that without it the rejection would be nobody's.
        const reach = walk(blocks, {
          root,
          scope: 'entity',
          range: { from, to: Math.min(sizeBytes - 1, to + 1) },
        })
        const some = blocks.clone((cid) => reach.some((other) => other.equals(cid)))
        const file = await exporter(root, some.asBlockstore())
        if (file.type !== 'file') throw new Error('not a file')
        let bytes = 0
        for await (const part of file.content({ offset: from, length: to - from + 1 })) bytes += part.length
        expect(bytes).toBe(to - from + 1)
      }),
      { numRuns: 20 },
    )
  })

  it('of a path finds every entry of a sharded directory, as the exporter does', async () => {
    const blocks = new MemoryBlocks()
    const names = Array.from({ length: 2_000 }, (_, index) => `ñ-${index}-${randomBytes(4).toString('hex')}`)
    const files = names.map((path) => ({ path, content: Buffer.from(path) }))
    const entries = await importFiles(blocks, files, { shardAbove: 1, wrap: true })
    const root = [...entries.values()].at(-1)!
    for (const name of names) {
      const visited = walk(blocks, { root, scope: 'block', path: [name] })
      expect(visited.at(-1)!.equals(rawCid(Buffer.from(name)))).toBe(true)
    }
    expect(() => walk(blocks, { root, scope: 'block', path: ['not there'] })).toThrow('not there')
  })

  it('visits no CID that holds its own block, but what is below it', () => {
    const blocks = new MemoryBlocks()
    const leaf = Buffer.from('leaf')
    blocks.add(rawCid(leaf), leaf)
    const inner = dagCbor.encode([rawCid(leaf)])
    const inline = CID.createV1(dagCbor.code, Digest.create(0, inner))
    const bytes = dagCbor.encode({ inline })
    const root = cidOf(dagCbor.code, bytes)
    blocks.add(root, bytes)
    expect(walk(blocks, { root, scope: 'all' }).map(String)).toEqual([root, rawCid(leaf)].map(String))
    expect(walk(blocks, { root: inline, scope: 'all' }).map(String)).toEqual([rawCid(leaf).toString()])
  })

  it('goes no deeper than its budget', async () => {
    const blocks = new MemoryBlocks()
    const entries = await importFiles(blocks, [
      { path: 'a/b/c', content: Buffer.from('c') },
      { path: 'd', content: Buffer.from('d') },
    ])
    const root = entries.get('')!
    expect(walk(blocks, { root, scope: 'all', depthBudget: 0 })).toHaveLength(1)
    expect(walk(blocks, { root, scope: 'all', depthBudget: 1 })).toHaveLength(3)
    expect(walk(blocks, { root, scope: 'all' })).toHaveLength(5)
  })

  it('does not trust bytes that are not what their codec says', () => {
    const bytes = Buffer.from('not dag-pb at all')
    const [visit] = firstVisits({ root: cidOf(dagPb.code, bytes), scope: 'all' })
    expect(() => expand(visit!, bytes)).toThrow(expect.objectContaining({ code: 'ERR_DAG_INVALID' }))
  })

  it('refuses a file whose sizes do not match its links only where the sizes matter', () => {
    const leaf = rawCid(Buffer.from('x'))
    const bytes = dagPb.encode({
      Data: Buffer.from('0802', 'hex'),
      Links: [{ Name: '', Hash: leaf, Tsize: 1 }],
    })
    const root = cidOf(dagPb.code, bytes)
    const [whole] = firstVisits({ root, scope: 'all' })
    expect(expand(whole!, bytes).visits).toHaveLength(1)
    const [part] = firstVisits({ root, scope: 'entity', range: { from: 0, to: 0 } })
    expect(() => expand(part!, bytes)).toThrow('sizes')
  })
})

describe('links', () => {
  it('are found in every codec, and not looked for in others', () => {
    const leaf = rawCid(Buffer.from('x'))
    const bytes = dagCbor.encode({ a: [leaf, { b: leaf }], c: 'text' })
    expect(links(cidOf(dagCbor.code, bytes), bytes)).toHaveLength(2)
    expect(links(rawCid(bytes), bytes)).toEqual([])
    expect(links(cidOf(0x1234, bytes), bytes)).toEqual([])
    const json = Buffer.from(`{"a":{"/":"${leaf.toString()}"}}`)
    expect(links(cidOf(0x0129, json), json).map(String)).toEqual([leaf.toString()])
  })
})

describe('hashes', () => {
  it.each([0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x00])('function 0x%s is verified', async (code) => {
    const names: Record<number, string> = {
      0x12: 'sha256',
      0x13: 'sha512',
      0x14: 'sha3-512',
      0x15: 'sha3-384',
      0x16: 'sha3-256',
      0x17: 'sha3-224',
    }
    const { createHash } = await import('node:crypto')
    const bytes = Buffer.from('some bytes')
    const digest = code === 0 ? bytes : createHash(names[code]!).update(bytes).digest()
    const cid = CID.createV1(0x55, Digest.create(code, digest))
    expect(matches(cid, bytes)).toBe(true)
    expect(matches(cid, Buffer.from('other bytes'))).toBe(false)
  })

  it('that are cut short match nothing', () => {
    const bytes = Buffer.from('some bytes')
    const whole = rawCid(bytes)
    const short = CID.createV1(0x55, Digest.create(0x12, whole.multihash.digest.subarray(0, 8)))
    expect(matches(short, bytes)).toBe(false)
  })

  it('of other functions are refused', () => {
    const cid = CID.createV1(0x55, Digest.create(0x1e, new Uint8Array(32)))
    expect(() => matches(cid, Buffer.from('x'))).toThrow(
      expect.objectContaining({ code: 'ERR_HASH_UNSUPPORTED' }),
    )
  })
})
