import { execFile } from 'node:child_process'
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile as readFileFromDisk,
  readlink,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CarReader } from '@ipld/car/reader'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import fc from 'fast-check'
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blockNotFound } from '../../../src/content/errors.ts'
import { addJob } from '../../../src/content/import/add-job.ts'
import { parseAddress } from '../../../src/content/read/address.ts'
import type { BlockReader } from '../../../src/content/read/block-reader.ts'
import { walkDag, writeCar } from '../../../src/content/read/car.ts'
import { listEntries } from '../../../src/content/read/directory.ts'
import { readFile } from '../../../src/content/read/file.ts'
import { resolveAddress } from '../../../src/content/read/resolve.ts'
import { writeTar } from '../../../src/content/read/tar.ts'
import type { AddParams, Entry, Profile } from '../../../src/content/types.ts'
import type { TreeEntry } from '../../support/content.ts'
import {
  DurableUpload,
  jobContext,
  keystream,
  type MemoryBlocks,
  memoryStorage,
  tarOf,
  temporaryFolder,
} from '../../support/content.ts'

const PARAMS: AddParams = {
  source: 'file',
  name: 'root',
  profile: 'unixfs-v1-2025',
  pin: null,
  preserveMode: true,
}
const run = promisify(execFile)
const { signal } = new AbortController()
const text = (content: string): Uint8Array => Buffer.from(content)

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

/** Blocks in memory behind the face that readers know; counts what is asked of it. */
class TestReader implements BlockReader {
  readonly blocks: MemoryBlocks
  reads: string[] = []
  missing = new Set<string>()

  constructor(blocks: MemoryBlocks) {
    this.blocks = blocks
  }

  async get(cid: CID): Promise<Uint8Array> {
    this.reads.push(cid.toString())
    const bytes = this.missing.has(cid.toString()) ? undefined : await this.blocks.get(cid)
    if (bytes === undefined) throw blockNotFound(cid, [])
    return bytes
  }
}

async function add(bytes: Uint8Array, params: Partial<AddParams>): Promise<{ cid: CID; reader: TestReader }> {
  const { storage, blocks } = memoryStorage()
  const job = addJob({ storage, jobsFolder: folder.path, onAdded() {} })
  const upload = new DurableUpload()
  const { cid } = await job.run(jobContext('job', { ...PARAMS, ...params }, upload, upload.source(bytes)))
  return { cid: CID.parse(cid), reader: new TestReader(blocks) }
}

async function addTree(
  entries: TreeEntry[],
  params: Partial<AddParams> = {},
): Promise<{ cid: CID; reader: TestReader }> {
  return add(await tarOf(entries), { source: 'tree', ...params })
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

async function tarStream(cid: CID, reader: BlockReader, name = 'root'): Promise<Buffer> {
  const target = await resolveAddress(reader, { root: cid, path: [] }, signal)
  return collect(writeTar(reader, target, name, signal))
}

async function putPb(blocks: MemoryBlocks, node: dagPb.PBNode): Promise<CID> {
  const bytes = dagPb.encode(dagPb.prepare(node))
  const cid = CID.createV1(dagPb.code, await sha256.digest(bytes))
  await blocks.put(cid, bytes)
  return cid
}

describe('an address', () => {
  const v0 = 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn'
  const v1 = 'bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354'

  it.each([
    [v0, v0, []],
    [v1, v1, []],
    [`${v1}/`, v1, []],
    [`${v1}/a/b c`, v1, ['a', 'b c']],
    [`/ipfs/${v1}//a%20b`, v1, ['a%20b']],
    [`ipfs://${v1}/a%20b/%F0%9F%A6%86`, v1, ['a b', '🦆']],
    [CID.parse(v1).toString(base36), v1, []],
  ])('%s', (address, root, path) => {
    const parsed = parseAddress(address)
    expect(parsed.root.toString()).toBe(root)
    expect(parsed.path).toEqual(path)
  })

  it.each([
    '',
    '/',
    'hello',
    '/ipfs/',
    '/ipfs/hello',
    `/ipns/${v1}`,
    `ipfs://${v1}/%zz`,
    '../etc',
    'x'.repeat(70_000),
  ])('is not %s', (address) => {
    expect(() => parseAddress(address)).toThrow(
      expect.objectContaining({ code: 'ERR_ADDRESS_INVALID', kind: 'usage' }),
    )
  })
})

describe('reading a file', () => {
  it.each(['unixfs-v1-2025', 'unixfs-v0-2015'] as Profile[])(
    'gives any slice of it (%s)',
    async (profile) => {
      const bytes = keystream('slices', 400_000)
      const { cid, reader } = await add(bytes, { profile, chunker: 'size-1024' })
      await fc.assert(
        fc.asyncProperty(fc.nat(450_000), fc.nat(450_000), async (offset, length) => {
          const slice = await collect(readFile(reader, cid, { offset, length, signal }))
          expect(slice.equals(bytes.subarray(offset, offset + length))).toBe(true)
        }),
        { numRuns: 40 },
      )
      expect((await collect(readFile(reader, cid, { signal }))).equals(bytes)).toBe(true)
      expect((await collect(readFile(reader, cid, { offset: 399_999, signal }))).length).toBe(1)
      expect(await collect(readFile(reader, cid, { offset: 400_000, signal }))).toHaveLength(0)
      expect(await collect(readFile(reader, cid, { offset: 7, length: 0, signal }))).toHaveLength(0)
    },
  )

  it('reads only the blocks that a slice needs', async () => {
    const { cid, reader } = await add(keystream('few', 1_000_000), { chunker: 'size-1024' })
    await collect(readFile(reader, cid, { offset: 500_000, length: 2_000, signal }))
    expect(reader.reads.length).toBeLessThanOrEqual(4)
  })

  it('asks for little more than its consumer takes', async () => {
    const { cid, reader } = await add(keystream('ahead', 3_000_000), { chunker: 'size-10000' })
    for await (const _ of readFile(reader, cid, { signal })) break
    expect(reader.reads.length).toBeLessThanOrEqual(34)
  })

  it('ends with the error of a block that cannot be had, after the bytes before it', async () => {
    const bytes = keystream('hole', 100_000)
    const { cid, reader } = await add(bytes, { chunker: 'size-10000' })
    const root = dagPb.decode((await reader.blocks.get(cid)) as Uint8Array)
    reader.missing.add((root.Links[3] as dagPb.PBLink).Hash.toString())
    const parts: Uint8Array[] = []
    await expect(
      (async () => {
        for await (const part of readFile(reader, cid, { signal })) parts.push(part)
      })(),
    ).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(Buffer.concat(parts).equals(bytes.subarray(0, 30_000))).toBe(true)
  })

  it('refuses a file whose blocks are not as large as it says', async () => {
    const { cid: leaf, reader } = await add(text('four'), {})
    const liar = await putPb(reader.blocks, {
      Data: new UnixFS({ type: 'file', blockSizes: [1_000_000n] }).marshal(),
      Links: [{ Name: '', Hash: leaf, Tsize: 4 }],
    })
    await expect(collect(readFile(reader, liar, { signal }))).rejects.toMatchObject({
      code: 'ERR_DAG_INVALID',
    })
  })

  it('refuses a directory', async () => {
    const { cid, reader } = await addTree([])
    await expect(collect(readFile(reader, cid, { signal }))).rejects.toMatchObject({
      code: 'ERR_NOT_A_FILE',
      kind: 'usage',
    })
  })
})

describe('a directory', () => {
  const entries: TreeEntry[] = [
    { path: 'file', content: text('content'), mode: 0o600 },
    { path: 'link', target: 'file' },
    { path: 'sub', mode: 0o700 },
    { path: 'sub/deep', content: keystream('deep', 2_000_000) },
  ]

  it('is listed with types, sizes and modes', async () => {
    const { cid, reader } = await addTree(entries)
    const { node } = await resolveAddress(reader, { root: cid, path: [] }, signal)
    if (node.type !== 'directory') throw new Error(node.type)
    const listed: Partial<Entry>[] = []
    for await (const { cid: _, ...entry } of listEntries(reader, cid, node, signal)) listed.push(entry)
    expect(listed).toEqual([
      { name: 'file', type: 'file', size: 7, mode: 0o600 },
      { name: 'link', type: 'symlink', size: 0, mode: null, target: 'file' },
      { name: 'sub', type: 'directory', size: null, mode: 0o700 },
    ])
  })

  it('resolves paths and says what is not there', async () => {
    const { cid, reader } = await addTree(entries)
    const { resolved } = await resolveAddress(reader, { root: cid, path: ['sub', 'deep'] }, signal)
    expect(resolved).toMatchObject({ name: 'deep', type: 'file', size: 2_000_000, mode: null })
    for (const path of [['none'], ['sub', 'none'], ['file', 'none'], ['link', 'x'], ['toString']]) {
      await expect(resolveAddress(reader, { root: cid, path }, signal)).rejects.toMatchObject({
        code: 'ERR_NOT_FOUND',
        kind: 'not-found',
      })
    }
  })

  it('of thousands of entries is listed whole and found into', async () => {
    const names = Array.from({ length: 6_000 }, (_, index) => `entry-${index}`)
    const { cid, reader } = await addTree(names.map((path) => ({ path, content: text(path) })))
    const { node } = await resolveAddress(reader, { root: cid, path: [] }, signal)
    if (node.type !== 'shard') throw new Error(node.type)
    const listed: string[] = []
    for await (const { name } of listEntries(reader, cid, node, signal)) listed.push(name)
    expect(listed.sort()).toEqual(names.sort())
    for (const name of ['entry-0', 'entry-17', 'entry-5999']) {
      const { resolved } = await resolveAddress(reader, { root: cid, path: [name] }, signal)
      expect((await collect(readFile(reader, resolved.cid, { signal }))).toString()).toBe(name)
    }
    await expect(resolveAddress(reader, { root: cid, path: ['entry-6000'] }, signal)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
  })

  it('leads through dag-cbor to a file', async () => {
    const { cid, reader } = await addTree(entries)
    const bytes = dagCbor.encode({ versions: [{ files: cid }], name: 'x' })
    const root = CID.createV1(dagCbor.code, await sha256.digest(bytes))
    await reader.blocks.put(root, bytes)
    const { resolved } = await resolveAddress(
      reader,
      { root, path: ['versions', '0', 'files', 'file'] },
      signal,
    )
    expect(resolved.type).toBe('file')
    await expect(resolveAddress(reader, { root, path: ['name'] }, signal)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
    expect((await resolveAddress(reader, { root, path: [] }, signal)).resolved.type).toBe('other')
  })
})

/** Names that a file may have: anything but a slash, NUL, and the two that mean something else. */
const fileName = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 60 })
  .filter((name) => name !== '.' && name !== '..' && !/[/\0]/.test(name))

const tree = fc.array(
  fc.record({
    names: fc.array(fileName, { minLength: 1, maxLength: 3 }),
    kind: fc.constantFrom<'file' | 'symlink' | 'directory'>('file', 'symlink', 'directory'),
    size: fc.constantFrom(0, 1, 511, 512, 1023, 1024, 1025, 5_000),
    mode: fc.constantFrom(0o644, 0o755, 0o600, 0o7777, 0),
    target: fc
      .string({ unit: 'binary', minLength: 1, maxLength: 150 })
      .filter((target) => !target.includes('\0')),
  }),
  { maxLength: 12 },
)

describe('a tar stream', () => {
  it('of any tree is imported as the same tree again', async () => {
    await fc.assert(
      fc.asyncProperty(
        tree,
        fc.constantFrom<Profile>('unixfs-v1-2025', 'unixfs-v0-2015'),
        async (items, profile) => {
          const taken = new Set<string>()
          const entries: TreeEntry[] = []
          for (const { names, kind, size, mode, target } of items) {
            const path = names.join('/')
            const parents = names.map((_, index) => names.slice(0, index + 1).join('/'))
            if (
              parents.some((parent) => taken.has(parent)) ||
              [...taken].some((other) => other.startsWith(`${path}/`))
            )
              continue
            taken.add(path)
            if (kind === 'file') entries.push({ path, content: keystream(path, size), mode })
            else if (kind === 'symlink') entries.push({ path, target })
            else entries.push({ path, mode })
          }
          const params = { profile, chunker: 'size-1024' }
          const first = await addTree(entries, params)
          const stream = await tarStream(first.cid, first.reader)
          const second = await add(stream, { ...params, source: 'tree' })
          expect(second.cid.toString()).toBe(first.cid.toString())
          expect((await tarStream(second.cid, second.reader)).equals(stream)).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  }, 30_000)

  it('is unpacked by tar itself, and what tar packs is taken', async () => {
    const long = 'n'.repeat(180)
    const { cid, reader } = await addTree([
      { path: 'run', content: text('#!'), mode: 0o755 },
      { path: 'zoë/🦆', content: keystream('duck', 70_000) },
      { path: 'link', target: '../zoë' },
      { path: `deep/${long}/${long}`, content: text('long') },
      { path: 'hollow', mode: 0o750 },
    ])
    const place = await mkdtemp(join(folder.path, 'tar-'))
    await writeFile(join(place, 'out.tar'), await tarStream(cid, reader))
    await mkdir(join(place, 'x'))
    await run('tar', ['-xpf', join(place, 'out.tar'), '-C', join(place, 'x')])
    const at = (path: string): string => join(place, 'x', 'root', path)
    expect((await stat(at('run'))).mode & 0o777).toBe(0o755)
    expect((await stat(at('hollow'))).mode & 0o777).toBe(0o750)
    expect((await readFileFromDisk(at('zoë/🦆'))).equals(keystream('duck', 70_000))).toBe(true)
    expect(await readlink(at('link'))).toBe('../zoë')
    expect(await readFileFromDisk(at(`deep/${long}/${long}`), 'utf8')).toBe('long')

    for (const format of ['pax', 'gnu', 'ustar']) {
      const packed = join(place, `${format}.tar`)
      const options = format === 'ustar' ? ['--exclude=deep'] : []
      await run('tar', ['--format', format, ...options, '-cf', packed, '-C', at('.'), '.'], {
        env: { ...process.env, LC_ALL: 'C.UTF-8' },
      })
      const again = await add(await readFileFromDisk(packed), { source: 'tree' })
      if (format !== 'ustar') expect(again.cid.toString()).toBe(cid.toString())
    }
    expect((await readdir(at('.'))).length).toBe(5)
  })

  it('of one file holds that file', async () => {
    const { cid, reader } = await add(text('alone'), {})
    const { cid: tree } = await add(await tarStream(cid, reader, 'alone.txt'), { source: 'tree' })
    expect(tree.toString()).toBe(
      (await addTree([{ path: 'alone.txt', content: text('alone') }])).cid.toString(),
    )
  })

  it.each(['..', '', 'a/b', 'nul\0'])('does not pass on a name like %j', async (name) => {
    const { cid: leaf, reader } = await add(text('x'), {})
    const cid = await putPb(reader.blocks, {
      Data: new UnixFS({ type: 'directory' }).marshal(),
      Links: [{ Name: name, Hash: leaf, Tsize: 1 }],
    })
    await expect(tarStream(cid, reader)).rejects.toMatchObject({ code: 'ERR_DAG_INVALID' })
    await expect(tarStream(leaf, reader, name)).rejects.toMatchObject({ code: 'ERR_PARAMS_INVALID' })
  })

  it('does not pass on a name twice', async () => {
    const { cid: leaf, reader } = await add(text('x'), {})
    const link = { Name: 'same', Hash: leaf, Tsize: 1 }
    const cid = await putPb(reader.blocks, {
      Data: new UnixFS({ type: 'directory' }).marshal(),
      Links: [link, link],
    })
    await expect(tarStream(cid, reader)).rejects.toMatchObject({ code: 'ERR_DAG_INVALID' })
  })
})

describe('a CAR', () => {
  it('holds every block once, depth first, and is read by @ipld/car', async () => {
    const same = keystream('same', 20_000)
    const { cid, reader } = await addTree(
      [
        { path: 'a/one', content: same },
        { path: 'b/two', content: same },
        { path: 'c', content: text('c') },
      ],
      { chunker: 'size-1024' },
    )
    const car = await CarReader.fromBytes(await collect(writeCar(reader, cid, signal)))
    expect((await car.getRoots()).map(String)).toEqual([cid.toString()])
    const order: string[] = []
    for await (const block of car.blocks()) {
      expect((await sha256.digest(block.bytes)).digest).toEqual(block.cid.multihash.digest)
      order.push(block.cid.toString())
    }
    expect(new Set(order).size).toBe(order.length)
    // Directories a, b and the root, the file's node and its 20 leaves, c.
    expect(order.length).toBe(3 + 1 + 20 + 1)
    const links = dagPb
      .decode((await reader.blocks.get(cid)) as Uint8Array)
      .Links.map((link) => link.Hash.toString())
    expect(order[0]).toBe(cid.toString())
    expect(order[1]).toBe(links[0])
    expect(order.indexOf(links[1] as string)).toBe(order.length - 2)
  })

  it('fails where a block is missing, and never ends as if it were whole', async () => {
    const { cid, reader } = await addTree([{ path: 'a', content: keystream('a', 5_000) }], {
      chunker: 'size-1024',
    })
    const all: string[] = []
    for await (const block of walkDag(reader, cid, signal)) all.push(block.cid.toString())
    reader.missing.add(all.at(-1) as string)
    await expect(collect(writeCar(reader, cid, signal))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})
