import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Daemon, Lab, p2pnode } from '../support/daemon.ts'

/** Every path below a folder with type, mode, link target and content: two equal lists are two equal trees. */
function describeTree(path: string): string {
  return execFileSync(
    'sh',
    [
      '-c',
      'find . -type f -printf "%P %m " -exec sha256sum {} \\; -o -type l -printf "%P -> %l\\n" -o -type d -printf "%P/ %m\\n" | sort',
    ],
    { cwd: path, maxBuffer: 2 ** 28, encoding: 'utf8' },
  )
}

describe('the first real job: a tree and a file from one node to another', () => {
  const lab = new Lab()
  let source: Daemon
  let target: Daemon

  beforeAll(async () => {
    source = await lab.daemon()
    target = await lab.daemon()
    await target.json(['connect', source.address])
  })
  afterAll(() => lab.close())

  it('says on one line where it is', () => {
    expect(Object.keys(source.ready).sort()).toEqual([
      'api',
      'did',
      'gateway',
      'home',
      'multiaddrs',
      'peerId',
      'pid',
      'role',
    ])
    expect(source.ready.role).toBe('worker')
    expect(source.ready.did).toMatch(/^did:key:z6Mk/)
    expect(source.ready.pid).toBe(source.process.pid)
  })

  it('moves a real tree with links, modes, empty files and folders, and any script in names', async () => {
    const folder = await lab.folder()
    const tree = join(folder, 'tree')
    await mkdir(join(tree, 'пустая папка'), { recursive: true })
    await mkdir(join(tree, 'deep/er/and/deeper'), { recursive: true })
    await writeFile(join(tree, 'empty'), '')
    await writeFile(join(tree, '日本語 ファイル.txt'), 'content')
    await writeFile(join(tree, 'new\nline'), 'a name with a line break')
    await writeFile(join(tree, `${'x'.repeat(250)}.txt`), 'a long name')
    await writeFile(join(tree, 'deep/er/and/deeper/run.sh'), '#!/bin/sh\n')
    await chmod(join(tree, 'deep/er/and/deeper/run.sh'), 0o755)
    await writeFile(join(tree, 'private'), 'for me')
    await chmod(join(tree, 'private'), 0o600)
    await writeFile(join(tree, 'large'), randomBytes(5 * 2 ** 20 + 17))
    await symlink('deep/er', join(tree, 'link'))
    await symlink('/nowhere/at/all', join(tree, 'dangling'))
    await symlink('../../outside', join(tree, 'deep/outside'))

    const added = await source.json<{ cid: string; size: number }>(['add', tree])
    const out = join(folder, 'copy')
    const got = await target.json<{ path: string; size: number; sources: { peer: string; bytes: number }[] }>(
      ['get', added.cid, '-o', out],
    )
    expect(describeTree(out)).toBe(describeTree(tree))
    expect(got.path).toBe(out)
    expect(got.sources.map((each) => each.peer)).toEqual([source.ready.peerId])
    expect(got.sources[0]?.bytes).toBeGreaterThan(5 * 2 ** 20)
  })

  it('moves a large file bit by bit the same, and tells its hash', async () => {
    const folder = await lab.folder()
    const bytes = randomBytes(48 * 2 ** 20 + 1)
    await writeFile(join(folder, 'file'), bytes)
    const { cid, size } = await source.json<{ cid: string; size: number }>(['add', join(folder, 'file')])
    expect(size).toBe(bytes.length)
    const got = await target.json<{ sha256: string; size: number }>(['get', cid, '-o', join(folder, 'out')])
    expect(got).toMatchObject({
      size: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    })
    expect((await readFile(join(folder, 'out'))).equals(bytes)).toBe(true)

    const part = await target.run(['cat', cid, '--offset', '1048570', '--length', '12'])
    expect(Buffer.from(part.stdout, 'utf8').length).toBeGreaterThan(0)
    const again = await target.json<{ sources: unknown[] }>(['get', cid, '-o', join(folder, 'again')])
    expect(again.sources).toEqual([])
  })

  it('refuses to overwrite, and replaces with --force', async () => {
    const folder = await lab.folder()
    await writeFile(join(folder, 'new'), 'new content')
    await writeFile(join(folder, 'out'), 'old content')
    const { cid } = await source.json<{ cid: string }>(['add', join(folder, 'new')])
    const refused = await target.run(['get', cid, '-o', join(folder, 'out'), '--json'])
    expect(refused.code).toBe(1)
    expect(refused.json()).toMatchObject({ error: { code: 'ERR_TARGET_EXISTS' } })
    expect(await readFile(join(folder, 'out'), 'utf8')).toBe('old content')
    await target.json(['get', cid, '-o', join(folder, 'out'), '--force'])
    expect(await readFile(join(folder, 'out'), 'utf8')).toBe('new content')
  })

  it('gives the exit codes of the contract', async () => {
    const missing = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
    const home = join(await lab.folder(), 'nobody')
    const codes = await Promise.all([
      target.run(['status']),
      target.run(['nonsense']),
      p2pnode(['--home', home, 'status', '--json']),
      target.run(['get', missing, '-o', join(home, '..', 'x')]),
      target.run(['cat', 'not-a-cid']),
      target.run(['pin', 'rm', missing]),
      target.run(['status', '--token', 'wrong']),
    ])
    expect(codes.map(({ code }) => code)).toEqual([0, 2, 3, 4, 2, 4, 6])
    expect(codes[2]?.stdout.trim().split('\n')).toHaveLength(1)
    expect(codes[2]?.json()).toMatchObject({ error: { code: 'ERR_NO_DAEMON' } })
  })

  it('pins what it adds, keeps it through a collection and lets go of it after', async () => {
    const folder = await lab.folder()
    await writeFile(join(folder, 'kept'), randomBytes(3 * 2 ** 20))
    await writeFile(join(folder, 'dropped'), randomBytes(3 * 2 ** 20))
    const node = await lab.daemon()
    const kept = await node.json<{ cid: string }>(['add', join(folder, 'kept')])
    const dropped = await node.json<{ cid: string }>(['add', join(folder, 'dropped'), '--no-pin'])
    const { pins } = await node.json<{ pins: { cid: string; name: string }[] }>(['ls'])
    expect(pins).toMatchObject([{ cid: kept.cid, name: 'kept' }])
    const first = await node.json<{ removedBlocks: number }>(['gc'])
    expect(first.removedBlocks).toBe(4)
    expect((await node.run(['cat', kept.cid])).code).toBe(0)
    expect((await node.run(['cat', dropped.cid])).code).toBe(4)
    await node.json(['pin', 'rm', kept.cid])
    expect((await node.json<{ removedBlocks: number }>(['gc'])).removedBlocks).toBe(4)
    expect((await node.run(['cat', kept.cid])).code).toBe(4)
  })

  it('blocks a peer at once and for good', async () => {
    const guest = await lab.daemon()
    await guest.json(['connect', source.address])
    await source.json(['block', guest.ready.peerId])
    const { peers } = await source.json<{ peers: { peer: string }[] }>(['peers'])
    expect(peers.map((peer) => peer.peer)).not.toContain(guest.ready.peerId)
    const dial = await source.run(['connect', guest.address])
    expect(dial.code).toBe(6)
    await source.json(['unblock', guest.ready.peerId])
    await source.json(['connect', guest.address])
  })

  it('refuses a second daemon on its folder with exit code 1, and stops in order', async () => {
    const node = await lab.daemon()
    const second = await p2pnode([
      '--home',
      node.home,
      'start',
      '--json',
      '--set',
      'api.port=0',
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
    ])
    expect(second.code).toBe(1)
    expect(second.json()).toMatchObject({ error: { code: 'ERR_HOME_LOCKED' } })
    expect((await node.run(['stop'])).code).toBe(0)
    expect(await node.stop()).toBe(0)
    const again = await lab.daemon({ home: node.home })
    expect(again.ready.peerId).toBe(node.ready.peerId)
  })
})
