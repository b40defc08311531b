import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Header, pack } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { writeTree } from '../../../src/cli/files/write-tree.ts'
import { describeTree, Folders, gather, never, pieces } from '../../support/cli.ts'

const folders = new Folders()
let folder: string
let outside: string
beforeEach(async () => {
  folder = await folders.make()
  outside = join(folder, 'outside')
  await mkdir(outside)
})
afterEach(() => folders.remove())

type Entry = Omit<Partial<Header>, 'name'> & { name: string; content?: string }

async function tarOf(entries: Entry[]): Promise<Buffer> {
  const stream = pack()
  for (const { content, ...header } of entries) stream.entry({ mode: 0o755, ...header }, content ?? '')
  stream.finalize()
  return gather(stream as AsyncIterable<Uint8Array>)
}

const write = async (bytes: Uint8Array) =>
  writeTree(pieces(bytes, 1_000), join(folder, 'out'), { signal: never })

const root: Entry = { name: 'r', type: 'directory' }

describe('a tree that means harm', () => {
  const cases: [string, Entry[]][] = [
    ['a path upwards', [root, { name: 'r/../../outside/x' }]],
    ['an upward root', [{ name: '..', type: 'directory' }]],
    ['an absolute path', [root, { name: '/tmp/outside/x' }]],
    ['an empty segment', [root, { name: 'r//x' }]],
    ['a dot segment', [root, { name: 'r/./x' }]],
    ['a second root', [root, { name: 's/x' }]],
    ['a name twice', [root, { name: 'r/x' }, { name: 'r/x' }]],
    ['a folder twice', [root, { name: 'r/x', type: 'directory' }, { name: 'r/x', type: 'directory' }]],
    ['a file and a folder of one name', [root, { name: 'r/x' }, { name: 'r/x', type: 'directory' }]],
    [
      'a link and a file of one name',
      [root, { name: 'r/x', type: 'symlink', linkname: '/' }, { name: 'r/x' }],
    ],
    ['a hard link', [root, { name: 'r/x', type: 'link', linkname: '/etc/passwd' }]],
    ['a device', [root, { name: 'r/x', type: 'character-device', devmajor: 1, devminor: 3 }]],
    ['a pipe', [root, { name: 'r/x', type: 'fifo' }]],
    ['a file without its folder', [root, { name: 'r/a/x' }]],
    ['a file below a file', [root, { name: 'r/x', content: 'x' }, { name: 'r/x/y' }]],
    [
      'a file below a link',
      [root, { name: 'r/x', type: 'symlink', linkname: '../outside' }, { name: 'r/x/y' }],
    ],
    [
      'a folder below a link',
      [root, { name: 'r/x', type: 'symlink', linkname: '../outside' }, { name: 'r/x/y', type: 'directory' }],
    ],
    [
      'a link below a link',
      [
        root,
        { name: 'r/x', type: 'symlink', linkname: '../outside' },
        { name: 'r/x/y', type: 'symlink', linkname: 'z' },
      ],
    ],
    ['a link to nothing', [root, { name: 'r/x', type: 'symlink', linkname: '' }]],
    [
      'a link longer than a path can be',
      [root, { name: 'r/x', type: 'symlink', linkname: 'y'.repeat(5_000) }],
    ],
    ['nothing at all', []],
  ]
  it.each(cases)('%s is refused', async (_, entries) => {
    await expect(write(await tarOf(entries))).rejects.toMatchObject({
      code: 'ERR_TREE_INVALID',
      kind: 'verification',
    })
    expect(await readdir(outside)).toEqual([])
    expect((await readdir(folder)).sort().filter((name) => name !== 'out')).toEqual(['outside'])
  })

  it('is refused when it is cut off, or no tar at all', async () => {
    const tar = await tarOf([root, { name: 'r/x', content: 'y'.repeat(5_000) }])
    for (const bytes of [tar.subarray(0, 2_000), Buffer.alloc(4_096, 'no tar')])
      await expect(write(bytes)).rejects.toMatchObject({ code: 'ERR_TREE_INVALID' })
  })

  it('never writes into a folder that was there, nor through a link that was', async () => {
    await symlink('outside', join(folder, 'out'))
    await expect(write(await tarOf([root, { name: 'r/x' }]))).rejects.toMatchObject({
      code: 'ERR_TREE_INVALID',
    })
    expect(await readdir(outside)).toEqual([])
  })
})

describe('a tree', () => {
  it('may be one link or one file', async () => {
    await write(await tarOf([{ name: 'r', type: 'symlink', linkname: 'some where' }]))
    expect(await describeTree(join(folder, 'out'))).toEqual(['. -> some where'])
  })

  it('keeps its modes whatever the umask', async () => {
    const before = process.umask(0o077)
    try {
      await write(await tarOf([root, { name: 'r/x', mode: 0o666 }, { name: 'r/y', mode: 0o4755 }]))
    } finally {
      process.umask(before)
    }
    expect((await stat(join(folder, 'out/x'))).mode & 0o7777).toBe(0o666)
    expect((await stat(join(folder, 'out'))).mode & 0o7777).toBe(0o755)
  })

  it('counts what it wrote', async () => {
    let bytes = 0
    const large = 'x'.repeat(600_000)
    const tar = await tarOf([root, { name: 'r/a', content: 'abc' }, { name: 'r/large', content: large }])
    const written = await writeTree(pieces(tar, 70_000), join(folder, 'out'), {
      signal: never,
      onBytes: (count) => {
        bytes += count
      },
    })
    expect(written).toEqual({ sizeBytes: 600_003, files: 2 })
    expect(bytes).toBe(600_003)
    expect(await readFile(join(folder, 'out/large'), 'utf8')).toBe(large)
  })

  it('throws what its source throws, as it is', async () => {
    const tar = await tarOf([root, { name: 'r/x', content: 'y'.repeat(300_000) }])
    const lost = new P2pnodeError('ERR_CONNECTION_LOST', 'failed', 'lost')
    const source = async function* () {
      yield* pieces(tar.subarray(0, 100_000), 10_000)
      throw lost
    }
    await expect(writeTree(source(), join(folder, 'out'), { signal: never })).rejects.toBe(lost)
  })

  it('ends when it is called off, and writes nothing after that', async () => {
    const controller = new AbortController()
    const tar = await tarOf([
      root,
      ...Array.from({ length: 50 }, (_, index) => ({ name: `r/${index}`, content: 'x' })),
    ])
    const source = async function* () {
      yield tar.subarray(0, 20_000)
      controller.abort()
      yield tar.subarray(20_000)
    }
    await expect(
      writeTree(source(), join(folder, 'out'), { signal: controller.signal }),
    ).rejects.toMatchObject({ name: 'AbortError' })
    const left = await describeTree(folder)
    await writeFile(join(folder, 'outside/tick'), '')
    expect((await describeTree(folder)).filter((line) => !line.includes('tick'))).toEqual(left)
  })
})
