import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JobSource } from '../../../../src/jobs/types.ts'
import { AtRest } from '../../../../src/vault/owner/at-rest.ts'
import { FileStream } from '../../../../src/vault/owner/put/file-stream.ts'
import type { PutStream, StreamCheckpoint } from '../../../../src/vault/owner/put/stream.ts'
import { TreeStream } from '../../../../src/vault/owner/put/tree-stream.ts'
import { collect } from '../../../support/vault-node.ts'

let folder: string
const atRest = new AtRest(randomBytes(32))
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-streams-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function sourceOf(bytes: Uint8Array, offset: number): JobSource {
  return {
    offset,
    size: bytes.length,
    async commit() {},
    async *[Symbol.asyncIterator]() {
      for (let at = offset; at < bytes.length; at += 1_000) yield bytes.subarray(at, at + 1_000)
    },
  }
}

/** Reads in steps; at each cut the stream is dropped as a crash does, after some more was read, and opened again. */
async function readWithCuts(
  open: (offset: number, saved: StreamCheckpoint | undefined) => Promise<PutStream>,
  stepBytes: number,
  cuts: ReadonlySet<number>,
): Promise<{ bytes: Buffer; stream: PutStream }> {
  const parts: Uint8Array[] = []
  let stream = await open(0, undefined)
  for (let step = 0; ; step += 1) {
    const target = new Uint8Array(stepBytes)
    const length = await stream.take(target)
    parts.push(target.slice(0, length))
    if (length < stepBytes) return { bytes: Buffer.concat(parts), stream }
    if (!cuts.has(step)) continue
    const saved = JSON.parse(JSON.stringify(stream.save())) as StreamCheckpoint
    const { offset } = stream
    await stream.sync()
    await stream.take(new Uint8Array(700))
    await stream.close()
    stream = await open(offset, saved)
  }
}

const cuts = fc.uniqueArray(fc.nat(20), { maxLength: 6 }).map((steps) => new Set(steps))
const step = fc.integer({ min: 500, max: 6_000 })

describe('a put that is cut off anywhere', () => {
  it('has the bytes, hash and type of the file', async () => {
    const file = Buffer.concat([Buffer.from('ffd8ffe0', 'hex'), randomBytes(40_000)])
    await fc.assert(
      // Checkpoints are 64 MiB apart: none before the type is known.
      fc.asyncProperty(fc.integer({ min: 4_200, max: 9_000 }), cuts, async (stepBytes, at) => {
        const { bytes, stream } = await readWithCuts(
          (offset, saved) =>
            FileStream.open({
              source: sourceOf(file, offset),
              name: 'x.bin',
              atRest,
              id: 'put',
              saved: saved?.source === 'file' ? saved : undefined,
            }),
          stepBytes,
          at,
        )
        expect(bytes.equals(file)).toBe(true)
        const contents = await stream.contents()
        expect(contents).toMatchObject({ size: file.length, mime: 'image/jpeg', files: 1 })
        expect(Buffer.from(contents.sha256 ?? []).equals(createHash('sha256').update(file).digest())).toBe(
          true,
        )
        await stream.close()
      }),
      { numRuns: 25 },
    )
  }, 30_000)

  it('has every entry of the tree', async () => {
    const files = Array.from({ length: 12 }, (_, at) => ({
      name: `t/d/${at}.txt`,
      bytes: randomBytes(at * 400),
    }))
    const tar = pack()
    tar.entry({ name: 't/', type: 'directory' })
    tar.entry({ name: 't/d/', type: 'directory' })
    for (const { name, bytes } of files) tar.entry({ name, mode: 0o644 }, bytes)
    tar.finalize()
    const archive = await collect(tar as AsyncIterable<Uint8Array>)
    await fc.assert(
      fc.asyncProperty(step, cuts, async (stepBytes, at) => {
        const journalPath = join(folder, 'entries')
        const { bytes, stream } = await readWithCuts(
          (offset, saved) =>
            TreeStream.open({
              source: sourceOf(archive, offset),
              name: 't',
              preserveMode: true,
              journalPath,
              atRest,
              id: 'put',
              saved: saved?.source === 'tree' ? saved : undefined,
            }),
          stepBytes,
          at,
        )
        expect(bytes.equals(Buffer.concat(files.map(({ bytes: each }) => each)))).toBe(true)
        const { entries, ...rest } = await stream.contents()
        expect(rest).toEqual({ size: bytes.length, sha256: null, mime: '', files: 12 })
        expect(entries.map(({ path }) => path)).toEqual(['d', ...files.map(({ name }) => name.slice(2))])
        let offset = 0
        for (const [index, { bytes: each }] of files.entries()) {
          expect(entries[index + 1]).toMatchObject({
            size: each.length,
            offset,
            mime: 'text/plain',
            mode: 0o644,
          })
          const hash = Buffer.from(entries[index + 1]?.sha256 ?? [])
          expect(hash.equals(createHash('sha256').update(each).digest())).toBe(true)
          offset += each.length
        }
        await stream.close()
      }),
      { numRuns: 25 },
    )
  }, 30_000)
})
