import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Daemon, Lab } from '../support/daemon.ts'

const MIB = 2 ** 20

/** What a node moved of the content protocol, and how often it had to wait for that, as Prometheus reads it. */
async function figures(daemon: Daemon, direction: 'in' | 'out'): Promise<{ bytes: number; waits: number }> {
  const text = await (await fetch(`${daemon.ready.api}/metrics`)).text()
  const read = (name: string): number => {
    const line = text
      .split('\n')
      .find((found) => found.startsWith(`${name}{protocol="content",direction="${direction}"}`))
    return Number(line?.split(' ').at(-1) ?? 0)
  }
  return { bytes: read('p2pnode_bandwidth_bytes_total'), waits: read('p2pnode_bandwidth_waits_total') }
}

describe('limits of bandwidth', () => {
  const lab = new Lab()
  afterAll(() => lab.close())

  it('that an operator sets hold for a get, whether by --set or in the file, and what moved is shown', async () => {
    const folder = await lab.folder()
    const source = await lab.daemon({ set: { 'limits.bandwidth.global.out': '2MiB/s' } })
    const home = join(await lab.folder(), 'home')
    const first = await lab.daemon({ home })
    await first.json(['config', 'set', 'limits.bandwidth.perPeer.in', '1MiB/s'])
    expect(await first.stop()).toBe(0)
    const client = await lab.daemon({ home })

    await writeFile(join(folder, 'file'), randomBytes(2 * MIB))
    const { cid } = await source.json<{ cid: string }>(['add', join(folder, 'file')])
    await client.json(['connect', source.address])
    await client.json(['get', cid, '-o', join(folder, 'copy')])
    expect((await readFile(join(folder, 'copy'))).equals(await readFile(join(folder, 'file')))).toBe(true)

    const [sent, received] = [await figures(source, 'out'), await figures(client, 'in')]
    expect(sent.bytes).toBeGreaterThanOrEqual(2 * MIB)
    expect(received.bytes).toBeGreaterThanOrEqual(2 * MIB)
    expect(received.waits).toBeGreaterThan(0)
    const { peers } = await client.json<{ peers: { peer: string; bytesIn: number; connections: number }[] }>([
      'peers',
    ])
    const [shown] = peers
    expect(shown).toMatchObject({ peer: source.ready.peerId, connections: 1 })
    // Sets are compared meanwhile, which moves some bytes more.
    expect(shown?.bytesIn).toBeGreaterThanOrEqual(received.bytes)
    expect(shown?.bytesIn).toBeLessThan(received.bytes + 64 * 1024)
    // The file, its nodes, and 64 bytes a frame.
    expect(received.bytes / (2 * MIB)).toBeCloseTo(1, 2)

    const peer = source.ready.peerId
    expect(await source.stop()).toBe(0)
    const known = (): Promise<{ peers: { bytesIn: number }[] }> => client.json(['peers', '--known'])
    await expect.poll(known).toMatchObject({ peers: [{ peer, successes: 1 }] })
    await expect.poll(async () => (await known()).peers[0]?.bytesIn).toBeGreaterThanOrEqual(received.bytes)
    const table = (await client.run(['peers', '--known'])).stdout
    expect(table).toContain(peer)
    expect(table).toContain('2.00 MiB')
  })
})
