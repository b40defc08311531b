import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Daemon, Lab } from '../support/daemon.ts'

interface Published {
  name: string
  sequence: string
  told: number
  value: string
}

describe('names between daemons', () => {
  const lab = new Lab()
  let publisher: Daemon
  let reader: Daemon
  let folder: string
  let cid: string
  beforeAll(async () => {
    publisher = await lab.daemon()
    reader = await lab.daemon()
    await reader.json(['connect', publisher.address])
    folder = await lab.folder()
    await writeFile(join(folder, 'one.txt'), 'the first version')
    cid = (await publisher.json<{ cid: string }>(['add', folder])).cid
  })
  afterAll(() => lab.close())

  it('are addresses of get, cat, ls, pin add and car export', async () => {
    const { name } = await publisher.json<Published>(['name', 'publish', cid, '--lifetime', '24h'])
    expect((await reader.json<{ path: string }>(['name', 'resolve', name])).path).toBe(`/ipfs/${cid}`)
    expect((await reader.run(['cat', `/ipns/${name}/one.txt`])).stdout).toBe('the first version')
    expect((await reader.run(['cat', `ipns://${publisher.ready.peerId}/one%2Etxt`])).stdout).toBe(
      'the first version',
    )
    expect((await reader.run(['ls', `/ipns/${name}`])).stdout).toContain('one.txt')
    await reader.json(['get', `/ipns/${name}/one.txt`, '-o', join(folder, 'copy.txt')])
    expect(await readFile(join(folder, 'copy.txt'), 'utf8')).toBe('the first version')
    expect((await reader.json<{ cid: string }>(['pin', 'add', `/ipns/${name}`])).cid).toBe(cid)
    await reader.json(['car', 'export', `/ipns/${name}`, '-o', join(folder, 'all.car')])
  })

  it('are served on the port of the gateway, as content and to who routes by this node', async () => {
    const { name } = await publisher.json<Published>(['name', 'publish', cid])
    const { gateway } = reader.ready
    expect(await (await fetch(`${gateway}/ipns/${name}/one.txt`)).text()).toBe('the first version')
    const record = await fetch(`${gateway}/routing/v1/ipns/${name}`, {
      headers: { accept: 'application/vnd.ipfs.ipns-record' },
    })
    expect(record.headers.get('content-type')).toBe('application/vnd.ipfs.ipns-record')
    const providers = await fetch(`${gateway}/routing/v1/providers/${cid}`)
    const peers = ((await providers.json()) as { Providers: { ID: string }[] }).Providers
    // It has the folder by now, and says so first.
    expect(peers[0]?.ID).toBe(reader.ready.peerId)
  })

  it('go on with the next number after a restart, and move by hand between nodes', async () => {
    const before = await publisher.json<Published>(['name', 'publish', `${cid}/one.txt`])
    await publisher.kill()
    const again = await lab.daemon({ home: publisher.home })
    const after = await again.json<Published>(['name', 'publish', cid])
    expect(BigInt(after.sequence)).toBeGreaterThan(BigInt(before.sequence))
    const { names } = await again.json<{ names: Published[] }>(['name', 'ls'])
    expect(names).toMatchObject([{ sequence: after.sequence, value: `/ipfs/${cid}` }])

    const { path } = await again.json<{ path: string }>(['name', 'export', after.name], { cwd: folder })
    expect(path).toBe(join(folder, `${after.name}.ipns-record`))
    const imported = await reader.json<Published>(['name', 'import', path])
    expect(imported).toMatchObject({ name: after.name, sequence: after.sequence })
    const shown = await reader.json<Published>(['name', 'resolve', after.name, '--record', '--offline'])
    expect(shown.value).toBe(`/ipfs/${cid}`)
  })

  it('fail with the exit code of what is wrong', async () => {
    for (const [args, code] of [
      [['name', 'resolve', 'nonsense'], 2],
      [['name', 'resolve', 'example.org'], 4],
      [['name', 'publish', 'nonsense'], 2],
      [['name', 'publish', cid, '--ttl', 'soon'], 2],
      [['name', 'publish', cid, '--key', 'none'], 4],
      [['name', 'import', join(folder, 'none.ipns-record')], 4],
      [['name', 'import', join(folder, 'one.txt'), '--name', reader.ready.peerId], 5],
    ] as const) {
      const result = await reader.run([...args, '--json'])
      expect([args, result.code]).toEqual([args, code])
      expect(result.stdout.trim().split('\n')).toHaveLength(1)
    }
  })
})
