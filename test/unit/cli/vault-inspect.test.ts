import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { CliContext } from '../../../src/cli/context.ts'
import { privateAddress } from '../../../src/cli/private-address.ts'
import { inspect } from '../../../src/cli/work/inspect.ts'
import { encodeManifestFile, formatLink } from '../../../src/vault/codec/index.ts'
import { Folders, memoryOutput, never } from '../../support/cli.ts'
import { codecBench, fileManifest } from '../../support/vault-codec.ts'

const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const bench = codecBench(1)
const folders = new Folders()
afterAll(() => folders.remove())

const slab = new Uint8Array(randomBytes(32))
const key = new Uint8Array(randomBytes(32))

/** What it says; the context has no daemon to ask. */
async function inspected(target: string, json = true): Promise<string> {
  const { output, out } = memoryOutput({ json })
  await inspect({ output, signal: never, home: '/nowhere' } as CliContext, target)
  return out()
}

const manifestBytes = async (): Promise<Uint8Array> => {
  const { pieces } = await bench.manifests.seal(fileManifest(slab), {
    slab,
    salt: new Uint8Array(randomBytes(32)),
    readKey: key,
    signal: bench.signal,
  })
  const index = { payload: new Uint8Array([1]), signature: new Uint8Array(64) }
  return encodeManifestFile({ link: { power: 'read', slab, key }, index, pieces })
}

describe('inspect, without any node', () => {
  it.each(['read', 'verify'] as const)('tells the power of a %s link, and never its key', async (power) => {
    const link = formatLink({ power, slab, key })
    const told = await inspected(link)
    expect(JSON.parse(told)).toMatchObject({ kind: 'link', power, slab: Buffer.from(slab).toString('hex') })
    expect(told + (await inspected(link, false))).not.toContain(Buffer.from(key).toString('hex'))
    expect(told).not.toContain(link)
  })

  it('opens a .manifest file', async () => {
    const file = join(await folders.make(), 'it.manifest')
    await writeFile(file, await manifestBytes())
    const told = await inspected(file)
    expect(JSON.parse(told)).toEqual({
      kind: 'manifest',
      power: 'read',
      slab: Buffer.from(slab).toString('hex'),
      name: 'holiday.jpg',
      size: 1_500_000,
      redundancy: 'rs:4/8',
      slabs: 1,
    })
    expect(await inspected(file, false)).toContain('holiday.jpg')
  })

  it('calls a damaged or truncated one damaged, wherever it is hit', async () => {
    const file = join(await folders.make(), 'it.manifest')
    const bytes = await manifestBytes()
    for (const cut of [0, 1, 40, bytes.length >> 1, bytes.length - 1]) {
      await writeFile(file, bytes.subarray(0, cut))
      await expect(inspected(file)).rejects.toMatchObject({ code: 'ERR_VAULT_INVALID' })
    }
    const flipped = Uint8Array.from(bytes)
    flipped[bytes.length - 20] = (flipped[bytes.length - 20] ?? 0) ^ 1
    await writeFile(file, flipped)
    await expect(inspected(file)).rejects.toMatchObject({ code: 'ERR_VAULT_INVALID' })
  })

  it('tells a typing error in a link from other things', async () => {
    const link = formatLink({ power: 'read', slab, key })
    const typo = `${link.slice(0, -1)}${link.endsWith('2') ? '3' : '2'}`
    await expect(inspected(typo)).rejects.toMatchObject({ code: 'ERR_LINK_CHECKSUM', kind: 'usage' })
    await expect(inspected(link.slice(0, 60))).rejects.toMatchObject({ code: 'ERR_LINK_CHECKSUM' })
    await expect(inspected('p2pnode:0OIl')).rejects.toMatchObject({ code: 'ERR_LINK_INVALID' })
    await expect(inspected('nonsense')).rejects.toMatchObject({ code: 'ERR_INSPECT_TARGET', kind: 'usage' })
  })

  it('knows CIDs', async () => {
    expect(JSON.parse(await inspected(CID))).toMatchObject({ kind: 'cid', codec: 'raw', hash: 'sha2-256' })
    expect(JSON.parse(await inspected(`/ipfs/${CID}/a/b`))).toMatchObject({ cid: CID })
  })
})

describe('what an address means by its form', () => {
  it.each([
    ['p2pnode:abc', { kind: 'link', link: 'p2pnode:abc' }],
    ['p2pnode:abc/', { kind: 'link', link: 'p2pnode:abc' }],
    ['p2pnode:abc/a/b c.txt', { kind: 'link', link: 'p2pnode:abc', path: 'a/b c.txt' }],
    ['dir/it.manifest', { kind: 'manifest', file: 'dir/it.manifest' }],
    [CID, undefined],
    [`${CID}/it.manifest`, undefined],
    [`/ipfs/${CID}/it.manifest`, undefined],
    ['holiday', undefined],
  ])('%s', (text, meant) => {
    expect(privateAddress(text)).toEqual(meant)
  })
})
