import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { Lab } from '../../support/daemon.ts'

const MIB = 2 ** 20
const LARGE_BYTES = 24 * MIB

const lab = new Lab()
afterAll(() => lab.close())

/** What `/health/ready` says, again and again on new connections, until nobody answers any more. */
async function watchReadiness(api: string): Promise<string[]> {
  const seen: string[] = []
  for (;;) {
    try {
      const answer = await fetch(`${api}/health/ready`, { headers: { connection: 'close' } })
      const { state } = (await answer.json()) as { state: string }
      const said = `${answer.status} ${state}`
      if (seen.at(-1) !== said) seen.push(said)
      await new Promise((resolve) => setTimeout(resolve, 10))
    } catch {
      return seen
    }
  }
}

// It ends itself by force, with 1, where a stop takes longer than 9.5 s: exit code 0 is the time limit.
it('a busy node stops in order in time, says first that it does, and goes on where it was', async () => {
  const folder = await lab.folder()
  const giver = await lab.daemon()
  // So slow that the fetch is under way when the stop comes, however busy the machine is.
  const taker = await lab.daemon({ set: { 'limits.bandwidth.global.in': '2MiB/s' } })
  await taker.json(['connect', giver.address])
  const small = join(folder, 'small')
  await writeFile(small, randomBytes(2 * MIB))
  const { cid } = await taker.json<{ cid: string }>(['add', small])
  const large = join(folder, 'large')
  const bytes = randomBytes(LARGE_BYTES)
  await writeFile(large, bytes)
  const added = await giver.json<{ cid: string }>(['add', large, '--no-pin'])

  // A fetch from another node and an upload, both under way.
  const fetching = taker.run(['get', added.cid, '-o', join(folder, 'copy'), '--json'])
  const adding = taker.run(['add', large, '--json'])
  const isFetching = async (): Promise<boolean> => {
    const { jobs } = await taker.json<{ jobs: { kind: string; state: string }[] }>(['jobs', 'ls'])
    return jobs.some(({ kind, state }) => kind === 'get' && state === 'running')
  }
  while (!(await isFetching()));

  const watching = watchReadiness(taker.ready.api)
  expect(await taker.stop()).toBe(0)
  expect((await watching).filter((said) => said !== '200 ready')).toEqual(['503 stopping'])
  expect(existsSync(join(taker.home, 'api.json'))).toBe(false)

  const again = await lab.daemon({ home: taker.home })
  const read = await again.run(['cat', cid, '--length', '1'])
  expect(read.code, read.stderr).toBe(0)
  await again.json(['connect', giver.address])
  // Their commands waited for it, and go on where they were.
  expect((await adding).json()).toMatchObject({ cid: added.cid })
  expect((await fetching).code).toBe(0)
  expect((await readFile(join(folder, 'copy'))).equals(bytes)).toBe(true)
  expect(await again.stop()).toBe(0)
  expect(await giver.stop()).toBe(0)
})
