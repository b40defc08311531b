import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hashFile, writeRandomFile } from '../../../scripts/bench/files.ts'
import { Lab } from '../../support/daemon.ts'
import { type PutLine, untilHealth, VaultNetwork } from '../../support/vault-network.ts'

const LONG = { timeoutMs: 1_200_000 }

describe('large private files', () => {
  const lab = new Lab()
  let network: VaultNetwork
  beforeAll(async () => {
    network = await VaultNetwork.start(lab, {
      workers: 9,
      set: { 'storage.quota': '40GiB', 'vault.audit.interval': '30s', 'vault.repair.grace': '1h' },
    })
  })
  afterAll(() => lab.close())

  it('a file of 1 GiB, put by one node and read by another', async () => {
    const folder = await lab.folder()
    const path = join(folder, 'file')
    await writeRandomFile(path, 2 ** 30)
    const { sha256 } = await hashFile(path)
    const put = await network.owner.json<PutLine>(['put', path, '--redundancy', 'rs:4/8'], LONG)
    expect(put).toMatchObject({ sha256, holders: 8 })
    const reader = await network.node('leecher')
    expect(await reader.json(['get', put.link, '-o', join(folder, 'out')], LONG)).toMatchObject({ sha256 })
  })

  it('a holder that leaves hands everything over', async () => {
    const path = join(await lab.folder(), 'file')
    await writeRandomFile(path, 512 * 2 ** 20)
    const { link } = await network.owner.json<PutLine>(['put', path, '--redundancy', 'rs:4/8'], LONG)
    const before = await untilHealth(network.owner, link, ({ state }) => state === 'healthy')
    const peer = before.slabs[0]?.columns[0]?.peer ?? ''
    const leaving = network.worker(peer)
    const left = await leaving.json<{ stuck: number; stopped: boolean }>(['leave'], LONG)
    expect(left).toMatchObject({ stuck: 0, stopped: true })
    const after = await untilHealth(network.owner, link, ({ state }) => state === 'healthy', 120_000)
    expect(after.slabs.flatMap(({ columns }) => columns.map((column) => column.peer))).not.toContain(peer)
  })
})
