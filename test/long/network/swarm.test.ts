import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it } from 'vitest'
import { bareLibp2p } from '../../../src/network/bare.ts'
import { eventually, testSettings } from '../../support/network.ts'
import { joins, LISTEN, soon, SwarmLab, swarmOf, type Way, type WholeNode } from '../../support/swarm.ts'

const lab = new SwarmLab()
afterEach(() => lab.close())

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
async function whatAnswers(node: WholeNode, way: Way): Promise<string | undefined> {
  const stranger = await bareLibp2p({
    config: testSettings(),
    privateKey: await generateKeyPair('Ed25519'),
    listen: [],
    trust: {},
    services: {},
  })
  try {
    const connection = await stranger.dial(multiaddr(node.at(way)), { signal: soon() }).catch(() => undefined)
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
    // Two that speak everything, of which one has a door on everything, and four that speak one of them each.
    const door = { 'swarm.listen': JSON.stringify(Object.values(LISTEN)) }
    const options = [
      { ways: WAYS, set: door },
      { ways: WAYS },
      ...WAYS.map((way) => ({ ways: [way], set: only(way) })),
    ]
    const nodes = await swarmOf(lab, options)
    const [owner, bad, ...others] = nodes as [WholeNode, WholeNode, ...WholeNode[]]
    for (const [index, way] of WAYS.entries()) {
      const node = others[index]!
      const { transport } = await bad.network.connect(node.at(way), soon())
      expect(transport).toBe(TRANSPORT[way])
    }
    for (const node of nodes) expect(node.swarm.members({ all: false })).toHaveLength(6)

    for (const [index, way] of WAYS.entries())
      for (const node of [owner, others[index]!]) expect(await whatAnswers(node, way), way).toBeUndefined()
    const outsider = await lab.node({ ways: WAYS })
    for (const way of WAYS) {
      await outsider.network.connect(owner.at(way), soon()).catch(() => {})
      await owner.network.connect(outsider.at(way), soon()).catch(() => {})
    }
    await eventually(
      'nothing is left of it',
      () => outsider.peers().length === 0 && !owner.peers().includes(outsider.peer),
    )

    // Out: within five seconds of the word, with everybody.
    await owner.swarm.revoke(bad.peer, { withInvited: false })
    const holding = (): string[] =>
      [owner, ...others]
        .filter((node) => node.peers().includes(bad.peer))
        .map(({ ready }) => ready.multiaddrs[0]!)
    await eventually('out with everybody', () => holding().length === 0, 5_000).catch(() => {})
    expect(holding()).toEqual([])
    // QUIC does not tell the other side of an abort: it notices by the silence.
    await eventually('alone', () => bad.peers().length === 0, 60_000)

    await Promise.all(nodes.map((node) => node.stop()))
    const [first, badBack] = [
      await lab.node({ home: owner.home, ...options[0] }),
      await lab.node({ home: bad.home, ...options[1] }),
    ]
    const back = [first]
    for (const [index, way] of WAYS.entries()) {
      const node = await lab.node({ home: others[index]!.home, ...options[2 + index] })
      await node.network.connect(first.at(way), soon())
      back.push(node)
      for (const host of [first, node]) await badBack.network.connect(host.at(way), soon()).catch(() => {})
    }
    await eventually(
      'it stays out',
      () => badBack.peers().length === 0 && back.every((node) => !node.peers().includes(badBack.peer)),
    )
    expect(back.map(({ swarm }) => swarm.status()?.version)).toEqual(
      back.map(() => first.swarm.status()?.version),
    )
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
