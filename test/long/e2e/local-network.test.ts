import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { p2pnode } from '../../support/daemon.ts'
import { alive, localNetwork } from '../../support/local-network.ts'

const FILE_BYTES = 3 * 2 ** 20 + 1

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-test-'))
})
afterAll(async () => {
  await localNetwork('down', '--home', join(folder, 'network'))
  await rm(folder, { recursive: true, force: true })
})

it('twelve daemons of all roles are one network, keep files for each other, and are gone afterwards', async () => {
  const home = join(folder, 'network')
  const up = await localNetwork('up', '--count', '12', '--home', home)
  expect(up).toMatchObject({ code: 0, json: { running: 12, ready: 12, connected: true } })
  const roles = Object.groupBy(up.json.nodes, ({ role }) => role)
  expect([roles.master?.length, roles.worker?.length, roles.leecher?.length]).toEqual([1, 9, 2])
  const run = (index: number, ...args: string[]) =>
    p2pnode(['--home', String(up.json.nodes[index]?.home), ...args, '--json'])

  const bytes = randomBytes(FILE_BYTES)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  await writeFile(join(folder, 'file'), bytes)
  const { cid } = (await run(3, 'add', join(folder, 'file'))).json<{ cid: string }>()
  const put = (await run(11, 'put', join(folder, 'file'))).json<{ link: string; redundancy: string }>()
  expect(put.redundancy).toBe('rs:4/8')
  for (let index = 0; index < up.json.nodes.length; index += 1) {
    for (const address of [cid, put.link]) {
      const got = await run(index, 'get', address, '-o', join(folder, `${index}-${address.slice(-8)}`))
      expect(got.json()).toMatchObject({ sha256 })
    }
  }
  expect(await localNetwork('down', '--home', home)).toMatchObject({
    code: 0,
    json: { stopped: 12, killed: 0 },
  })
  expect(alive(up.json)).toEqual([])
  expect(existsSync(home)).toBe(false)
})
