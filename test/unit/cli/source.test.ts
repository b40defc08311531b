import { once } from 'node:events'
import { appendFile, chmod, mkdir, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { readFileFrom, readTarFrom, tarSizeBytes } from '../../../src/cli/files/read-source.ts'
import { listNamedSource, listSource, type SourceTree } from '../../../src/cli/files/source-tree.ts'
import { writeTree } from '../../../src/cli/files/write-tree.ts'
import { describeTree, Folders, gather, never, pieces } from '../../support/cli.ts'

const folders = new Folders()
afterEach(() => folders.remove())

/** Takes the tree through a tar stream into a new folder. */
async function copied(tree: SourceTree, pieceBytes = 50_000): Promise<string> {
  const out = join(await folders.make(), 'copy')
  const tar = await gather(readTarFrom(tree, 0, never))
  // The daemon puts a name in front, as the root of what it sends.
  const renamed = pieces(await underRoot(tree, tar), pieceBytes)
  await writeTree(renamed, out, { signal: never })
  return out
}

/** The same stream with every entry below `root/`, as the daemon sends trees. */
async function underRoot(tree: SourceTree, tar: Buffer): Promise<Buffer> {
  const { extract, pack } = await import('tar-stream')
  const reader = extract()
  const writer = pack()
  const read = (async () => {
    for await (const entry of reader) {
      const name =
        entry.header.name === '.' || entry.header.name === './' ? 'root' : `root/${entry.header.name}`
      const content = await gather(entry as AsyncIterable<Uint8Array>)
      // The library takes mode 0 for "not given"; it masks this bit away.
      writer.entry({ ...entry.header, name, pax: null, mode: (entry.header.mode ?? 0) | 0o10000 }, content)
    }
    writer.finalize()
  })()
  reader.end(tar)
  const [bytes] = await Promise.all([gather(writer as AsyncIterable<Uint8Array>), read])
  expect(tree.entries.length).toBeGreaterThan(0)
  return bytes
}

async function strangeTree(): Promise<string> {
  const path = join(await folders.make(), 'strange')
  const deep = join(path, ...Array.from({ length: 9 }, (_, index) => `${index}`.repeat(100)))
  await mkdir(deep, { recursive: true })
  await writeFile(join(deep, 'deep'), 'beyond the 255 bytes that an old tar header holds')
  for (const name of [
    'new\nline',
    'Ünïcödé 日本語 🦉',
    ' spaces ',
    '-dash',
    'back\\slash',
    'x'.repeat(255),
    '...',
    '~',
    'quote"\'',
  ])
    await writeFile(join(path, name), name)
  await writeFile(join(path, 'empty'), '')
  await mkdir(join(path, 'empty folder'))
  for (const mode of [0o000, 0o755, 0o600, 0o2755]) {
    await writeFile(join(path, `mode ${mode.toString(8)}`), 'bits')
    await chmod(join(path, `mode ${mode.toString(8)}`), mode)
  }
  await mkdir(join(path, 'shut'))
  await writeFile(join(path, 'shut/inside'), 'x')
  await chmod(join(path, 'shut'), 0o555)
  await writeFile(join(path, 'large'), Buffer.alloc(700_001, 'large '))
  await symlink('empty', join(path, 'link'))
  await symlink('/nowhere/at all', join(path, 'dangling'))
  await symlink('../..', join(path, 'empty folder/outside'))
  await symlink('x'.repeat(300), join(path, 'long link'))
  return path
}

describe('a tree of files', () => {
  // Files of mode 000 can be read by the superuser alone.
  it.runIf(process.getuid?.() === 0)(
    'arrives as it was: names, modes, links, empty and long ones',
    async () => {
      const path = await strangeTree()
      const tree = await listSource(path, never)
      expect(await describeTree(await copied(tree))).toEqual(await describeTree(path))
      expect(await tarSizeBytes(tree)).toBe((await gather(readTarFrom(tree, 0, never))).length)
    },
  )

  it('is as large as it says, for names and targets of every length', async () => {
    const path = await folders.make()
    for (const length of [1, 98, 99, 100, 101, 102, 155, 156, 255]) {
      await writeFile(join(path, 'f'.repeat(length)), 'x'.repeat(length))
      await writeFile(join(path, 'é'.repeat(Math.ceil(length / 3))), 'x')
      await mkdir(join(path, 'd'.repeat(length)))
      await symlink('t'.repeat(length), join(path, 'l'.repeat(length)))
      await symlink('é'.repeat(length), join(path, 'm'.repeat(length)))
    }
    for (const name of await readdir(path)) {
      const tree = await listSource(join(path, name), never)
      expect(await tarSizeBytes(tree)).toBe((await gather(readTarFrom(tree, 0, never))).length)
    }
    const tree = await listSource(path, never)
    expect(await tarSizeBytes(tree)).toBe((await gather(readTarFrom(tree, 0, never))).length)
  })

  it('leaves out sockets, and says so', async () => {
    const path = await folders.make()
    await writeFile(join(path, 'file'), 'x')
    const server = createServer().listen(join(path, 'socket'))
    await once(server, 'listening')
    const tree = await listSource(path, never)
    server.close()
    expect(tree.skipped).toEqual([{ path: 'socket', reason: 'a socket' }])
    expect(tree.entries.map((entry) => entry.path)).toEqual(['', 'file'])
  })

  it('refuses names that are no UTF-8 rather than change them', async () => {
    const path = await folders.make()
    await writeFile(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0x66, 0xff])]), 'x')
    await expect(listSource(path, never)).rejects.toMatchObject({ code: 'ERR_SOURCE_NAME', kind: 'usage' })
    const other = await folders.make()
    await symlink(Buffer.from([0x66, 0xff]), join(other, 'link'))
    await expect(listSource(other, never)).rejects.toMatchObject({ code: 'ERR_SOURCE_NAME' })
  })

  it('follows a link that is named, keeps its name, and fails for one to nowhere', async () => {
    const path = await folders.make()
    await writeFile(join(path, 'file'), 'content')
    await symlink('file', join(path, 'link'))
    await symlink('nowhere', join(path, 'dangling'))
    const tree = await listNamedSource(join(path, 'link'), never)
    expect(tree).toMatchObject({ name: 'link', files: 1, fileBytes: 7 })
    expect(tree.entries[0]?.type).toBe('file')
    for (const name of ['dangling', 'missing'])
      await expect(listNamedSource(join(path, name), never)).rejects.toMatchObject({ kind: 'not-found' })
  })

  it('has one fingerprint until anything in it changes', async () => {
    const path = await folders.make()
    await writeFile(join(path, 'file'), 'content')
    const before = (await listSource(path, never)).fingerprint
    expect((await listSource(path, never)).fingerprint).toBe(before)
    await chmod(join(path, 'file'), 0o700)
    const after = (await listSource(path, never)).fingerprint
    expect(after).not.toBe(before)
    await utimes(join(path, 'file'), 1, 1)
    expect((await listSource(path, never)).fingerprint).not.toBe(after)
  })
})

describe('a stream that is taken up again', () => {
  it('is the rest of the whole stream, from any offset', async () => {
    const path = await folders.make()
    await mkdir(join(path, 'folder'))
    for (let index = 0; index < 40; index += 1)
      await writeFile(
        join(path, 'folder', `${index} ${'é'.repeat(index * 3)}`),
        Buffer.alloc(index * 37, index),
      )
    await writeFile(join(path, 'larger than what is read ahead'), Buffer.alloc(300_000, 1))
    await symlink('x'.repeat(200), join(path, 'link'))
    const tree = await listSource(path, never)
    const whole = await gather(readTarFrom(tree, 0, never))
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), async (offset) => {
        const rest = await gather(readTarFrom(tree, offset, never))
        return rest.equals(whole.subarray(offset))
      }),
      { numRuns: 60, examples: [[0], [511], [512], [whole.length - 1], [whole.length]] },
    )
  })

  it('is refused for a file that changed, grew, shrank or went away', async () => {
    const path = join(await folders.make(), 'file')
    const changes = [
      async () => appendFile(path, 'more'),
      async () => writeFile(path, 'less'),
      async () => utimes(path, 1, 1),
      async () => rm(path),
    ]
    for (const change of changes) {
      await writeFile(path, 'the content')
      const tree = await listSource(path, never)
      await change()
      const [entry] = tree.entries
      if (entry === undefined) throw new Error('no entry')
      const failure = { code: 'ERR_SOURCE_CHANGED', kind: 'conflict' }
      await expect(gather(readFileFrom(entry, 3, never))).rejects.toMatchObject(failure)
      await expect(gather(readTarFrom(tree, 0, never))).rejects.toMatchObject(failure)
    }
  })

  it('is refused for a file that changes while it is read', async () => {
    const path = join(await folders.make(), 'file')
    await writeFile(path, Buffer.alloc(3_000_000))
    const [entry] = (await listSource(path, never)).entries
    if (entry === undefined) throw new Error('no entry')
    const reading = readFileFrom(entry, 0, never)
    expect((await reading.next()).value?.length).toBeGreaterThan(0)
    await utimes(path, 1, 1)
    await expect(gather(reading)).rejects.toMatchObject({ code: 'ERR_SOURCE_CHANGED' })
  })

  it('ends when it is called off', async () => {
    const path = join(await folders.make(), 'file')
    await writeFile(path, 'x')
    const tree = await listSource(path, never)
    await expect(gather(readTarFrom(tree, 0, AbortSignal.abort()))).rejects.toMatchObject({
      name: 'AbortError',
    })
  })
})
