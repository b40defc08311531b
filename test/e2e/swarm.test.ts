import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Daemon, Lab } from '../support/daemon.ts'
import { eventually } from '../support/network.ts'

interface Member {
  peer: string
  name: string
  standing: string
  self: boolean
}

describe('a swarm from the command line', () => {
  const lab = new Lab()
  afterAll(() => lab.close())

  it('is made, joined, listed, changed and left', async () => {
    const set = { 'swarm.listen': '["/ip4/127.0.0.1/tcp/0"]' }
    const [owner, guest] = await Promise.all([lab.daemon({ set }), lab.daemon({ set })])
    expect((await owner.run(['swarm', 'members', '--json'])).code).toBe(4)
    expect(await owner.json(['swarm', 'status'])).toEqual({ swarm: null })
    const made = await owner.json<{ swarm: string; phrase: string }>(['swarm', 'create', '--name', 'desk'])
    expect(made).toMatchObject({ swarm: expect.stringMatching(/^did:key:z6Mk/), restart: false })
    expect(made.phrase.split(' ')).toHaveLength(24)
    expect(await owner.json(['swarm', 'phrase'])).toEqual({ phrase: made.phrase })
    const membership = async (node: Daemon, of: Daemon): Promise<unknown> =>
      (await node.json(['trust', 'show', of.ready.peerId])).membership
    expect(await membership(owner, owner)).toBe('owner')
    expect(await membership(owner, guest)).toBe('none')
    expect(await membership(guest, owner)).toBeNull()

    // A stranger is refused, and told so by its own command.
    const refused = await guest.run(['connect', owner.address, '--json'])
    expect(refused.code).not.toBe(0)

    const invited = await owner.json<{ token: string; id: string; addresses: string[] }>([
      'swarm',
      'invite',
      'laptop',
      '--expires',
      '1h',
    ])
    expect(invited.token).toMatch(/^p2pnode-swarm:/)
    // On standard input, where nobody else sees it.
    const joined = await guest.run(['swarm', 'join', '--json'], { input: `${invited.token}\n` })
    expect(joined.json()).toEqual({
      swarm: made.swarm,
      standing: 'member',
      members: 2,
      connected: owner.ready.peerId,
      restart: false,
    })
    const again = await guest.run(['swarm', 'join', invited.token, '--json'])
    expect(again.code).toBe(1)
    const { members } = await guest.json<{ members: Member[] }>(['swarm', 'members'])
    expect(members.map(({ name, standing, self }) => [name, standing, self])).toEqual([
      ['desk', 'admin', false],
      ['laptop', 'member', true],
    ])
    expect(await membership(guest, owner)).toBe('admin')
    expect(await membership(guest, guest)).toBe('member')
    expect((await guest.run(['swarm', 'invite', '--json'])).code).toBe(6)
    expect(await owner.json(['swarm', 'promote', guest.ready.peerId])).toMatchObject({ standing: 'admin' })
    expect(await owner.json(['swarm', 'demote', guest.ready.peerId])).toMatchObject({ standing: 'member' })
    expect(await owner.json(['swarm', 'invitations'])).toMatchObject({
      invitations: [{ id: invited.id, state: 'used', usedBy: guest.ready.peerId }],
    })
    const open = await owner.json<{ id: string }>(['swarm', 'invite'])
    const revoked = await owner.run(['swarm', 'revoke', guest.ready.did, '--json'])
    expect(revoked.json()).toMatchObject({ revoked: [guest.ready.peerId] })
    expect(revoked.stderr).toContain('1 invitations are open')
    expect((await owner.run(['trust', 'show', guest.ready.did])).stdout).toContain(
      'revoked from this swarm\n',
    )
    expect(await owner.json(['swarm', 'invitations', '--cancel', open.id])).toEqual({ cancelled: open.id })
    await eventually('it is cut off', async () => {
      const { peers } = await guest.json<{ peers: unknown[] }>(['peers'])
      return peers.length === 0
    })
    expect((await guest.run(['connect', owner.address, '--json'])).code).not.toBe(0)
    const all = await owner.json<{ members: Member[] }>(['swarm', 'members', '--all'])
    expect(all.members.map(({ standing }) => standing)).toEqual(['admin', 'out'])

    await guest.json(['swarm', 'leave'])
    expect(await guest.json(['swarm', 'status'])).toEqual({ swarm: null })
    expect(await owner.json(['swarm', 'status'])).toMatchObject({
      swarm: { role: 'owner', members: 1, door: [] },
    })
    expect((await stat(join(owner.home, 'swarm-owner.key'))).mode & 0o777).toBe(0o600)
    const doctor = (await owner.run(['doctor', '--json'])).json<{
      checks: { name: string; state: string }[]
    }>()
    expect(doctor.checks).toContainEqual(expect.objectContaining({ name: 'swarm', state: 'ok' }))
    const metrics = await (await fetch(`${owner.ready.api}/metrics`)).text()
    expect(metrics).toContain('p2pnode_swarm_members 1')
    expect(metrics).toMatch(/p2pnode_trust_denials_total\{[^}]*reason="not-a-member"/)
  })
})
