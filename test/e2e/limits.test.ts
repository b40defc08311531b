import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Lab } from '../support/daemon.ts'

const MIB = 2 ** 20

/** A small file system of its own, where the machine lets this user mount one. */
function mountTmpfs(path: string, sizeBytes: number): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', path], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('no room', () => {
  const lab = new Lab()
  const mounts: string[] = []
  afterAll(async () => {
    for (const path of mounts) execFileSync('umount', ['-l', path])
    await lab.close()
  })

  it('at the quota an add fails with exit code 1 and says what to do; reads go on; after a collection it works', async () => {
    const folder = await lab.folder()
    const node = await lab.daemon({ set: { 'storage.quota': '24MiB', 'storage.offer': '0' } })
    await writeFile(join(folder, 'first'), randomBytes(8 * MIB))
    await writeFile(join(folder, 'second'), randomBytes(32 * MIB))
    await writeFile(join(folder, 'third'), randomBytes(8 * MIB))
    const first = await node.json<{ cid: string }>(['add', join(folder, 'first')])
    const refused = await node.run(['add', join(folder, 'second'), '--json'])
    expect(refused.code).toBe(1)
    expect(refused.json()).toMatchObject({ error: { code: 'ERR_QUOTA' } })
    expect(refused.stdout.trim().split('\n')).toHaveLength(1)

    const read = await node.run(['get', first.cid, '-o', join(folder, 'copy')])
    expect(read.code).toBe(0)
    expect((await readFile(join(folder, 'copy'))).equals(await readFile(join(folder, 'first')))).toBe(true)
    await node.json(['gc'])
    await node.json(['add', join(folder, 'third')])
    const { storage } = await node.json<{ storage: { usedBytes: number; quotaBytes: number } }>(['status'])
    expect(storage.usedBytes).toBeLessThanOrEqual(storage.quotaBytes)
    expect(await node.stop()).toBe(0)
  })

  it('on a full disk likewise, and what was acknowledged before survives a restart', async (test) => {
    const disk = join(await lab.folder(), 'disk')
    await mkdir(disk)
    if (!mountTmpfs(disk, 48 * MIB)) return test.skip('this user may not mount a tmpfs')
    mounts.push(disk)
    const folder = await lab.folder()
    const node = await lab.daemon({ home: join(disk, 'home') })
    await writeFile(join(folder, 'first'), randomBytes(8 * MIB))
    await writeFile(join(folder, 'second'), randomBytes(64 * MIB))
    const first = await node.json<{ cid: string }>(['add', join(folder, 'first')])
    const refused = await node.run(['add', join(folder, 'second'), '--json'])
    expect(refused.code).toBe(1)
    expect(refused.json()).toMatchObject({ error: { code: 'ERR_DISK_FULL' } })
    expect((await node.run(['get', first.cid, '-o', join(folder, 'copy')])).code).toBe(0)
    await node.json(['gc'])
    await writeFile(join(folder, 'third'), randomBytes(4 * MIB))
    const third = await node.json<{ cid: string }>(['add', join(folder, 'third')])
    await node.kill()
    const again = await lab.daemon({ home: node.home })
    for (const { cid } of [first, third]) expect((await again.run(['cat', cid])).code).toBe(0)
    expect(await again.stop()).toBe(0)
    return undefined
  })
})
