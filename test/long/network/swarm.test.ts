import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it } from 'vitest'
import { bareLibp2p } from '../../../src/network/bare.ts'
import { type Daemon, Lab } from '../../support/daemon.ts'
import { eventually, testSettings } from '../../support/network.ts'
import {
  addressBy,
  joins,
  LISTEN,
  soon,
  SwarmLab,
  swarmOf,
  type Way,
  type WholeNode,
} from '../../support/swarm.ts'

const lab = new SwarmLab()
/** Nodes that speak WebRTC stand in processes of their own: its addon answers from the first socket of a process. */
const processes = new Lab()
afterEach(async () => {
  await lab.close()
  await processes.close()
})

const WAYS = Object.keys(LISTEN) as Way[]
/** As a peer's summary calls each. */
const TRANSPORT: Readonly<Record<Way, string>> = {
  tcp: 'tcp',
  websocket: 'ws',
  quic: 'quic-v1',
  webrtcDirect: 'webrtc-direct',
}
/** What a stranger would ask, to learn who else is there and what they have. */
const PROTOCOLS = [
  '/ipfs/id/1.0.0',
  '/ipfs/id/push/1.0.0',
  '/ipfs/ping/1.0.0',
  '/p2pnode/main/kad/1.0.0',
  '/meshsub/1.1.0',
  '/ipfs/bitswap/1.2.0',
  '/p2pnode/main/content/1.1.0',
  '/p2pnode/main/chunk/1.0.0',
  '/p2pnode/main/reconcile/1.0.0',
  '/p2pnode/main/join/1.0.0',
  '/libp2p/circuit/relay/0.2.0/hop',
]

/** What a stranger gets by one way: nothing, or the name of a protocol that answered. */
async function whatAnswers(address: string): Promise<string | undefined> {
  const stranger = await bareLibp2p({
    config: testSettings(),
    privateKey: await generateKeyPair('Ed25519'),
    listen: [],
    trust: {},
    services: {},
  })
  try {
    const connection = await stranger.dial(multiaddr(address), { signal: soon() }).catch(() => undefined)
    for (const protocol of PROTOCOLS) {
      if (connection?.status !== 'open') break
      const stream = await connection
        .newStream([protocol], { signal: AbortSignal.timeout(2_000) })
        .catch(() => undefined)
      if (stream === undefined) continue
      // A stream may open towards a connection that is about to end; an answer may not come.
      const answered = await new Promise<boolean>((resolve) => {
        stream.addEventListener('message', () => resolve(true))
        stream.addEventListener('close', () => resolve(false))
        connection.addEventListener('close', () => resolve(false))
        setTimeout(() => resolve(false), 2_000)
      })
      if (answered) return protocol
    }
    if (connection !== undefined) await eventually('it is hung up on', () => connection.status !== 'open')
    return undefined
  } finally {
    await stranger.stop()
  }
}

/** A node that speaks this one way alone. */
const only = (way: Way): Record<string, string> =>
  Object.fromEntries(
    WAYS.filter((other) => other !== way).map((other) => [`network.transports.${other}`, 'false']),
  )

const everybody = { all: false }
const standingOf = (node: WholeNode, of: WholeNode): string | undefined =>
  node.swarm.members({ all: true }).find(({ peer }) => peer === of.peer)?.standing

describe('a swarm', () => {
  it('of six over every transport is open to members and closed to everybody else, also over restarts', async () => {
    const start = (ways: readonly Way[], set: Record<string, string>, home?: string): Promise<Daemon> =>
      processes.daemon({
        noListen: true,
        set: { 'network.listen': JSON.stringify(ways.map((way) => LISTEN[way])), ...set },
        ...(home === undefined ? {} : { home }),
      })
    const peersOf = async (node: Daemon): Promise<string[]> =>
      (await node.json<{ peers: { peer: string }[] }>(['peers'])).peers.map(({ peer }) => peer)

    // Two that speak everything, of which one has a door on everything, and four that speak one of them each.
    const door = { 'swarm.listen': JSON.stringify(Object.values(LISTEN)) }
    const owner = await start(WAYS, door)
    await owner.json(['swarm', 'create'])
    const join = async (node: Daemon): Promise<Daemon> => {
      const { token } = await owner.json<{ token: string }>(['swarm', 'invite'])
      expect(await node.json(['swarm', 'join', token])).toMatchObject({ connected: expect.any(String) })
      return node
    }
    const bad = await join(await start(WAYS, {}))
    const others: Daemon[] = []
    for (const way of WAYS) others.push(await join(await start([way], only(way))))
    for (const [index, way] of WAYS.entries()) {
      const address = addressBy(way, others[index]!.ready)
      expect(await bad.json(['connect', address])).toMatchObject({ transport: TRANSPORT[way] })
    }
    await eventually('all have the whole list', async () => {
      const lists = await Promise.all(
        [owner, bad, ...others].map((node) => node.json<{ members: unknown[] }>(['swarm', 'members'])),
      )
      return lists.every(({ members }) => members.length === 6)
    })

    for (const [index, way] of WAYS.entries())
      for (const node of [owner, others[index]!])
        expect(await whatAnswers(addressBy(way, node.ready)), way).toBeUndefined()
    const outsider = await start(WAYS, {})
    for (const way of WAYS) {
      await outsider.run(['connect', addressBy(way, owner.ready)])
      await owner.run(['connect', addressBy(way, outsider.ready)])
    }
    await eventually('nothing is left of it', async () => (await peersOf(outsider)).length === 0)

    const holding = async (nodes: Daemon[]): Promise<Daemon[]> => {
      const peers = await Promise.all(nodes.map(peersOf))
      return nodes.filter((_, index) => peers[index]!.includes(bad.ready.peerId))
    }
    await owner.json(['swarm', 'revoke', bad.ready.peerId])
    await eventually('out with everybody', async () => (await holding([owner, ...others])).length === 0)
    // QUIC does not tell the other side of an abort: it notices by the silence.
    await eventually('alone', async () => (await peersOf(bad)).length === 0, 60_000)

    for (const node of [owner, bad, ...others]) expect(await node.stop()).toBe(0)
    const first = await start(WAYS, door, owner.home)
    const badBack = await start(WAYS, {}, bad.home)
    const back = [first]
    for (const [index, way] of WAYS.entries()) {
      const node = await start([way], only(way), others[index]!.home)
      await node.json(['connect', addressBy(way, first.ready)])
      back.push(node)
      for (const host of [first, node]) await badBack.run(['connect', addressBy(way, host.ready)])
    }
    expect(await holding(back)).toEqual([])
    await eventually('it stays out', async () => (await peersOf(badBack)).length === 0, 60_000)
  })

  it('brings a revocation to a member that was off, before anything else can come of it', async () => {
    const [owner, member, bad] = (await swarmOf(lab, [{}, {}, {}])) as [WholeNode, WholeNode, WholeNode]
    await member.stop()
    await owner.swarm.revoke(bad.peer, { withInvited: false })
    const back = await lab.node({ home: member.home })
    await eventually('it has heard', () =>
      back.swarm.members({ all: true }).some(({ peer, standing }) => peer === bad.peer && standing === 'out'),
    )
    await bad.network.connect(back.at('tcp'), soon()).catch(() => {})
    await eventually('refused', () => !back.peers().includes(bad.peer))
  })

  it('has several admins, and what becomes of those whom one let in is for the owner to say', async () => {
    const [owner, admin, plain] = (await swarmOf(lab, [{}, {}, {}])) as [WholeNode, WholeNode, WholeNode]
    await expect(plain.swarm.invite({ name: '', standing: 'member', termMs: 60_000 })).rejects.toMatchObject({
      code: 'ERR_SWARM_POWER',
      kind: 'denied',
    })
    await expect(plain.swarm.revoke(admin.peer, { withInvited: false })).rejects.toMatchObject({
      code: 'ERR_SWARM_POWER',
    })
    expect(await owner.swarm.appoint(admin.peer, 'admin')).toMatchObject({
      standing: 'admin',
      name: 'member 1',
      by: null,
    })
    await eventually('it knows', () => admin.swarm.status()?.role === 'admin')
    await expect(admin.swarm.invite({ name: '', standing: 'admin', termMs: 60_000 })).rejects.toMatchObject({
      code: 'ERR_SWARM_POWER',
    })
    await expect(admin.swarm.appoint(plain.peer, 'admin')).rejects.toMatchObject({ code: 'ERR_SWARM_POWER' })
    await expect(admin.swarm.revoke(owner.peer, { withInvited: false })).rejects.toMatchObject({
      code: 'ERR_SWARM_POWER',
    })
    await expect(admin.swarm.revoke(admin.peer, { withInvited: false })).rejects.toMatchObject({
      code: 'ERR_SWARM_SELF',
    })

    const [friend, stranger] = [await lab.node(), await lab.node()]
    await joins(friend, admin, 'friend')
    await joins(stranger, admin, 'stranger')
    await admin.swarm.revoke(plain.peer, { withInvited: false })
    await eventually(
      'the owner heard',
      () => standingOf(owner, stranger) === 'member' && standingOf(owner, plain) === 'out',
    )
    expect(owner.swarm.members(everybody).find(({ peer }) => peer === friend.peer)?.by).toBe(admin.peer)

    // Demoted: those it let in stay, whom it put out stays out, by the owner's word now.
    await owner.swarm.appoint(admin.peer, 'member')
    expect([standingOf(owner, friend), standingOf(owner, plain)]).toEqual(['member', 'out'])
    expect(owner.swarm.members(everybody).every(({ by }) => by === null)).toBe(true)
    await eventually('it knows', () => admin.swarm.status()?.role === 'member')
    await expect(admin.swarm.invite({ name: '', standing: 'member', termMs: 60_000 })).rejects.toMatchObject({
      code: 'ERR_SWARM_POWER',
    })

    // Appointed again, and put out with whom it let in since.
    await owner.swarm.appoint(admin.peer, 'admin')
    await eventually('it knows', () => admin.swarm.status()?.role === 'admin')
    const late = await lab.node()
    await joins(late, admin, 'late')
    await eventually('the owner heard', () => standingOf(owner, late) === 'member')
    const { revoked } = await owner.swarm.revoke(admin.peer, { withInvited: true })
    expect(revoked.toSorted()).toEqual([admin.peer, late.peer].toSorted())
    expect(standingOf(owner, friend)).toBe('member')
    await eventually('out', () => !owner.peers().includes(late.peer) && !friend.peers().includes(admin.peer))
  })
})
