import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { identityOf } from '../../../scripts/network/identity.ts'
import type { NetworkState } from '../../../scripts/network/state.ts'
import { alive, localNetwork } from '../../support/local-network.ts'
import { p2pnode } from '../../support/daemon.ts'

let folder: string
let home: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-test-'))
  home = join(folder, 'network')
})
afterAll(async () => {
  await localNetwork('down', '--home', home)
  await rm(folder, { recursive: true, force: true })
})

describe('scripts/local-network', () => {
  it('starts what is missing, moves a file between its nodes, and leaves no process and no folder', async () => {
    expect(await localNetwork('status', '--home', home)).toMatchObject({ code: 3, json: { network: null } })
    const first = await localNetwork('up', '--count', '3', '--home', home)
    expect(first).toMatchObject({ code: 0, json: { running: 3, ready: 3, connected: true } })
    expect(first.json.nodes.map(({ role }) => role)).toEqual(['master', 'worker', 'worker'])

    // Done again, it starts what is missing and leaves the others alone.
    const [, second] = first.json.nodes
    process.kill(second?.pid as number, 'SIGKILL')
    const again = await localNetwork('up', '--count', '4', '--home', home)
    expect(again).toMatchObject({ code: 0, json: { running: 4, ready: 4, connected: true } })
    const pids = (names: string[]) =>
      [first, again].map(({ json }) =>
        names.map((name) => json.nodes.find((node) => node.name === name)?.pid),
      )
    const [before, after] = pids(['node-000', 'node-002'])
    expect(after).toEqual(before)
    const restarted = again.json.nodes.find(({ name }) => name === 'node-001')
    expect(restarted?.peerId).toBe(second?.peerId)
    expect(restarted?.pid).not.toBe(second?.pid)

    const [giver, , , taker] = again.json.nodes
    await writeFile(join(folder, 'file'), 'of one network')
    const added = await p2pnode(['--home', String(giver?.home), 'add', join(folder, 'file'), '--json'])
    const { cid } = added.json<{ cid: string }>()
    const got = await p2pnode(['--home', String(taker?.home), 'cat', cid])
    expect(got.stdout).toBe('of one network')

    const down = await localNetwork<{ stopped: number; killed: number }>('down', '--home', home)
    expect(down).toMatchObject({ code: 0, json: { stopped: 4, killed: 0, gone: 0 } })
    expect(alive(again.json)).toEqual([])
    expect(existsSync(home)).toBe(false)
    expect(await localNetwork('down', '--home', home)).toMatchObject({ code: 0, json: { stopped: 0 } })
  })

  it('does not stop a process that was given the id of one of its daemons', async () => {
    await localNetwork('up', '--count', '1', '--home', home)
    const path = join(home, 'network.json')
    const state = JSON.parse(await readFile(path, 'utf8')) as NetworkState
    const [node] = state.nodes
    const daemon = node?.process as { pid: number; startedAt: string }
    const stranger = spawn('sleep', ['300'], { stdio: 'ignore' })
    await once(stranger, 'spawn')
    const pid = stranger.pid as number
    const withId = { ...state, nodes: [{ ...node, process: { ...daemon, pid } }] }
    try {
      await writeFile(path, JSON.stringify(withId))
      expect(await localNetwork('status', '--home', home)).toMatchObject({ code: 1, json: { running: 0 } })
      expect(await localNetwork('down', '--keep', '--home', home)).toMatchObject({
        json: { stopped: 0, gone: 1 },
      })
      expect(identityOf(pid)).toBeDefined()
    } finally {
      stranger.kill('SIGKILL')
      await writeFile(path, JSON.stringify(state))
    }
    expect(await localNetwork('down', '--home', home)).toMatchObject({ json: { stopped: 1 } })
  })

  it('refuses wrong usage with what it takes, and touches no folder that is not its own', async () => {
    for (const args of [
      ['up', '--count', '0'],
      ['up', '--count', 'x'],
      ['sideways'],
      [],
      ['up', '--port', '1'],
    ]) {
      const { code, stderr } = await localNetwork(...args, '--home', home)
      expect([args, code]).toEqual([args, 2])
      expect(stderr).toContain('allowed:')
    }
    await writeFile(join(folder, 'identity.key'), '')
    const node = await localNetwork('up', '--count', '1', '--home', folder)
    expect(node).toMatchObject({ code: 1, stderr: expect.stringContaining('the data folder of a node') })
    const bad = await localNetwork('up', '--count', '1', '--home', home, '--set', 'role=king')
    expect(bad).toMatchObject({ code: 1, stderr: expect.stringContaining('node-000 did not start') })
    expect(existsSync(home)).toBe(false)
  })
})
