import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { base32 } from 'multiformats/bases/base32'
import { beforeAll, describe, expect, it } from 'vitest'
import { writeRandomFile } from '../../scripts/bench/files.ts'
import { verifyKey } from '../../src/vault/codec/keys.ts'
import { parseLink } from '../../src/vault/codec/link.ts'
import { CODED_FROM } from '../../src/vault/place/redundancy.ts'
import { describeTree } from './cli.ts'
import type { Daemon, Lab } from './daemon.ts'
import { eventually } from './network.ts'
import { type HealthReport, type PutLine, untilHealth, VaultNetwork } from './vault-network.ts'

const MIB = 2 ** 20
const TREE = fileURLToPath(new URL('../../src/vault', import.meta.url))
/** Stands in a file's content and name: nobody but its owner may ever see it. */
const SECRET = 'a sentence that no holder may ever read'
const SECRET_NAME = 'the-plan-for-next-summer.txt'

/** docs/column-format.md. */
const fileName = (slab: string): string => base32.baseEncode(Buffer.from(slab, 'hex'))

/** Every file below a folder, as one text in which bytes are characters. */
async function everything(path: string): Promise<{ name: string; bytes: Buffer }[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(paths.map(async (name) => ({ name, bytes: await readFile(name) })))
}

export interface PrivateFilesOptions {
  /** As many as lend storage: what is put with this redundancy has a column at each. */
  redundancy: { k: number; n: number }
  largeBytes: number
}

/** What the tests made, once they ran. */
export interface PrivateFiles {
  network: VaultNetwork
  folder: string
  /** What was put, by the name that the tests have for it. */
  files: Record<string, PutLine & { path: string }>
}

/** The life of private files between daemons, as tests that build on one another; whoever calls closes the laboratory. */
export function describePrivateFiles(
  lab: Lab,
  { redundancy: { k, n }, largeBytes }: PrivateFilesOptions,
): PrivateFiles {
  const redundancy = `rs:${k}/${n}`
  const files: PrivateFiles['files'] = {}
  const made = { files } as PrivateFiles
  let network: VaultNetwork
  let guest: Daemon
  let folder: string

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
      workers: n,
      set: { 'vault.audit.interval': '1m', 'vault.repair.grace': '1h' },
    })
    folder = await lab.folder()
    Object.assign(made, { network, folder })
  }, 180_000)

  // Each test moves files through many processes on whatever processors there are.
  describe(`private files between ${n + 2} daemons`, { timeout: 240_000 }, () => {
    it('a tree that somebody really uses, a large file and small ones are put', async () => {
      const { owner } = network
      await writeRandomFile(join(folder, 'large'), largeBytes)
      await writeFile(join(folder, SECRET_NAME), `${SECRET}\n`.repeat(5_000))
      await writeFile(join(folder, 'empty'), '')
      const put = async (name: string, path: string, ...options: string[]): Promise<void> => {
        files[name] = { ...(await owner.json<PutLine>(['put', path, ...options])), path }
      }
      // Of itself a put codes from so many holders on.
      await put('tree', TREE, ...(n < CODED_FROM ? ['--redundancy', redundancy] : []))
      await put('large', join(folder, 'large'), '--redundancy', redundancy)
      await put('secret', join(folder, SECRET_NAME), '--manifest', join(folder, 'it.manifest'))
      await put('empty', join(folder, 'empty'))
      await put('copies', join(folder, SECRET_NAME), '--redundancy', 'copies:3', '--name', 'copied')
      for (const line of Object.values(files)) {
        expect(line.link).toMatch(/^p2pnode:[1-9A-HJ-NP-Za-km-z]{90,}$/)
        expect(Date.parse(line.expires)).toBeGreaterThan(Date.now() + 80 * 86_400_000)
      }
      expect(files['large']).toMatchObject({ size: largeBytes, redundancy, holders: n })
      expect(files['large']?.stored).toBeLessThan(2.2 * largeBytes)
      expect(files['copies']).toMatchObject({ redundancy: 'copies:3', holders: 3 })
      expect(files['tree']).toMatchObject({ redundancy, sha256: null })
      const { objects } = await owner.json<{ objects: { name: string; link: string }[] }>(['ls'])
      expect(objects.map(({ name }) => name).sort()).toEqual([
        'copied',
        'empty',
        'large',
        SECRET_NAME,
        'vault',
      ])
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
      const middle = Math.floor(largeBytes * 0.6)
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
        headers: { authorization: `Bearer ${await guest.token()}`, range: `bytes=${middle}-${middle + 99}` },
      })
      expect(response.status).toBe(206)
      expect(Buffer.from(await response.arrayBuffer()).equals(bytes.subarray(middle, middle + 100))).toBe(
        true,
      )
      const json = await guest.json<{ sources: { peer: string; bytes: number }[] }>([
        'get',
        large?.link ?? '',
        '-o',
        join(folder, 'again'),
      ])
      expect(json.sources.length).toBeGreaterThanOrEqual(k)
    })

    it('a verify link shows health and reads nothing', async () => {
      const { link } = await network.owner.json<{ link: string }>([
        'share',
        files['large']?.link ?? '',
        '--verify-only',
      ])
      const health = await untilHealth(guest, link, ({ state }) => state === 'healthy')
      expect(health.slabs.length).toBeGreaterThan(0)
      expect(health.slabs.every((slab) => slab.live === slab.n && (slab.k === k || slab.k === 1))).toBe(true)
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

    it(`with any ${n - k} of ${n} holders killed everything reads; with one more the rest is missing until one returns`, async () => {
      const dead = network.workers.slice(0, n - k + 1)
      await Promise.all(dead.slice(0, -1).map((worker) => worker.kill()))
      for (const name of ['tree', 'large', 'secret', 'empty']) await readsAt(guest, name)

      const last = dead.at(-1) as Daemon
      await last.kill()
      const missing = await guest.run([
        'get',
        files['large']?.link ?? '',
        '-o',
        join(folder, 'gone'),
        '--json',
      ])
      expect([missing.code, missing.json()]).toMatchObject([4, { error: { code: 'ERR_VAULT_PIECES' } }])
      expect(missing.json<{ error: { message: string } }>().error.message).toMatch(
        new RegExp(`\\d of the ${k} needed pieces found`),
      )
      expect(await readdir(folder)).not.toContain('gone')

      await network.restart(last)
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
      expect((await Promise.all(network.workers.map(heldBy))).flat().length).toBeGreaterThan(5 * n)
      const removed = await network.owner.json<{ confirmed: number; pending: number }>(['rm', 'large'])
      expect(removed.confirmed).toBeGreaterThan(0)
      expect(removed.pending).toBeGreaterThan(0)
      for (const name of ['vault', SECRET_NAME, 'empty', 'copied']) await network.owner.json(['rm', name])
      await Promise.all(network.workers.slice(0, n - k).map((worker) => network.restart(worker)))
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
  return made
}
