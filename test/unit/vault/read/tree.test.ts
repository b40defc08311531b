import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { extract } from 'tar-stream'
import { describe, expect, test } from 'vitest'
import type { ManifestBody, ManifestEntry } from '../../../../src/vault/codec/types.ts'
import { writeTar } from '../../../../src/vault/read/tar.ts'
import { childrenOf, targetOf } from '../../../../src/vault/read/tree.ts'

const never = new AbortController().signal
const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest()

function tree(
  parts: Partial<ManifestEntry>[],
  content: Uint8Array[] = [],
): { body: ManifestBody; stream: Buffer } {
  let offset = 0
  const stream = Buffer.concat(content)
  const files = content[Symbol.iterator]()
  const entries = parts.map((part): ManifestEntry => {
    const bytes = part.type === 'file' ? (files.next().value ?? new Uint8Array(0)) : new Uint8Array(0)
    const entry: ManifestEntry = {
      path: '',
      type: 'file',
      mode: null,
      size: bytes.length,
      offset,
      sha256: part.type === 'file' ? sha256(bytes) : null,
      mime: '',
      target: '',
      ...part,
    }
    offset += bytes.length
    return entry
  })
  const body: ManifestBody = {
    name: 'tree',
    kind: 'tree',
    size: stream.length,
    sha256: null,
    createdMs: 0,
    fileKey: new Uint8Array(32),
    slabs: [],
    mime: '',
    entries,
  }
  return { body, stream }
}

const bytes = (text: string): Uint8Array => Buffer.from(text)

interface Member {
  name: string
  type: string
  mode: number
  linkname: string | undefined
  content: string
}

async function unpack(source: AsyncIterable<Uint8Array>): Promise<Member[]> {
  const members: Member[] = []
  const extractor = extract()
  Readable.from(source).pipe(extractor)
  for await (const entry of extractor) {
    const parts: Buffer[] = []
    for await (const part of entry) parts.push(part as Buffer)
    const { name, type, mode, linkname } = entry.header
    members.push({
      name,
      type: type ?? '',
      mode: mode ?? 0,
      linkname: linkname ?? undefined,
      content: Buffer.concat(parts).toString(),
    })
  }
  return members
}

describe('paths in a tree', () => {
  const { body } = tree([
    { path: 'empty', type: 'directory' },
    { path: 'b/c.txt', type: 'file', mime: 'text/plain' },
    { path: 'a.txt', type: 'file' },
    { path: 'link', type: 'symlink', target: 'a.txt' },
  ])

  test('folders that no entry names are there', async () => {
    expect(targetOf(body, 'b')).toMatchObject({ type: 'directory', path: 'b' })
    expect((await childrenOf(body, undefined, never)).map(({ path, type }) => [path, type])).toEqual([
      ['a.txt', 'file'],
      ['b', 'directory'],
      ['empty', 'directory'],
      ['link', 'symlink'],
    ])
    expect(await childrenOf(body, '/b/', never)).toMatchObject([{ path: 'b/c.txt', mime: 'text/plain' }])
    expect(await childrenOf(body, 'empty', never)).toEqual([])
  })

  test('what is not there, and what is no folder, is said so', async () => {
    expect(() => targetOf(body, 'nowhere')).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }))
    expect(() => targetOf(body, 'a')).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }))
    await expect(childrenOf(body, 'a.txt', never)).rejects.toMatchObject({ code: 'ERR_NOT_A_DIRECTORY' })
    await expect(childrenOf(body, 'b/../a.txt', never)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})

describe('a tree as a tar stream', () => {
  const parts: Partial<ManifestEntry>[] = [
    { path: 'd', type: 'directory', mode: 0o700 },
    { path: 'd/one', type: 'file', mode: 0o755 },
    { path: 'd/none', type: 'file' },
    { path: 'other', type: 'file' },
    { path: 'd/two', type: 'file' },
    { path: 'd/link', type: 'symlink', target: 'one' },
  ]
  const content = ['first', '', 'elsewhere', 'second'].map(bytes)

  function reading(stream: Buffer) {
    const ranges: [number, number][] = []
    let open = 0
    async function* read(from: number, end: number): AsyncGenerator<Uint8Array> {
      ranges.push([from, end])
      open += 1
      try {
        for (let at = from; at < end; at += 4) yield stream.subarray(at, Math.min(end, at + 4))
      } finally {
        open -= 1
      }
    }
    return { ranges, read, opened: () => open }
  }

  test('holds everything, modes, empty files and links with it, and reads the stream once', async () => {
    const { body, stream } = tree(parts, content)
    const { ranges, read } = reading(stream)
    const members = await unpack(writeTar(body, targetOf(body, undefined), 'root', read))
    expect(members).toEqual([
      { name: 'root/', type: 'directory', mode: 0o755, linkname: undefined, content: '' },
      { name: 'root/d/', type: 'directory', mode: 0o700, linkname: undefined, content: '' },
      { name: 'root/d/one', type: 'file', mode: 0o755, linkname: undefined, content: 'first' },
      { name: 'root/d/none', type: 'file', mode: 0o644, linkname: undefined, content: '' },
      { name: 'root/other', type: 'file', mode: 0o644, linkname: undefined, content: 'elsewhere' },
      { name: 'root/d/two', type: 'file', mode: 0o644, linkname: undefined, content: 'second' },
      { name: 'root/d/link', type: 'symlink', mode: 0o777, linkname: 'one', content: '' },
    ])
    expect(ranges).toEqual([[0, stream.length]])
  })

  test('a folder of it leaves the bytes of others out', async () => {
    const { body, stream } = tree(parts, content)
    const { ranges, read } = reading(stream)
    const members = await unpack(writeTar(body, targetOf(body, 'd'), 'd', read))
    expect(members.map(({ name, content }) => [name, content])).toEqual([
      ['d/', ''],
      ['d/one', 'first'],
      ['d/none', ''],
      ['d/two', 'second'],
      ['d/link', ''],
    ])
    expect(ranges).toEqual([
      [0, 5],
      [14, 20],
    ])
  })

  test('a file that is not the one that was put ends it', async () => {
    const { body, stream } = tree(parts, content)
    stream[2] = 0
    const { read, opened } = reading(stream)
    const all = unpackAll(writeTar(body, targetOf(body, undefined), 'root', read))
    await expect(all).rejects.toMatchObject({ code: 'ERR_VAULT_INVALID' })
    expect(opened()).toBe(0)
  })

  test('who stops ends the reading', async () => {
    const { body, stream } = tree(parts, content)
    const { read, opened } = reading(stream)
    const source = writeTar(body, targetOf(body, undefined), 'root', read)
    for (let at = 0; at < 4; at += 1) await source.next()
    expect(opened()).toBe(1)
    await source.return(undefined)
    expect(opened()).toBe(0)
  })

  test('any tree comes out as it went in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }), async (content) => {
        const { body, stream } = tree(
          content.map((_, at) => ({ path: `${at % 3}/${at}`, type: 'file' as const })),
          content,
        )
        for (const folder of [undefined, '1']) {
          if (folder !== undefined && content.length < 2) continue
          const { read } = reading(stream)
          const members = await unpack(writeTar(body, targetOf(body, folder), 'root', read))
          const expected = content
            .map((bytes, at) => [at, Buffer.from(bytes).toString()] as const)
            .filter(([at]) => folder === undefined || at % 3 === 1)
            .map(([, text]) => text)
          expect(members.filter(({ type }) => type === 'file').map(({ content }) => content)).toEqual(
            expected,
          )
        }
      }),
      { numRuns: 50 },
    )
  })
})

async function unpackAll(source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of source);
}
