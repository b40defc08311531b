import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, Libp2p } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { joinProtocol, parseInvitation } from '../../../protocols/swarm/index.ts'
import { decodeWelcome, encodeKnock } from '../../../protocols/swarm/messages.ts'
import { bareLibp2p } from '../../../src/network/bare.ts'
import { eventually, testSettings } from '../../support/network.ts'
import { soon, SwarmLab, type WholeNode } from '../../support/swarm.ts'

const lab = new SwarmLab()
const guests: Libp2p[] = []
let owner: WholeNode

beforeEach(async () => {
  owner = await lab.node()
  await owner.swarm.create({ name: 'owner', withNetworkKey: false })
})
afterEach(async () => {
  for (const guest of guests.splice(0)) await guest.stop()
  await lab.close()
})

const invite = async (
  termMs = 60_000,
): Promise<ReturnType<typeof parseInvitation> & { token: string; id: string }> => {
  const { token, id } = await owner.swarm.invite({ name: 'guest', standing: 'member', termMs })
  return { ...parseInvitation(token), token, id }
}

/** A stranger with a connection to the door. */
async function stranger(
  addresses: string[],
  privateKey?: Awaited<ReturnType<typeof generateKeyPair>>,
): Promise<Connection> {
  const guest = await bareLibp2p({
    config: testSettings(),
    privateKey: privateKey ?? (await generateKeyPair('Ed25519')),
    listen: [],
    trust: {},
    services: {},
  })
  guests.push(guest)
  return guest.dial(
    addresses.map((address) => multiaddr(address)),
    { signal: soon() },
  )
}

const door = (): string[] => owner.swarm.status()?.door ?? []

async function ask(connection: Connection, bytes: Uint8Array): Promise<Uint8Array> {
  const stream = await connection.newStream([joinProtocol('main')], { signal: soon() })
  const frames = lpStream(stream)
  await frames.write(bytes, { signal: soon() })
  return (await frames.read({ signal: soon() })).subarray()
}

describe('the door', () => {
  it('is open while there are invitations, has one protocol, and does not say who is behind it', async () => {
    expect(door()).toEqual([])
    const { id } = await invite()
    const connection = await stranger(door())
    expect(connection.remotePeer.toString()).not.toBe(owner.peer)
    for (const protocol of [
      '/ipfs/id/1.0.0',
      '/ipfs/ping/1.0.0',
      '/p2pnode/main/kad/1.0.0',
      '/meshsub/1.1.0',
      '/ipfs/bitswap/1.2.0',
      '/p2pnode/main/reconcile/1.0.0',
    ])
      await expect(connection.newStream([protocol], { signal: soon() })).rejects.toMatchObject({
        name: 'UnsupportedProtocolError',
      })
    expect(owner.swarm.invitations()).toMatchObject([{ id, name: 'guest', state: 'open', usedBy: null }])
    await owner.swarm.withdraw(id)
    await expect(owner.swarm.withdraw(id)).rejects.toMatchObject({ code: 'ERR_INVITATION_UNKNOWN' })
    expect(door()).toEqual([])
    await eventually('it is closed', () => connection.status !== 'open')
    expect(owner.swarm.invitations()).toEqual([])
  })

  it('opens once for an invitation, and again only for the same peer', async () => {
    const { secret, token, swarm } = await invite()
    const privateKey = await generateKeyPair('Ed25519')
    const knock = encodeKnock({ secret, name: 'lathe' })
    const first = decodeWelcome(swarm, await ask(await stranger(door(), privateKey), knock))
    expect(first).toMatchObject({
      status: 0,
      welcome: { statements: [{ name: 'lathe', standing: 'member' }, { standing: 'admin' }] },
    })
    expect(first.welcome?.contacts.map(String)).toContain(owner.at('tcp'))
    // It did not hear the answer, so to say.
    const again = decodeWelcome(swarm, await ask(await stranger(door(), privateKey), knock))
    expect(again.welcome?.statements[0]?.id).toEqual(first.welcome?.statements[0]?.id)
    expect(decodeWelcome(swarm, await ask(await stranger(door()), knock))).toEqual({ status: 3 })
    const other = await lab.node()
    await expect(other.swarm.join(token, '', soon())).rejects.toMatchObject({
      code: 'ERR_INVITATION_REFUSED',
      kind: 'denied',
    })
    expect(owner.swarm.invitations()).toMatchObject([{ state: 'used', usedBy: expect.any(String) }])
    expect(owner.swarm.status()?.members).toBe(2)
  })

  it('opens for one of those who come with the same invitation at the same time', async () => {
    const { secret, swarm } = await invite()
    const connections = await Promise.all(Array.from({ length: 5 }, () => stranger(door())))
    const answers = await Promise.all(
      connections.map((connection) => ask(connection, encodeKnock({ secret, name: '' }))),
    )
    expect(answers.map((answer) => decodeWelcome(swarm, answer).status).toSorted((a, b) => a - b)).toEqual([
      0, 3, 3, 3, 3,
    ])
    expect(owner.swarm.status()?.members).toBe(2)
  })

  it('stays closed for guesses, after the time, and for whom the operator has blocked', async () => {
    const { secret, swarm, id } = await invite()
    const guess = encodeKnock({ secret: new Uint8Array(16).fill(9), name: '' })
    expect(decodeWelcome(swarm, await ask(await stranger(door()), guess))).toEqual({ status: 3 })
    const blocked = await lab.node()
    owner.trust.block(blocked.peer)
    const { token } = await invite()
    await expect(blocked.swarm.join(token, '', soon())).rejects.toMatchObject({
      code: 'ERR_INVITATION_REFUSED',
    })
    const brief = await invite(1_000)
    await eventually('it has expired', () =>
      owner.swarm.invitations().some(({ id: one, state }) => one === brief.id && state === 'expired'),
    )
    expect(
      decodeWelcome(
        swarm,
        await ask(await stranger(door()), encodeKnock({ secret: brief.secret, name: '' })),
      ),
    ).toEqual({ status: 3 })
    await owner.swarm.withdraw(id)
    expect(
      decodeWelcome(swarm, await ask(await stranger(door()), encodeKnock({ secret, name: '' }))),
    ).toEqual({ status: 3 })
    expect(owner.swarm.status()?.members).toBe(1)
  })

  it('ends with garbage, oversize, silence and a second stream, and goes on for others', async () => {
    const { secret, swarm } = await invite()
    for (const bytes of [
      new Uint8Array(0),
      new Uint8Array(40).fill(255),
      encodeKnock({ secret: new Uint8Array(3), name: '' }),
      new Uint8Array(5_000),
    ]) {
      const connection = await stranger(door())
      await expect(ask(connection, bytes)).rejects.toThrow()
      await eventually('it was hung up on', () => connection.status !== 'open')
    }
    const silent = await stranger(door())
    await silent.newStream([joinProtocol('main')], { signal: soon() })
    await silent.newStream([joinProtocol('main')], { signal: soon() }).then(
      (stream) => eventually('the second one is refused', () => stream.status !== 'open'),
      () => {},
    )
    expect(
      decodeWelcome(swarm, await ask(await stranger(door()), encodeKnock({ secret, name: '' }))).status,
    ).toBe(0)
  })

  it('is open again after a restart, under the same key', async () => {
    const { token, door: key } = await invite()
    const [port] = door().map((address) => /\/tcp\/(\d+)/.exec(address)?.[1])
    await owner.stop()
    const back = await lab.node({
      home: owner.home,
      set: { 'swarm.listen': JSON.stringify([`/ip4/127.0.0.1/tcp/${port}`]) },
    })
    expect(back.swarm.status()?.door).toHaveLength(1)
    const guest = await lab.node()
    expect(await guest.swarm.join(token, '', soon())).toMatchObject({
      standing: 'member',
      connected: back.peer,
      restart: false,
    })
    expect(parseInvitation(token).door).toEqual(key)
  })
})
