import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { Lab } from '../support/daemon.ts'

const lab = new Lab()
afterAll(() => lab.close())

it('serves what a node has and what it gets from peers, but nothing private, and only where it is switched on', async () => {
  const folder = await lab.folder()
  const [open, secret] = [join(folder, 'open.txt'), join(folder, 'secret.txt')]
  await writeFile(open, 'for everybody')
  await writeFile(secret, 'for this network alone')
  const source = await lab.daemon({ set: { 'gateway.enabled': 'false' } })
  const reader = await lab.daemon({ bootstrap: [source.address] })
  const still = await lab.daemon({ bootstrap: [source.address], set: { 'gateway.fetch': 'false' } })
  expect(source.ready.gateway).toBeNull()

  const { cid } = await source.json<{ cid: string }>(['add', open])
  const found = await fetch(`${reader.ready.gateway}/ipfs/${cid}`)
  expect([found.status, await found.text()]).toEqual([200, 'for everybody'])
  expect((await fetch(`${still.ready.gateway}/ipfs/${cid}`)).status).toBe(404)

  const { cid: hidden } = await reader.json<{ cid: string }>(['add', secret, '--private'])
  for (const query of ['', '?format=raw', '?format=car']) {
    expect((await fetch(`${reader.ready.gateway}/ipfs/${hidden}${query}`)).status).toBe(404)
  }
  expect(await Promise.all([source, reader, still].map((node) => node.stop()))).toEqual([0, 0, 0])
})
