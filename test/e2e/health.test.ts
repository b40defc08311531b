import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { Lab } from '../support/daemon.ts'

const lab = new Lab()
afterAll(() => lab.close())

it('a node whose writer of blocks died is not ready, says why, and still reads', async () => {
  const folder = await lab.folder()
  const hook = new URL('../support/ends-writer.ts', import.meta.url)
  const node = await lab.daemon({ nodeArgs: ['--import', hook.href] })
  const content = randomBytes(2 ** 21).toString('hex')
  await writeFile(join(folder, 'file'), content)
  const { cid } = await node.json<{ cid: string }>(['add', join(folder, 'file')])
  const ready = async () => {
    const response = await fetch(`${node.ready.api}/health/ready`)
    return { status: response.status, ...((await response.json()) as { state: string; problems: string[] }) }
  }
  expect(await ready()).toEqual({ status: 200, state: 'ready', problems: [] })

  node.process.kill('SIGUSR2')
  await vi.waitFor(async () => expect((await ready()).status).toBe(503), { timeout: 10_000 })
  const { state, problems } = await ready()
  expect(state).toBe('failed')
  expect(problems.join()).toContain('restart')
  expect((await fetch(`${node.ready.api}/health/live`)).status).toBe(200)
  expect(await node.json(['status'])).toMatchObject({ health: 'failed' })

  const refused = await node.run(['add', join(folder, 'file'), '--json'])
  expect([refused.code, refused.json()]).toMatchObject([
    1,
    { error: { message: expect.stringContaining('restart') } },
  ])
  const read = await node.run(['cat', cid])
  expect(read.code, read.stderr).toBe(0)
  expect(read.stdout === content).toBe(true)

  expect(await node.stop()).toBe(0)
  const again = await lab.daemon({ home: node.home })
  const response = await fetch(`${again.ready.api}/health/ready`)
  expect(response.status).toBe(200)
  await again.json(['add', join(folder, 'file')])
  expect(await again.stop()).toBe(0)
})
