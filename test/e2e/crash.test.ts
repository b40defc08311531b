import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { Lab } from '../support/daemon.ts'
import { killRounds } from '../support/kill-rounds.ts'

describe('kill -9', () => {
  const lab = new Lab()
  afterAll(() => lab.close())

  it('of either daemon, at random moments of add and get: everything acknowledged reads back and the work goes on', async () => {
    await killRounds(lab, { rounds: 2, fileBytes: 12 * 2 ** 20 })
  }, 300_000)

  it('of one of three sources half way: the others take over its share', async () => {
    const folder = await lab.folder()
    const bytes = randomBytes(64 * 2 ** 20)
    await writeFile(join(folder, 'file'), bytes)
    const sources = await Promise.all([lab.daemon(), lab.daemon(), lab.daemon()])
    let cid = ''
    for (const source of sources)
      cid = (await source.json<{ cid: string }>(['add', join(folder, 'file')])).cid
    const target = await lab.daemon()
    for (const source of sources) await target.json(['connect', source.address])
    const getting = target.json<{ sha256: string; sources: { peer: string; bytes: number }[] }>([
      'get',
      cid,
      '-o',
      join(folder, 'out'),
    ])
    // Half way by what has arrived, not by the clock.
    while (
      (await target.json<{ content: { fetchedBytes: number } }>(['stats'])).content.fetchedBytes <
      bytes.length / 4
    )
      await sleep(20)
    await sources[0]?.kill()
    const got = await getting
    expect(got.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect((await readFile(join(folder, 'out'))).equals(bytes)).toBe(true)
    const total = got.sources.reduce((sum, each) => sum + each.bytes, 0)
    expect(total).toBeLessThan(bytes.length * 1.03)
  }, 120_000)
})
