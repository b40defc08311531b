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
  expect((await node.run(['status', '--ready'])).code).toBe(0)

  node.process.kill('SIGUSR2')
  await vi.waitFor(async () => expect((await ready()).status).toBe(503), { timeout: 10_000 })
  const { state, problems } = await ready()
  expect(state).toBe('failed')
  expect(problems.join()).toContain('restart')
  expect((await fetch(`${node.ready.api}/health/live`)).status).toBe(200)
  expect(await node.json(['status'])).toMatchObject({ health: 'failed' })
  expect((await node.run(['status', '--ready'])).code).toBe(1)

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

it('its figures tell of storage, jobs, transfers and refusals, and name nobody', async () => {
  const folder = await lab.folder()
  const [one, other] = [await lab.daemon(), await lab.daemon()]
  await writeFile(join(folder, 'file'), randomBytes(100_000))
  const { cid } = await one.json<{ cid: string }>(['add', join(folder, 'file')])
  await other.json(['connect', one.address])
  await other.json(['get', cid, '-o', join(folder, 'copy')])
  await one.json(['block', other.ready.peerId])
  expect((await other.run(['connect', one.address])).code).not.toBe(0)

  const text = await (await fetch(`${one.ready.api}/metrics`)).text()
  const value = (name: string): number =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1],
    )
  expect(value('p2pnode_ready')).toBe(1)
  expect(value('p2pnode_storage_used_bytes')).toBeGreaterThan(100_000)
  expect(value('p2pnode_storage_quota_bytes')).toBeGreaterThan(2 ** 30)
  expect(value('p2pnode_pins')).toBe(1)
  expect(value('p2pnode_jobs{state="done"}')).toBe(1)
  expect(value('p2pnode_content_bytes_total{direction="served"}')).toBeGreaterThanOrEqual(100_000)
  expect(value('p2pnode_trust_denials_total{action="accept",reason="deny-list"}')).toBeGreaterThan(0)
  expect(value('p2pnode_trust_evidence_dropped_total')).toBe(0)
  expect(value('p2pnode_gossip_messages_total{result="rejected"}')).toBe(0)
  const lines = text.split('\n').filter((line) => !line.startsWith('#'))
  for (const secret of [cid, one.ready.peerId, other.ready.peerId])
    expect(lines.filter((line) => line.includes(secret))).toEqual([])
  expect(await one.stop()).toBe(0)
  expect(await other.stop()).toBe(0)
})
