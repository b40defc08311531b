import { createHash, randomBytes } from 'node:crypto'
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { base58btc } from 'multiformats/bases/base58'
import { afterAll, describe, expect, it } from 'vitest'
import { writeRandomFile } from '../../scripts/bench/files.ts'
import { Lab } from '../support/daemon.ts'
import { eventually } from '../support/network.ts'
import { describePrivateFiles } from '../support/private-files.ts'

const MIB = 2 ** 20
const lab = new Lab()
afterAll(() => lab.close())

// With eight holders in test/long.
const made = describePrivateFiles(lab, { redundancy: { k: 2, n: 4 }, largeBytes: 8 * MIB + 17 })

describe('bad input', { timeout: 180_000 }, () => {
  it('has a clear error and the documented exit code', async () => {
    const { owner } = made.network
    const slab = randomBytes(32)
    const body = Buffer.concat([Buffer.of(1, 9), slab, randomBytes(32)])
    const checksum = createHash('sha256').update(body).digest().subarray(0, 4)
    const unknownKind = `p2pnode:${base58btc.baseEncode(Buffer.concat([body, checksum]))}`
    const link = made.files['large']?.link ?? ''
    await writeFile(join(made.folder, 'bad.manifest'), randomBytes(500))
    await mkdir(join(made.folder, 'home-of-nobody'))

    const cases: [string[], number, string][] = [
      [['get', unknownKind], 2, 'ERR_LINK_INVALID'],
      [['get', link.slice(0, -7)], 2, 'ERR_LINK_CHECKSUM'],
      [['get', `${link.slice(0, -1)}${link.endsWith('2') ? '3' : '2'}`], 2, 'ERR_LINK_CHECKSUM'],
      [['inspect', link.slice(0, -7)], 2, 'ERR_LINK_CHECKSUM'],
      [['get', join(made.folder, 'bad.manifest')], 5, 'ERR_VAULT_INVALID'],
      [['put', join(made.folder, 'no-such-file')], 4, 'ERR_SOURCE_NOT_FOUND'],
      [['put', '/dev/null'], 2, 'ERR_SOURCE_TYPE'],
      [['put', join(made.folder, 'large'), '--redundancy', 'rs:30/60'], 1, 'ERR_TOO_FEW_HOLDERS'],
      [['rm', 'no such name'], 4, 'ERR_OBJECT_NOT_FOUND'],
    ]
    for (const [args, code, error] of cases) {
      const result = await owner.run([...args, '--json'], { cwd: made.folder })
      expect([args[1], result.code, result.json()]).toMatchObject([args[1], code, { error: { code: error } }])
    }
  })

  it('a file that changes while it is read is refused, and nothing of it is kept', async () => {
    const path = join(made.folder, 'growing')
    await writeRandomFile(path, 24 * MIB)
    const { owner, workers } = made.network
    // Those that were killed and came back: the network has no more holders than this put needs.
    await eventually('all holders are connected', async () => {
      const { peers } = await owner.json<{ peers: { peer: string }[] }>(['peers'])
      return workers.every(({ ready }) => peers.some(({ peer }) => peer === ready.peerId))
    })
    const headers = { authorization: `Bearer ${await owner.token()}` }
    const putting = owner.run(['put', path, '--redundancy', 'rs:2/4', '--json'])
    await eventually('the upload has begun', async () => {
      const response = await fetch(`${owner.ready.api}/api/v1/jobs`, { headers })
      const { jobs } = (await response.json()) as { jobs: { kind: string; state: string }[] }
      return jobs.some(({ kind, state }) => kind === 'put' && state === 'running')
    })
    await appendFile(path, 'more')
    const result = await putting
    expect(result.json<{ error: { code: string } }>().error.code, result.stdout).toBe('ERR_SOURCE_CHANGED')
    expect(result.code).toBe(1)
    const { objects } = await owner.json<{ objects: { name: string }[] }>(['ls'])
    expect(objects.filter(({ name }) => name === 'growing')).toEqual([])
  })

  it('no holders, and holders without room, are said', async () => {
    const alone = await lab.daemon()
    const path = join(made.folder, 'small')
    await writeRandomFile(path, 8 * MIB)
    const nobody = await alone.run(['put', path, '--json'])
    expect([nobody.code, nobody.json()]).toMatchObject([1, { error: { code: 'ERR_TOO_FEW_HOLDERS' } }])
    const full = await lab.daemon({ bootstrap: [alone.address], set: { 'storage.offer': '1MiB' } })
    await full.json(['connect', alone.address])
    const noRoom = await alone.run(['put', path, '--redundancy', 'copies:1', '--json'])
    expect([noRoom.code, noRoom.json()]).toMatchObject([1, { error: { code: 'ERR_TOO_FEW_HOLDERS' } }])
    expect(noRoom.json<{ error: { message: string } }>().error.message).toContain('room')
  })
})
