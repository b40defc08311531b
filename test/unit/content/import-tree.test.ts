import { importer } from 'ipfs-unixfs-importer'
import type { ImportCandidate, ImporterOptions } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { MemoryBlockstore } from 'blockstore-core'
import fc from 'fast-check'
import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addJob } from '../../../src/content/import/add-job.ts'
import type { AddParams, AddResult, Profile } from '../../../src/content/types.ts'
import type { TreeEntry } from '../../support/content.ts'
import {
  Crash,
  DurableUpload,
  jobContext,
  keystream,
  memoryStorage,
  tarOf,
  temporaryFolder,
} from '../../support/content.ts'

const PARAMS: AddParams = {
  source: 'tree',
  name: 'tree',
  profile: 'unixfs-v1-2025',
  pin: null,
  preserveMode: false,
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

async function addTar(tar: Uint8Array, params: Partial<AddParams> = {}): Promise<AddResult> {
  const { storage } = memoryStorage()
  const job = addJob({ storage, jobsFolder: folder.path, onAdded() {} })
  const upload = new DurableUpload()
  return job.run(jobContext('tree', { ...PARAMS, ...params }, upload, upload.source(tar)))
}

async function add(entries: TreeEntry[], params: Partial<AddParams> = {}): Promise<AddResult> {
  return addTar(await tarOf(entries), params)
}

const OPTIONS: Record<Profile, ImporterOptions> = {
  'unixfs-v1-2025': {
    cidVersion: 1,
    rawLeaves: true,
    chunker: fixedSize({ chunkSize: 1_048_576 }),
    layout: balanced({ maxChildrenPerNode: 1024 }),
    shardSplitStrategy: 'block-bytes',
    wrapWithDirectory: true,
  },
  'unixfs-v0-2015': {
    cidVersion: 0,
    rawLeaves: false,
    chunker: fixedSize({ chunkSize: 262_144 }),
    layout: balanced({ maxChildrenPerNode: 174 }),
    shardSplitStrategy: 'links-bytes',
    wrapWithDirectory: true,
  },
}

/** The root that ipfs-unixfs-importer gives for the same tree. */
async function reference(
  entries: TreeEntry[],
  profile: Profile = 'unixfs-v1-2025',
  withModes = false,
): Promise<string> {
  const candidates = entries.map((entry): ImportCandidate => {
    const mode = withModes && entry.mode !== undefined ? { mode: entry.mode } : {}
    if (entry.content !== undefined) return { path: entry.path, content: entry.content, ...mode }
    if (entry.target !== undefined) return { path: entry.path, link: entry.target }
    return { path: entry.path, ...mode }
  })
  let cid = ''
  for await (const entry of importer(candidates, new MemoryBlockstore(), { ...OPTIONS[profile] }))
    cid = entry.cid.toString()
  return cid
}

const text = (content: string): Uint8Array => Buffer.from(content)

const TREE: TreeEntry[] = [
  { path: 'a', mode: 0o755 },
  { path: 'a/empty', content: text('') },
  { path: 'a/run.sh', content: text('#!/bin/sh\n'), mode: 0o755 },
  { path: 'a/b/deep/file', content: keystream('deep', 300_000) },
  { path: 'hollow', mode: 0o700 },
  { path: 'link', target: '../somewhere else' },
  { path: 'zoë/日本語/🦆', content: text('duck') },
  { path: 'back\\slash', content: text('b') },
  { path: 'new\nline', content: text('n') },
  { path: 'line\u2028separator', content: text('s') },
  { path: `long-${'x'.repeat(200)}`, content: text('l') },
]

describe('a tree', () => {
  it.each(['unixfs-v1-2025', 'unixfs-v0-2015'] as Profile[])(
    'has the CID of ipfs-unixfs-importer (%s)',
    async (profile) => {
      // The library takes a backslash for an escape, so that name is left to the round trip.
      const entries = TREE.filter(({ path }) => !path.includes('\\'))
      const expected = await reference(entries, profile)
      expect((await add(entries, { profile })).cid).toBe(expected)
    },
  )

  it('keeps modes on request, and only where they say something', async () => {
    const entries = TREE.filter(({ path }) => !path.includes('\\'))
    const expected = await reference(entries, 'unixfs-v1-2025', true)
    expect((await add(entries, { preserveMode: true })).cid).toBe(expected)
    expect((await add(entries)).cid).not.toBe(expected)
  })

  it('does not depend on the order of entries, on dots, or on the name of its root', async () => {
    const expected = (await add(TREE)).cid
    expect((await add(TREE.toReversed())).cid).toBe(expected)
    expect(
      (await add([{ path: '.' }, ...TREE.map((entry) => ({ ...entry, path: `./${entry.path}` }))])).cid,
    ).toBe(expected)
    const named = [{ path: 'tree' }, ...TREE.map((entry) => ({ ...entry, path: `tree/${entry.path}` }))]
    expect((await add(named)).cid).toBe(expected)
    expect((await add(named, { name: 'other' })).cid).not.toBe(expected)
  })

  it('counts what it took', async () => {
    const result = await add([
      ...TREE,
      { path: 'pipe', type: 'fifo' },
      { path: 'same', hardlink: 'a/run.sh' },
    ])
    expect(result).toMatchObject({ files: 9, skipped: 1, size: 300_000 + 10 + 4 + 1 + 1 + 1 + 1 + 10 })
  })

  it('takes a hard link for another name of the same file', async () => {
    const linked = await add([
      { path: 'one', content: text('shared') },
      { path: 'two', hardlink: 'one' },
    ])
    const copied = await add([
      { path: 'one', content: text('shared') },
      { path: 'two', content: text('shared') },
    ])
    expect(linked.cid).toBe(copied.cid)
  })

  it('may be empty', async () => {
    expect((await add([])).cid).toBe('bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354')
    expect((await add([], { profile: 'unixfs-v0-2015' })).cid).toBe(
      'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn',
    )
  })
})

describe('a directory of many entries', () => {
  const many = (count: number, nameBytes: number): TreeEntry[] =>
    Array.from({ length: count }, (_, index) => ({
      path: index.toString().padStart(nameBytes, 'n'),
      content: text(`${index % 7}`),
    }))

  it.each([
    ['unixfs-v1-2025', 1_500, 200],
    ['unixfs-v0-2015', 1_500, 200],
    ['unixfs-v1-2025', 5_000, 12],
  ] as [Profile, number, number][])('%s: %i names of %i bytes', async (profile, count, nameBytes) => {
    const entries = many(count, nameBytes)
    expect((await add(entries, { profile })).cid).toBe(await reference(entries, profile))
  })

  it('is sharded exactly when the library shards it', async () => {
    // A link takes 46 bytes and its name, the node 4: 262 144 bytes lie between 1 323 and 1 324 links of 152 bytes.
    for (const count of [1_323, 1_324]) {
      const entries = many(count, 152)
      expect((await add(entries)).cid).toBe(await reference(entries))
    }
  })
})

describe('a stream that cannot be taken', () => {
  it.each([
    ['a path out of the tree', [{ path: 'a/../../b', content: text('') }], 'ERR_ENTRY_REFUSED'],
    ['an absolute path', [{ path: '/etc/passwd', content: text('') }], 'ERR_ENTRY_REFUSED'],
    [
      'a name twice',
      [
        { path: 'a', content: text('') },
        { path: './a', content: text('') },
      ],
      'ERR_ENTRY_REFUSED',
    ],
    [
      'a file below a file',
      [
        { path: 'a', content: text('') },
        { path: 'a/b', content: text('') },
      ],
      'ERR_ENTRY_REFUSED',
    ],
    [
      'a file in place of a directory',
      [
        { path: 'a/b', content: text('') },
        { path: 'a', content: text('') },
      ],
      'ERR_ENTRY_REFUSED',
    ],
    [
      'a file below a symlink',
      [
        { path: 'a', target: '/etc' },
        { path: 'a/passwd', content: text('') },
      ],
      'ERR_ENTRY_REFUSED',
    ],
    ['a hard link to nothing', [{ path: 'a', hardlink: 'b' }], 'ERR_ENTRY_REFUSED'],
    ['a hard link out of the tree', [{ path: 'a', hardlink: '../b' }], 'ERR_ENTRY_REFUSED'],
    [
      'an entry outside of the named root',
      [{ path: 'tree' }, { path: 'b', content: text('') }],
      'ERR_ENTRY_REFUSED',
    ],
  ] as [string, TreeEntry[], string][])('%s', async (_, entries, code) => {
    await expect(add(entries)).rejects.toMatchObject({ code })
  })

  it('is refused when it was cut, anywhere', async () => {
    const tar = await tarOf(TREE)
    for (const end of [0, 1, 511, 512, 1024, 5_000, tar.length - 1024, tar.length - 1025]) {
      await expect(addTar(tar.subarray(0, end))).rejects.toMatchObject({ code: 'ERR_TAR_TRUNCATED' })
    }
  })

  it('is refused when a header was changed, or data follows its end', async () => {
    const tar = await tarOf(TREE)
    const changed = Buffer.from(tar)
    changed[0] = (changed[0] as number) ^ 1
    await expect(addTar(changed)).rejects.toMatchObject({ code: 'ERR_TAR_INVALID' })
    await expect(addTar(Buffer.concat([tar, tar]))).rejects.toMatchObject({ code: 'ERR_TAR_INVALID' })
    await expect(addTar(keystream('noise', 10_000))).rejects.toMatchObject({ code: 'ERR_TAR_INVALID' })
  })

  it('is refused for a name that is not UTF-8', async () => {
    const tar = Buffer.from(await tarOf([{ path: 'caf_', content: text('') }]))
    tar[3] = 0xe9
    // One byte of the name grew by 0xe9 - 0x5f, so the checksum does too.
    const sum = Number.parseInt(tar.toString('latin1', 148, 154), 8) + 0xe9 - 0x5f
    tar.write(sum.toString(8).padStart(6, '0'), 148, 'latin1')
    await expect(addTar(tar)).rejects.toMatchObject({
      code: 'ERR_TAR_INVALID',
      message: expect.stringContaining('UTF-8'),
    })
  })
})

describe('an interrupted add of a tree', () => {
  it('goes on from the last commit and ends in the same CID, wherever it crashed', async () => {
    const entries: TreeEntry[] = [
      ...TREE,
      { path: 'big', content: keystream('big', 150_000) },
      { path: 'one-chunk-with-mode', content: text('x'), mode: 0o600 },
      { path: 'chunks-with-mode', content: keystream('modes', 20_000), mode: 0o600 },
      ...Array.from({ length: 50 }, (_, index) => ({
        path: `many/${index}`,
        content: keystream(`${index}`, index * 20),
      })),
      { path: 'again', hardlink: 'many/7' },
    ]
    const tar = await tarOf(entries)
    const resumedFrom = new Set<number>()
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: tar.length + 1 }), { maxLength: 5 }),
        fc.constantFrom('size-1024', 'size-9999', 'fastcdc'),
        fc.constantFrom<Profile>('unixfs-v1-2025', 'unixfs-v0-2015'),
        fc.boolean(),
        fc.integer({ min: 700, max: 40_000 }),
        async (crashes, chunker, profile, preserveMode, partBytes) => {
          const { storage, blocks } = memoryStorage()
          blocks.delayMs = 1
          const commitInterval = { everyBytes: 3_000, everyMs: 1000 }
          const job = addJob({ storage, jobsFolder: folder.path, onAdded() {}, commitInterval })
          const upload = new DurableUpload()
          const params = { ...PARAMS, chunker, profile, preserveMode }
          for (const crashAt of crashes.sort((left, right) => left - right)) {
            resumedFrom.add(upload.offset)
            const source = upload.source(tar, { partBytes, crashAt })
            await job.run(jobContext('crash', params, upload, source)).catch((error: unknown) => {
              if (!(error instanceof Crash)) throw error
            })
          }
          const result = await job.run(jobContext('crash', params, upload, upload.source(tar, { partBytes })))
          expect(result).toEqual({
            ...(await addTar(tar, { chunker, profile, preserveMode })),
            blocks: result.blocks,
          })
          expect(await readdir(folder.path)).toEqual([])
        },
      ),
      { numRuns: 30 },
    )
    expect(resumedFrom.size).toBeGreaterThan(10)
  }, 60_000)

  it('drops what it kept when the job is given up', async () => {
    const { storage, blocks } = memoryStorage()
    const job = addJob({ storage, jobsFolder: folder.path, onAdded() {} })
    const upload = new DurableUpload()
    const tar = await tarOf(TREE)
    await expect(
      job.run(jobContext('gone', PARAMS, upload, upload.source(tar, { crashAt: 200_000 }))),
    ).rejects.toThrow(Crash)
    expect(await readdir(folder.path)).toEqual(['gone.entries'])
    expect([...blocks.leases]).toEqual(['job:gone'])
    await job.discard?.('gone', PARAMS)
    expect(await readdir(folder.path)).toEqual([])
    expect(blocks.leases.size).toBe(0)
  })
})
