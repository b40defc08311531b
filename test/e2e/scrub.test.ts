import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { Lab } from '../support/daemon.ts'

const lab = new Lab()
afterAll(() => lab.close())

it('scrub finds rot on the disk and heals it from a peer; what nobody has stays named until somebody does', async () => {
  const folder = await lab.folder()
  const [node, peer] = [await lab.daemon(), await lab.daemon()]
  const file = join(folder, 'file')
  await writeFile(file, randomBytes(5 * 2 ** 20))
  const { cid } = await node.json<{ cid: string }>(['add', file])
  await peer.json(['connect', node.address])
  await peer.json(['get', cid, '-o', join(folder, 'copy')])
  await peer.json(['pin', 'add', cid])
  expect(await peer.stop()).toBe(0)

  // One bit of each of two blocks.
  const stored = join(node.home, 'blocks')
  const names = (await readdir(stored, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  )
  expect(names.length).toBeGreaterThanOrEqual(5)
  for (const { parentPath, name } of names.slice(0, 2)) {
    const handle = await open(join(parentPath, name), 'r+')
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, 70_000)
    byte[0] = (byte[0] as number) ^ 4
    await handle.write(byte, 0, 1, 70_000)
    await handle.close()
  }
  // What was added a moment ago may still be in memory; a restarted node reads the disk.
  expect(await node.stop()).toBe(0)
  const again = await lab.daemon({ home: node.home })
  expect(await again.json(['scrub'])).toMatchObject({ rottenBlocks: 2, healedBlocks: 0 })
  expect(await again.json(['status'])).toMatchObject({ health: 'degraded', storage: { quarantined: 2 } })

  const holder = await lab.daemon({ home: peer.home })
  await again.json(['connect', holder.address])
  expect(await again.json(['scrub'])).toMatchObject({ rottenBlocks: 0, healedBlocks: 2 })
  expect(await again.json(['status'])).toMatchObject({ health: 'ready', storage: { quarantined: 0 } })
  expect(await holder.stop()).toBe(0)
  const back = join(folder, 'back')
  await again.json(['get', cid, '-o', back])
  expect((await readFile(back)).equals(await readFile(file))).toBe(true)
  expect(await again.stop()).toBe(0)
})
