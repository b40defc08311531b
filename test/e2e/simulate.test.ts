import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { p2pnode } from '../support/daemon.ts'

const executable = fileURLToPath(new URL('../../bin/p2pnode.js', import.meta.url))

let TMPDIR: string
beforeAll(async () => {
  TMPDIR = await mkdtemp(join(tmpdir(), 'p2pnode-test-'))
})
afterAll(() => rm(TMPDIR, { recursive: true, force: true }))

const left = async () => (await readdir(TMPDIR)).filter((name) => name.startsWith('p2pnode-'))

it('simulate prints one line of what was seen, without a daemon and without a trace', async () => {
  const result = await p2pnode(['simulate', '--count', '2', '--json'], { env: { TMPDIR } })
  expect(result.code, result.stderr).toBe(0)
  expect(result.stdout.trim().split('\n')).toHaveLength(1)
  expect(result.json()).toMatchObject({ ok: true, connected: { nodes: 2 }, fetches: { right: 1, wrong: 0 } })
  expect(await left()).toEqual([])

  const refused = await p2pnode(['simulate', '--count', '3', '--scenario', 'chaos', '--json'], {
    env: { TMPDIR },
  })
  expect(refused).toMatchObject({ code: 2 })
  expect(refused.json()).toMatchObject({ error: { code: 'ERR_SIMULATION_SCENARIO' } })
})

it('simulate ends at a signal in the middle, and leaves nothing', async () => {
  const child = spawn(process.execPath, [executable, 'simulate', '--count', '4', '--json'], {
    env: { ...process.env, TMPDIR },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const closed = once(child, 'close')
  for await (const line of createInterface({ input: child.stderr })) {
    if (line.includes('starting nodes')) break
  }
  expect(await left()).toHaveLength(1)
  child.kill('SIGINT')
  expect(await closed).toEqual([7, null])
  expect(await left()).toEqual([])
})
