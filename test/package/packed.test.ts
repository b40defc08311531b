import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from '../support/daemon.ts'
import { eventually } from '../support/network.ts'

const execute = promisify(execFile)
const checkout = fileURLToPath(new URL('../..', import.meta.url))

describe('the packed package, installed into an empty folder', () => {
  const lab = new Lab()
  let installed = ''
  let executable = ''

  beforeAll(async () => {
    const folder = await lab.folder()
    const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', folder], {
      cwd: checkout,
      maxBuffer: 2 ** 26,
    })
    const packed = JSON.parse(stdout.slice(stdout.indexOf('['))) as [{ filename: string }]
    installed = join(folder, 'elsewhere')
    await mkdir(installed)
    await writeFile(join(installed, 'package.json'), '{ "private": true }')
    await execute(
      'npm',
      ['install', '--no-audit', '--no-fund', '--loglevel=error', join(folder, packed[0].filename)],
      { cwd: installed },
    )
    executable = join(installed, 'node_modules/p2pnode/bin/p2pnode.js')
  })
  afterAll(() => lab.close())

  it('brings the built code and the licences of what it bundles, and no sources or tests', async () => {
    const names = await readdir(join(installed, 'node_modules/p2pnode'))
    expect(names).not.toContain('src')
    expect(names).not.toContain('test')
    expect(existsSync(join(installed, 'node_modules/p2pnode/dist/LICENSES.txt'))).toBe(true)
    const others = (await readdir(join(installed, 'node_modules'))).filter((name) =>
      /libp2p|helia|fastify/.test(name),
    )
    expect(others).toEqual([])
  })

  // The native addons are what an installation could lack.
  it.each(['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/udp/0/quic-v1', '/ip4/127.0.0.1/udp/0/webrtc-direct'])(
    'moves a file from one node to another over %s',
    async (listen) => {
      const folder = await lab.folder()
      const bytes = randomBytes(3 * 2 ** 20 + 5)
      await writeFile(join(folder, 'file'), bytes)
      const source = await lab.daemon({ executable, noListen: true, args: ['--listen', listen] })
      const target = await lab.daemon({ executable })
      await target.json(['connect', source.ready.multiaddrs[0] ?? ''], { executable })
      const { cid } = await source.json<{ cid: string }>(['add', join(folder, 'file')], { executable })
      const got = await target.json<{ sha256: string }>(['get', cid, '-o', join(folder, 'out')], {
        executable,
      })
      expect(got.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
      expect(await source.stop()).toBe(0)
      expect(await target.stop()).toBe(0)
    },
  )

  it('seals and codes a private file, and restores it with a holder gone', async () => {
    const folder = await lab.folder()
    const bytes = randomBytes(3 * 2 ** 20 + 5)
    await writeFile(join(folder, 'file'), bytes)
    const hub = await lab.daemon({ executable })
    const bootstrap = [hub.address]
    const holder = () => lab.daemon({ executable, bootstrap })
    const holders = [hub, await holder(), await holder()]
    const owner = await lab.daemon({ executable, bootstrap, role: 'leecher' })
    // A node is ready before its bootstrap peer has answered; the owner finds the others through the hub.
    await eventually(
      'all are connected to the hub',
      async () => (await hub.json<{ peers: number }>(['status'], { executable })).peers >= 3,
      30_000,
    )
    const { link } = await owner.json<{ link: string }>(
      ['put', join(folder, 'file'), '--redundancy', 'rs:2/3'],
      { executable },
    )
    await holders[2]?.kill()
    const reader = await lab.daemon({ executable, bootstrap })
    const got = await reader.json<{ sha256: string }>(['get', link, '-o', join(folder, 'out')], {
      executable,
    })
    expect(got.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
  })
})
