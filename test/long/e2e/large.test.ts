import { createHash, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hashFile, writeRandomFile } from '../../../scripts/bench/files.ts'
import { describeTree } from '../../support/cli.ts'
import { type Daemon, Lab } from '../../support/daemon.ts'

describe('large things from one node to another', () => {
  const lab = new Lab()
  let source: Daemon
  let target: Daemon
  beforeAll(async () => {
    source = await lab.daemon()
    target = await lab.daemon()
    await target.json(['connect', source.address])
  })
  afterAll(() => lab.close())

  it('a file of 1 GiB', async () => {
    const folder = await lab.folder()
    await writeRandomFile(join(folder, 'file'), 2 ** 30)
    const { sha256 } = await hashFile(join(folder, 'file'))
    const { cid } = await source.json<{ cid: string }>(['add', join(folder, 'file')], { timeoutMs: 600_000 })
    const got = await target.json<{ sha256: string }>(['get', cid, '-o', join(folder, 'out')], {
      timeoutMs: 600_000,
    })
    expect(got.sha256).toBe(sha256)
  })

  it('a tree of a thousand files that somebody really uses', async () => {
    const out = join(await lab.folder(), 'perl')
    const { cid } = await source.json<{ cid: string }>(['add', '/usr/share/perl'])
    await target.json(['get', cid, '-o', out])
    expect(await describeTree(out)).toEqual(await describeTree('/usr/share/perl'))
  })

  it('a tree of 100 000 files', async () => {
    const folder = await lab.folder()
    const tree = join(folder, 'tree')
    const hash = createHash('sha256')
    for (let group = 0; group < 1_000; group += 1) {
      const path = join(tree, `${group % 32}`, `folder ${group}`)
      await mkdir(path, { recursive: true })
      const content = randomBytes(64)
      await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          writeFile(join(path, `file ${index}`), Buffer.concat([content, Buffer.from(`${index}`)])),
        ),
      )
      hash.update(content)
    }
    const added = await source.json<{ cid: string; files: number }>(['add', tree], { timeoutMs: 900_000 })
    expect(added.files).toBe(100_000)
    await target.json(['get', added.cid, '-o', join(folder, 'out')], { timeoutMs: 900_000 })
    execFileSync('diff', ['-r', tree, join(folder, 'out')])
  })
})
