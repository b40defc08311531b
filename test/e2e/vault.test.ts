import { createHash, randomBytes } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { base58btc } from 'multiformats/bases/base58'
import { base32 } from 'multiformats/bases/base32'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeRandomFile } from '../../scripts/bench/files.ts'
import { verifyKey } from '../../src/vault/codec/keys.ts'
import { parseLink } from '../../src/vault/codec/link.ts'
import { describeTree } from '../support/cli.ts'
import { type Daemon, Lab } from '../support/daemon.ts'
import { eventually } from '../support/network.ts'
import { type HealthReport, type PutLine, untilHealth, VaultNetwork } from '../support/vault-network.ts'

const MIB = 2 ** 20
const TREE = fileURLToPath(new URL('../../src/vault', import.meta.url))
/** Stands in a file's content and name: nobody but its owner may ever see it. */
const SECRET = 'a sentence that no holder may ever read'
const SECRET_NAME = 'the-plan-for-next-summer.txt'

/** docs/column-format.md. */
const fileName = (slab: string): string => base32.baseEncode(Buffer.from(slab, 'hex'))

const lab = new Lab()
let network: VaultNetwork
let guest: Daemon
let folder: string
const files: Record<string, PutLine & { path: string }> = {}

/** Every file below a folder, as one text in which bytes are characters. */
async function everything(path: string): Promise<{ name: string; bytes: Buffer }[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(paths.map(async (name) => ({ name, bytes: await readFile(name) })))
}

/** Reads a file with nothing but its link, and checks every byte of it. */
async function readsAt(node: Daemon, name: string): Promise<void> {
  const put = files[name]
  if (put === undefined) throw new Error(`nothing was put as ${name}`)
  const out = join(await lab.folder(), 'out')
  const got = await node.json<{ sha256: string | null; size: number }>(['get', put.link, '-o', out])
  expect(got.sha256).toBe(put.sha256)
  if (put.sha256 === null) expect(await describeTree(out)).toEqual(await describeTree(put.path))
}

beforeAll(async () => {
  // Nothing is repaired behind the test's back: who is killed comes back within the grace.
  network = await VaultNetwork.start(lab, {
    workers: 8,
    set: { 'vault.audit.interval': '5s', 'vault.repair.grace': '1h' },
  })
  folder = await lab.folder()
}, 180_000)
afterAll(() => lab.close())

// Each test moves files through a dozen processes on whatever processors there are.
describe('private files between ten daemons', { timeout: 240_000 }, () => {
  it('a tree that somebody really uses, a large file and small ones are put', async () => {
    const { owner } = network
    await writeRandomFile(join(folder, 'large'), 32 * MIB + 17)
    await writeFile(join(folder, SECRET_NAME), `${SECRET}\n`.repeat(5_000))
    await writeFile(join(folder, 'empty'), '')
    const put = async (name: string, path: string, ...options: string[]): Promise<void> => {
      files[name] = { ...(await owner.json<PutLine>(['put', path, ...options])), path }
    }
    await put('tree', TREE)
    await put('large', join(folder, 'large'), '--redundancy', 'rs:4/8')
    await put('secret', join(folder, SECRET_NAME), '--manifest', join(folder, 'it.manifest'))
    await put('empty', join(folder, 'empty'))
    await put('copies', join(folder, SECRET_NAME), '--redundancy', 'copies:3', '--name', 'copied')
    for (const line of Object.values(files)) {
      expect(line.link).toMatch(/^p2pnode:[1-9A-HJ-NP-Za-km-z]{90,}$/)
      expect(Date.parse(line.expires)).toBeGreaterThan(Date.now() + 80 * 86_400_000)
    }
    expect(files['large']).toMatchObject({ size: 32 * MIB + 17, redundancy: 'rs:4/8', holders: 8 })
    expect(files['large']?.stored).toBeLessThan(2.2 * 32 * MIB)
    expect(files['copies']).toMatchObject({ redundancy: 'copies:3', holders: 3 })
    expect(files['tree']).toMatchObject({ redundancy: 'rs:4/8', sha256: null })
    const { objects } = await owner.json<{ objects: { name: string; link: string }[] }>(['ls'])
    expect(objects.map(({ name }) => name).sort()).toEqual(['copied', 'empty', 'large', SECRET_NAME, 'vault'])
  })

  it('they are read by their owner, and on a second machine by the link alone', async () => {
    await readsAt(network.owner, 'large')
    guest = await network.node('leecher')
    for (const name of Object.keys(files)) await readsAt(guest, name)
    const out = join(folder, 'by-manifest')
    await guest.json(['get', join(folder, 'it.manifest'), '-o', out])
    expect(await readFile(out, 'utf8')).toContain(SECRET)
  })

  it('any part is read, from the middle of a file or of a tree, and over HTTP with ranges', async () => {
    const large = files['large']
    const bytes = await readFile(join(folder, 'large'))
    const part = await guest.run(['cat', large?.link ?? '', '--offset', String(MIB - 5), '--length', '10'])
    expect(part.stdout).toBe(bytes.subarray(MIB - 5, MIB + 5).toString())
    const entries = await guest.json<{ entries: { path: string; type: string }[] }>([
      'ls',
      files['tree']?.link ?? '',
    ])
    expect(entries.entries.map(({ path }) => path.split('/').at(-1) ?? '').sort()).toEqual(
      (await readdir(TREE)).sort(),
    )
    const response = await fetch(`${guest.ready.api}/api/v1/files/${large?.link}`, {
      headers: { authorization: `Bearer ${await guest.token()}`, range: 'bytes=20000000-20000099' },
    })
    expect(response.status).toBe(206)
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes.subarray(20_000_000, 20_000_100))).toBe(
      true,
    )
    const json = await guest.json<{ sources: { peer: string; bytes: number }[] }>([
      'get',
      large?.link ?? '',
      '-o',
      join(folder, 'again'),
    ])
    expect(json.sources.length).toBeGreaterThanOrEqual(4)
  })

  it('a verify link shows health and reads nothing', async () => {
    const { link } = await network.owner.json<{ link: string }>([
      'share',
      files['large']?.link ?? '',
      '--verify-only',
    ])
    const health = await untilHealth(guest, link, ({ state }) => state === 'healthy')
    expect(health.slabs.length).toBeGreaterThan(0)
    expect(health.slabs.every(({ k, n, live }) => live === n && (k === 4 || k === 1))).toBe(true)
    const denied = await guest.run(['get', link, '-o', join(folder, 'denied'), '--json'])
    expect([denied.code, denied.json()]).toMatchObject([6, { error: { code: 'ERR_LINK_POWER' } }])
  })

  it('no holder has a name, a plaintext or a key on its disk', async () => {
    const keys = Object.values(files).map(({ link }) => Buffer.from(parseLink(link).key))
    const needles = [
      Buffer.from(SECRET),
      Buffer.from(SECRET_NAME),
      Buffer.from('put-run.ts'),
      ...keys,
      ...keys.map((key) => Buffer.from(verifyKey(key))),
    ]
    for (const worker of network.workers) {
      for (const { name, bytes } of await everything(worker.home))
        for (const needle of needles) expect([name, bytes.includes(needle)]).toEqual([name, false])
    }
    // The test would find them: on the owner's disk a manifest holds the key.
    const own = await everything(join(network.owner.home, 'manifests'))
    expect(own.some(({ bytes }) => keys.some((key) => bytes.includes(key)))).toBe(true)
  })

  it('the recovery phrase alone brings everything back on a new machine, with all power', async () => {
    const { phrase } = await network.owner.json<{ phrase: string }>(['state', 'phrase'])
    expect(phrase.split(' ')).toHaveLength(24)
    const laptop = await network.node('leecher')
    // A change is kept in the network a few seconds later: the newest version may still be on its way.
    await eventually(
      'the newest state is found',
      async () => {
        const found = await laptop.run(['state', 'recover', '--json'], { input: phrase })
        if (found.code !== 0) return false
        return (await laptop.json<{ objects: unknown[] }>(['ls'])).objects.length === 5
      },
      150_000,
    )
    const { objects } = await laptop.json<{ objects: { name: string; link: string }[] }>(['ls'])
    expect(objects.find(({ name }) => name === 'large')?.link).toBe(files['large']?.link)
    await readsAt(laptop, 'secret')
    // What one machine of an owner puts, the other does not take for its own to remove.
    const put = await laptop.json<PutLine>(['put', join(folder, SECRET_NAME), '--name', 'from the laptop'])
    files['laptop'] = { ...put, path: join(folder, SECRET_NAME) }
    await network.owner.json(['prune'])
    await readsAt(guest, 'laptop')
    await laptop.json(['rm', 'from the laptop'])
  })

  it('with any four of eight holders killed everything reads; with one more the rest is missing until one returns', async () => {
    const dead = network.workers.slice(0, 5)
    await Promise.all(dead.slice(0, 4).map((worker) => worker.kill()))
    for (const name of ['tree', 'large', 'secret', 'empty']) await readsAt(guest, name)

    await dead[4]?.kill()
    const missing = await guest.run(['get', files['large']?.link ?? '', '-o', join(folder, 'gone'), '--json'])
    expect([missing.code, missing.json()]).toMatchObject([4, { error: { code: 'ERR_VAULT_PIECES' } }])
    expect(missing.json<{ error: { message: string } }>().error.message).toMatch(
      /\d of the 4 needed pieces found/,
    )
    expect(await readdir(folder)).not.toContain('gone')

    await network.restart(dead[4] as Daemon)
    await eventually(
      'the file reads again',
      async () => (await guest.run(['cat', files['large']?.link ?? '', '--length', '1'])).code === 0,
      30_000,
    )
    await readsAt(guest, 'large')
  })

  it('rm reaches holders that were away, within a minute of their return', async () => {
    const slabs: string[] = []
    for (const name of ['large', 'tree', 'secret', 'empty', 'copies']) {
      const { link } = files[name] as PutLine
      slabs.push(
        ...(await network.owner.json<HealthReport>(['health', link])).slabs.map(({ id }) => fileName(id)),
      )
    }
    expect(slabs.length).toBeGreaterThanOrEqual(9)
    /** Which of those slabs lie in a worker's folder; versions of the owner's state lie there too, and stay. */
    const heldBy = async (worker: Daemon): Promise<string[]> => {
      const names = await readdir(join(worker.home, 'columns'), { recursive: true })
      return slabs.filter((slab) => names.some((name) => name.includes(slab)))
    }
    // Also with those that are down: the folder stays.
    expect((await Promise.all(network.workers.map(heldBy))).flat().length).toBeGreaterThan(40)
    const removed = await network.owner.json<{ confirmed: number; pending: number }>(['rm', 'large'])
    expect(removed.confirmed).toBeGreaterThan(0)
    expect(removed.pending).toBeGreaterThan(0)
    for (const name of ['vault', SECRET_NAME, 'empty', 'copied']) await network.owner.json(['rm', name])
    await Promise.all(network.workers.slice(0, 4).map((worker) => network.restart(worker)))
    await eventually(
      'nobody holds any of it any more',
      async () => (await Promise.all(network.workers.map(heldBy))).flat().length === 0,
      60_000,
    )
    expect((await guest.run(['get', files['large']?.link ?? '', '-o', join(folder, 'x')])).code).toBe(4)
    // Listed until the last holder has confirmed it; what the laptop put and removed, until the machines' states have met.
    await eventually(
      'the owner lists nothing but what is being deleted',
      async () => {
        const { objects } = await network.owner.json<{ objects: { state: string }[] }>(['ls'])
        return objects.every(({ state }) => state === 'deleting')
      },
      30_000,
    )
    expect((await network.owner.run(['rm', 'large'])).code).toBe(4)
  })
})

describe('bad input', { timeout: 180_000 }, () => {
  it('has a clear error and the documented exit code', async () => {
    const { owner } = network
    const slab = randomBytes(32)
    const body = Buffer.concat([Buffer.of(1, 9), slab, randomBytes(32)])
    const checksum = createHash('sha256').update(body).digest().subarray(0, 4)
    const unknownKind = `p2pnode:${base58btc.baseEncode(Buffer.concat([body, checksum]))}`
    const link = files['large']?.link ?? ''
    await writeFile(join(folder, 'bad.manifest'), randomBytes(500))
    await mkdir(join(folder, 'home-of-nobody'))

    const cases: [string[], number, string][] = [
      [['get', unknownKind], 2, 'ERR_LINK_INVALID'],
      [['get', link.slice(0, -7)], 2, 'ERR_LINK_CHECKSUM'],
      [['get', `${link.slice(0, -1)}${link.endsWith('2') ? '3' : '2'}`], 2, 'ERR_LINK_CHECKSUM'],
      [['inspect', link.slice(0, -7)], 2, 'ERR_LINK_CHECKSUM'],
      [['get', join(folder, 'bad.manifest')], 5, 'ERR_VAULT_INVALID'],
      [['put', join(folder, 'no-such-file')], 4, 'ERR_SOURCE_NOT_FOUND'],
      [['put', '/dev/null'], 2, 'ERR_SOURCE_TYPE'],
      [['put', join(folder, 'large'), '--redundancy', 'rs:30/60'], 1, 'ERR_TOO_FEW_HOLDERS'],
      [['rm', 'no such name'], 4, 'ERR_OBJECT_NOT_FOUND'],
    ]
    for (const [args, code, error] of cases) {
      const result = await owner.run([...args, '--json'], { cwd: folder })
      expect([args[1], result.code, result.json()]).toMatchObject([args[1], code, { error: { code: error } }])
    }
  })

  it('a file that changes while it is read is refused, and nothing of it is kept', async () => {
    const path = join(folder, 'growing')
    await writeRandomFile(path, 64 * MIB)
    const putting = network.owner.run(['put', path, '--json'])
    await eventually('the upload has begun', async () => {
      const { jobs } = await network.owner.json<{ jobs: { kind: string; state: string }[] }>(['jobs', 'ls'])
      return jobs.some(({ kind, state }) => kind === 'put' && state === 'running')
    })
    await appendFile(path, 'more')
    const result = await putting
    expect([result.code, result.json()]).toMatchObject([1, { error: { code: 'ERR_SOURCE_CHANGED' } }])
    const { objects } = await network.owner.json<{ objects: { name: string }[] }>(['ls'])
    expect(objects.filter(({ name }) => name === 'growing')).toEqual([])
  })

  it('no holders, and holders without room, are said', async () => {
    const alone = await lab.daemon()
    const path = join(folder, 'small')
    await writeRandomFile(path, 8 * MIB)
    const nobody = await alone.run(['put', path, '--json'])
    expect([nobody.code, nobody.json()]).toMatchObject([1, { error: { code: 'ERR_TOO_FEW_HOLDERS' } }])
    const full = await lab.daemon({ bootstrap: [alone.address], set: { 'storage.offer': '1MiB' } })
    await full.json(['connect', alone.address])
    const noRoom = await alone.run(['put', path, '--redundancy', 'copies:1', '--json'])
    expect([noRoom.code, noRoom.json()]).toMatchObject([1, { error: { code: 'ERR_TOO_FEW_HOLDERS' } }])
    expect(noRoom.json<{ error: { message: string } }>().error.message).toContain('room')
  })
})
