import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { importer } from 'ipfs-unixfs-importer'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { MemoryBlockstore } from 'blockstore-core'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addJob } from '../../../src/content/import/add-job.ts'
import { FileBuilder } from '../../../src/content/unixfs/file.ts'
import { layoutOf } from '../../../src/content/unixfs/profile.ts'
import type { AddParams, AddResult, Profile } from '../../../src/content/types.ts'
import {
  Crash,
  DurableUpload,
  jobContext,
  keystream,
  memoryStorage,
  temporaryFolder,
} from '../../support/content.ts'

const PARAMS: AddParams = {
  source: 'file',
  name: 'file',
  profile: 'unixfs-v1-2025',
  pin: null,
  preserveMode: false,
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

async function add(
  bytes: Uint8Array,
  params: Partial<AddParams> = {},
  partBytes?: number,
): Promise<AddResult> {
  const { storage } = memoryStorage()
  const job = addJob({ storage, jobsFolder: folder.path, onAdded() {} })
  const upload = new DurableUpload()
  const source = upload.source(bytes, partBytes === undefined ? {} : { partBytes })
  return job.run(jobContext('job', { ...PARAMS, ...params }, upload, source))
}

/** The CID that ipfs-unixfs-importer gives, with our profiles' numbers spelt out. */
async function reference(
  bytes: Uint8Array,
  profile: Profile,
  chunkBytes: number,
  maxChildrenPerNode: number,
): Promise<string> {
  const v1 = profile === 'unixfs-v1-2025'
  for await (const entry of importer([{ content: bytes }], new MemoryBlockstore(), {
    cidVersion: v1 ? 1 : 0,
    rawLeaves: v1,
    chunker: fixedSize({ chunkSize: chunkBytes }),
    layout: balanced({ maxChildrenPerNode }),
  })) {
    return entry.cid.toString()
  }
  throw new Error('nothing was imported')
}

interface Vector {
  profile: Profile
  text?: string
  seed?: string
  size?: number
  cid: string
}

describe('profiles', () => {
  const { vectors } = JSON.parse(
    readFileSync(new URL('vectors/cid-profiles.json', import.meta.url), 'utf8'),
  ) as {
    vectors: Vector[]
  }

  it.each(vectors)('$profile gives $cid', async ({ profile, text, seed, size, cid }) => {
    const bytes = text === undefined ? keystream(seed as string, size as number) : Buffer.from(text)
    expect((await add(bytes, { profile })).cid).toBe(cid)
  })

  it('gives the well-known CIDs of an empty file', async () => {
    const empty = new Uint8Array(0)
    expect((await add(empty, { profile: 'unixfs-v0-2015' })).cid).toBe(
      'QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH',
    )
    expect((await add(empty)).cid).toBe('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
  })
})

describe('the balanced layout', () => {
  const chunkBytes = 1024
  const cases: [Profile, number, number][] = (
    [
      ['unixfs-v1-2025', 1024],
      ['unixfs-v0-2015', 174],
    ] as [Profile, number][]
  ).flatMap(([profile, links]) =>
    [0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, links * chunkBytes, links * chunkBytes + 1].map(
      (size): [Profile, number, number] => [profile, links, size],
    ),
  )

  it.each(cases)('%s with %i links equals ipfs-unixfs-importer at %i bytes', async (profile, links, size) => {
    const bytes = keystream('layout', size)
    const expected = await reference(bytes, profile, chunkBytes, links)
    expect((await add(bytes, { profile, chunker: `size-${chunkBytes}` })).cid).toBe(expected)
  })

  it('equals it over any number of levels', async () => {
    const layout = { ...layoutOf({ profile: 'unixfs-v1-2025', chunker: 'size-1024' }), maxLinksPerNode: 3 }
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 90 }), async (chunks) => {
        const bytes = keystream('levels', chunks * 1024)
        let builder = new FileBuilder(layout, undefined)
        for (let chunk = 0; chunk < chunks; chunk += 1) {
          Array.from(builder.add(bytes.subarray(chunk * 1024, (chunk + 1) * 1024)))
          builder = new FileBuilder(layout, undefined, JSON.parse(JSON.stringify(builder.save())))
        }
        const cid = builder.root([...builder.finish()].at(-1)).cid.toString()
        expect(cid).toBe(await reference(bytes, 'unixfs-v1-2025', 1024, 3))
      }),
    )
  })
})

describe('an interrupted add of a file', () => {
  it('goes on from the last commit and ends in the same CID, wherever it crashed', async () => {
    const bytes = keystream('crash', 700_000)
    const resumedFrom = new Set<number>()
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: bytes.length + 1 }), { maxLength: 5 }),
        fc.constantFrom('size-1024', 'size-5000', 'fastcdc'),
        fc.constantFrom<Profile>('unixfs-v1-2025', 'unixfs-v0-2015'),
        fc.integer({ min: 1, max: 100_000 }),
        async (crashes, chunker, profile, partBytes) => {
          const { storage, blocks } = memoryStorage()
          blocks.delayMs = 1
          const commitInterval = { everyBytes: 10_000, everyMs: 1000 }
          const job = addJob({ storage, jobsFolder: folder.path, onAdded() {}, commitInterval })
          const upload = new DurableUpload()
          const params = { ...PARAMS, chunker, profile }
          const options = { partBytes: Math.max(partBytes, 2000) }
          for (const crashAt of crashes.sort((left, right) => left - right)) {
            resumedFrom.add(upload.offset)
            const source = upload.source(bytes, { ...options, crashAt })
            await job.run(jobContext('job', params, upload, source)).catch((error: unknown) => {
              if (!(error instanceof Crash)) throw error
            })
          }
          const result = await job.run(jobContext('job', params, upload, upload.source(bytes, options)))
          expect(result.cid).toBe((await add(bytes, { chunker, profile })).cid)
          expect(result.size).toBe(bytes.length)
          expect(upload.checkpointBytes).toBeLessThan(1024 * 1024)
        },
      ),
      { numRuns: 30 },
    )
    // The test would prove nothing if every run had begun at the start again.
    expect(resumedFrom.size).toBeGreaterThan(10)
  }, 30_000)
})

describe('an add', () => {
  it('pins under a lease and gives the lease back', async () => {
    const { storage, blocks, pins } = memoryStorage()
    const added: string[] = []
    const job = addJob({ storage, jobsFolder: folder.path, onAdded: (cid) => added.push(cid) })
    const upload = new DurableUpload()
    const seen: string[][] = []
    const source = upload.source(keystream('lease', 10_000), {
      onCommit: () => seen.push([...blocks.leases]),
    })
    const result = await job.run(jobContext('abc', { ...PARAMS, pin: 'mine' }, upload, source))
    expect(seen).toEqual([['job:abc']])
    expect(blocks.leases.size).toBe(0)
    expect(pins.pinned).toEqual([{ cid: result.cid, name: 'mine' }])
    expect(added).toEqual([result.cid])
  })

  it('keeps its blocks readable: every byte comes back in order', async () => {
    const { storage, blocks } = memoryStorage()
    const job = addJob({ storage, jobsFolder: folder.path, onAdded() {} })
    const bytes = keystream('readable', 5_000)
    const upload = new DurableUpload()
    await job.run(jobContext('job', { ...PARAMS, chunker: 'size-1024' }, upload, upload.source(bytes)))
    const leaves = [...blocks.map.values()].filter(({ cid }) => cid.code === 0x55).map(({ bytes }) => bytes)
    expect(createHash('sha256').update(Buffer.concat(leaves)).digest('hex')).toBe(
      createHash('sha256').update(bytes).digest('hex'),
    )
  })

  it.each(['size-1', 'size-3000000', 'size-', 'rabin', 'size-1e6'])(
    'refuses the chunker %s',
    async (chunker) => {
      await expect(add(new Uint8Array(1), { chunker })).rejects.toMatchObject({
        code: 'ERR_CHUNKER_INVALID',
        kind: 'usage',
      })
    },
  )

  it('ends at once with the error of a failed put', async () => {
    const { storage, blocks } = memoryStorage()
    blocks.put = async () => {
      throw new Error('disk full')
    }
    const job = addJob({ storage, jobsFolder: folder.path, onAdded() {} })
    const upload = new DurableUpload()
    await expect(
      job.run(jobContext('job', PARAMS, upload, upload.source(keystream('full', 3_000_000)))),
    ).rejects.toThrow('disk full')
    expect(upload.commits).toBe(0)
  })
})
