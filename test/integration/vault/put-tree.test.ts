import { createHash, randomBytes } from 'node:crypto'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  collect,
  startHolders,
  startVaultNode,
  stopVaultNodes,
  type VaultNode,
} from '../../support/vault-node.ts'

const MIB = 1024 * 1024
const signal = () => AbortSignal.timeout(60_000)

interface Entry {
  name: string
  type?: 'file' | 'directory' | 'symlink' | 'link'
  linkname?: string
  mode?: number
  bytes?: Buffer
}

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack()
  for (const { bytes, ...header } of entries) tar.entry(header, bytes ?? Buffer.alloc(0))
  tar.finalize()
  return collect(tar as AsyncIterable<Uint8Array>)
}

describe('put of a tree', () => {
  let owner: VaultNode
  let holders: VaultNode[]
  beforeAll(async () => {
    owner = await startVaultNode({ offerBytes: 0 })
    holders = await startHolders(3, owner)
  }, 60_000)
  afterAll(() => stopVaultNodes([owner, ...(holders ?? [])]))
  const tree = { source: 'tree' as const, fileName: 'trip', name: 'trip', redundancy: 'rs:2/3' }

  it('keeps names, modes, links, types and every byte', async () => {
    const files = new Map([
      ['empty', Buffer.alloc(0)],
      [
        'photos/one.png',
        Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), randomBytes(MIB + 100)]),
      ],
      ['photos/two.txt', Buffer.from('hello')],
      ['ünïcode/日本.txt', randomBytes(3 * MIB)],
    ])
    const result = await owner.put(
      await tarOf([
        { name: 'trip/', type: 'directory', mode: 0o755 },
        { name: 'trip/photos/', type: 'directory', mode: 0o700 },
        ...[...files].map(([name, bytes]) => ({ name: `trip/${name}`, mode: 0o640, bytes })),
        { name: 'trip/latest', type: 'symlink', linkname: 'photos/one.png' },
      ]),
      tree,
    )
    expect(result).toMatchObject({
      files: 5,
      sha256: null,
      size: [...files.values()].reduce((sum, { length }) => sum + length, 0),
    })
    for (const [path, bytes] of files) {
      const read = await collect(owner.service.cat(result.link, { path, signal: signal() }))
      expect(read.equals(bytes)).toBe(true)
    }
    expect(await owner.service.entries(result.link, { signal: signal() })).toMatchObject([
      { path: 'empty', type: 'file', size: 0 },
      { path: 'latest', type: 'symlink', target: 'photos/one.png' },
      { path: 'photos', type: 'directory' },
      { path: 'ünïcode', type: 'directory' },
    ])
    expect(await owner.service.entries(result.link, { path: 'photos', signal: signal() })).toMatchObject([
      {
        mime: 'image/png',
        mode: 0o640,
        sha256: createHash('sha256')
          .update(files.get('photos/one.png') ?? '')
          .digest('hex'),
      },
      { mime: 'text/plain', size: 5 },
    ])
  }, 60_000)

  it.each<[string, Entry[]]>([
    [
      'a hard link',
      [
        { name: 'a', bytes: Buffer.from('x') },
        { name: 'b', type: 'link', linkname: 'a' },
      ],
    ],
    ['a path that leads out', [{ name: '../a', bytes: Buffer.from('x') }]],
    [
      'two files of one name',
      [
        { name: 'a', bytes: Buffer.from('x') },
        { name: 'a', bytes: Buffer.from('y') },
      ],
    ],
    [
      'a file below a file',
      [
        { name: 'a', bytes: Buffer.from('x') },
        { name: 'a/b', bytes: Buffer.from('y') },
      ],
    ],
  ])(
    'refuses %s',
    async (_, entries) => {
      await expect(owner.put(await tarOf(entries), tree)).rejects.toMatchObject({ code: 'ERR_ENTRY_REFUSED' })
    },
    30_000,
  )

  it('refuses a stream that ends early', async () => {
    const tar = await tarOf([{ name: 'a', bytes: randomBytes(2_000) }])
    await expect(owner.put(tar.subarray(0, 1_500), tree)).rejects.toMatchObject({ code: 'ERR_TAR_TRUNCATED' })
  }, 30_000)

  it('numbers versions of a name', async () => {
    for (const text of ['first', 'second'])
      await owner.put(Buffer.from(text), { name: 'notes', redundancy: 'copies:2' })
    const versions = (await owner.service.list()).filter(({ name }) => name === 'notes')
    expect(versions.map(({ version }) => version)).toEqual([1, 2])
    const texts = await Promise.all(
      versions.map(({ link }) => collect(owner.service.cat(link, { signal: signal() }))),
    )
    expect(texts.map(String)).toEqual(['first', 'second'])
  }, 30_000)
})
