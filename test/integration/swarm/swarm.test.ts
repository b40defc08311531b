import { existsSync } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it } from 'vitest'
import { formatInvitation, parseInvitation } from '../../../protocols/swarm/index.ts'
import { eventually } from '../../support/network.ts'
import { joins, soon, SwarmLab, swarmOf, type WholeNode } from '../../support/swarm.ts'

const lab = new SwarmLab()
afterEach(() => lab.close())

const everybody = { all: false }
const names = ({ swarm }: WholeNode): string[] =>
  swarm
    .members(everybody)
    .map(({ name }) => name)
    .toSorted()
const standingOf = (node: WholeNode, of: WholeNode): string | undefined =>
  node.swarm.members({ all: true }).find(({ peer }) => peer === of.peer)?.standing

/** Whether a connection stands on both sides after an attempt; what the dialler is told differs with the moment of the refusal. */
async function comesIn(guest: WholeNode, host: WholeNode): Promise<boolean> {
  const connected = await guest.network.connect(host.at('tcp'), soon()).then(
    () => true,
    () => false,
  )
  if (!connected) return false
  // A refusal at the end of the handshake reaches the dialler as a connection that closes.
  await eventually(
    'both sides agree',
    () => guest.peers().includes(host.peer) === host.peers().includes(guest.peer),
  )
  return host.peers().includes(guest.peer)
}

describe('a swarm', () => {
  it('lets in who was invited, by whichever member it dials, and nobody else', async () => {
    const [owner, member] = (await swarmOf(lab, [{}, {}])) as [WholeNode, WholeNode]
    expect(owner.swarm.status()).toMatchObject({
      role: 'owner',
      members: 2,
      network: 'main',
      door: [expect.any(String)],
    })
    expect(member.swarm.status()).toMatchObject({ role: 'member', members: 2, invitations: 0, door: [] })
    expect(member.swarm.status()?.swarm).toBe(owner.swarm.status()?.swarm)
    expect(names(member)).toEqual(['member 1', 'owner'])
    expect((await stat(join(owner.home, 'swarm-owner.key'))).mode & 0o777).toBe(0o600)
    expect(existsSync(join(member.home, 'swarm-owner.key'))).toBe(false)

    const outsider = await lab.node()
    for (const host of [owner, member]) expect(await comesIn(outsider, host)).toBe(false)
    expect(await comesIn(owner, outsider)).toBe(false)
    expect(outsider.peers()).toEqual([])
    expect(owner.trust.denials().accept?.['not-a-member']).toBeGreaterThan(0)

    // It came in by the owner's door, and the member hears of it from the owner when it knocks, if not before.
    const late = await lab.node()
    await joins(late, owner, 'late')
    expect(await comesIn(late, member)).toBe(true)
    await eventually('the newcomer has the list', () => names(late).length === 3)
    expect(standingOf(late, member)).toBe('member')
  })

  it('puts a member out at once, everywhere, over restarts, until it is invited again', async () => {
    const [owner, member, bad] = (await swarmOf(lab, [{}, {}, {}])) as [WholeNode, WholeNode, WholeNode]
    await bad.network.connect(member.at('tcp'), soon())
    const { token: kept } = await owner.swarm.invite({ name: '', standing: 'member', termMs: 60_000 })
    expect(await owner.swarm.revoke(bad.peer, { withInvited: false })).toMatchObject({ revoked: [bad.peer] })
    expect(owner.peers()).not.toContain(bad.peer)
    await eventually('the member has cut it off', () => !member.peers().includes(bad.peer), 5_000)
    expect(standingOf(member, bad)).toBe('out')
    for (const host of [owner, member]) expect(await comesIn(bad, host)).toBe(false)
    await expect(owner.swarm.revoke(bad.peer, { withInvited: false })).rejects.toMatchObject({
      code: 'ERR_SWARM_MEMBER_UNKNOWN',
    })

    await Promise.all([member.stop(), bad.stop()])
    const [again, badAgain] = [await lab.node({ home: member.home }), await lab.node({ home: bad.home })]
    expect(standingOf(again, bad)).toBe('out')
    for (const [guest, host] of [
      [badAgain, again],
      [badAgain, owner],
      [again, badAgain],
    ] as const)
      expect(await comesIn(guest, host)).toBe(false)
    await eventually('the member is back by itself', () => again.peers().includes(owner.peer))

    // An invitation from before it was put out is none for it, one that was given since is.
    await badAgain.swarm.leave()
    await expect(badAgain.swarm.join(kept, '', soon())).rejects.toMatchObject({
      code: 'ERR_INVITATION_REFUSED',
    })
    await joins(badAgain, owner)
    await eventually('it is let in again', () => comesIn(badAgain, again))
  })

  it('keeps its owner by 24 words, on any member', async () => {
    const owner = await lab.node()
    const { phrase } = await owner.swarm.create({ name: 'owner', withNetworkKey: false })
    expect(owner.swarm.phrase()).toBe(phrase)
    const member = await lab.node()
    await joins(member, owner)
    expect(() => member.swarm.phrase()).toThrow(expect.objectContaining({ code: 'ERR_SWARM_POWER' }))
    await owner.stop()
    await expect(member.swarm.recover(`${'abandon '.repeat(23)}art`)).rejects.toMatchObject({
      code: 'ERR_SWARM_OWNER',
    })
    expect(await member.swarm.recover(phrase.toUpperCase())).toMatchObject({ role: 'owner', members: 2 })
    expect(await member.swarm.revoke(owner.peer, { withInvited: false })).toMatchObject({
      revoked: [owner.peer],
    })
    await member.stop()
    expect((await lab.node({ home: member.home })).swarm.status()).toMatchObject({
      role: 'owner',
      members: 1,
    })
    // The key of an owner is never overwritten.
    await member.stop()
    const back = await lab.node({ home: owner.home })
    await back.swarm.leave()
    await expect(back.swarm.create({ name: '', withNetworkKey: false })).rejects.toMatchObject({
      code: 'ERR_SWARM_KEY_KEPT',
    })
    await rm(join(back.home, 'swarm-owner.key'))
    await back.swarm.create({ name: '', withNetworkKey: false })
  })

  it('says no by name to what cannot be', async () => {
    const node = await lab.node()
    const none = { code: 'ERR_SWARM_NONE', kind: 'not-found' }
    expect(node.swarm.status()).toBeNull()
    expect(() => node.swarm.members(everybody)).toThrow(expect.objectContaining(none))
    for (const refused of [
      node.swarm.invite({ name: '', standing: 'member', termMs: 60_000 }),
      node.swarm.revoke(node.peer, { withInvited: false }),
      node.swarm.appoint(node.peer, 'admin'),
      node.swarm.leave(),
      node.swarm.recover(`${'abandon '.repeat(23)}art`),
    ])
      await expect(refused).rejects.toMatchObject(none)
    await expect(node.swarm.join('p2pnode-swarm:nonsense', '', soon())).rejects.toMatchObject({
      code: 'ERR_INVITATION_INVALID',
    })
    await expect(node.swarm.create({ name: 'a\nb', withNetworkKey: false })).rejects.toMatchObject({
      code: 'ERR_SWARM_NAME',
    })

    const owner = await lab.node()
    await owner.swarm.create({ name: '', withNetworkKey: false })
    await expect(owner.swarm.create({ name: '', withNetworkKey: false })).rejects.toMatchObject({
      code: 'ERR_SWARM_EXISTS',
    })
    for (const termMs of [0, 1, 31 * 86_400_000, Number.NaN])
      await expect(owner.swarm.invite({ name: '', standing: 'member', termMs })).rejects.toMatchObject({
        code: 'ERR_SWARM_TERM',
      })
    const { token } = await owner.swarm.invite({ name: '', standing: 'member', termMs: 60_000 })
    const invitation = parseInvitation(token)
    await expect(
      node.swarm.join(formatInvitation({ ...invitation, network: 'other' }), '', soon()),
    ).rejects.toMatchObject({
      code: 'ERR_SWARM_NETWORK',
      message: expect.stringContaining('network.name to other'),
    })
    await expect(
      node.swarm.join(formatInvitation({ ...invitation, expiresMs: 1 }), '', soon()),
    ).rejects.toMatchObject({ code: 'ERR_INVITATION_EXPIRED' })
    await expect(
      node.swarm.join(
        formatInvitation({ ...invitation, addresses: [multiaddr('/ip4/127.0.0.1/tcp/1')] }),
        '',
        soon(),
      ),
    ).rejects.toMatchObject({ code: 'ERR_DOOR_UNREACHABLE' })
    // Somebody else's door behind the same address.
    await expect(
      node.swarm.join(formatInvitation({ ...invitation, door: invitation.swarm }), '', soon()),
    ).rejects.toMatchObject({ code: 'ERR_DOOR_UNREACHABLE' })
    // A door that lets one into another swarm than the invitation says.
    await expect(
      node.swarm.join(formatInvitation({ ...invitation, swarm: invitation.door }), '', soon()),
    ).rejects.toMatchObject({ code: 'ERR_WELCOME_INVALID', kind: 'verification' })
    expect(node.swarm.status()).toBeNull()

    const open = await lab.node({
      set: {
        'network.mode': 'public',
        'network.bootstrap': '[]',
        'content.steps.ipfs': 'false',
        'content.steps.gateways': 'false',
      },
    })
    for (const refused of [
      open.swarm.create({ name: '', withNetworkKey: false }),
      open.swarm.join(token, '', soon()),
    ])
      await expect(refused).rejects.toMatchObject({
        code: 'ERR_SWARM_PUBLIC',
        message: expect.stringContaining('two nodes'),
      })
    await owner.stop()
    await expect(
      lab.node({
        home: owner.home,
        set: {
          'network.mode': 'public',
          'network.bootstrap': '[]',
          'content.steps.ipfs': 'false',
          'content.steps.gateways': 'false',
        },
      }),
    ).rejects.toMatchObject({ code: 'ERR_SWARM_PUBLIC' })
  })
})
