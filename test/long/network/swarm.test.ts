import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it } from 'vitest'
import { bareLibp2p } from '../../../src/network/bare.ts'
import { eventually, testSettings } from '../../support/network.ts'
import { LISTEN, soon, SwarmLab, swarmOf, type Way, type WholeNode } from '../../support/swarm.ts'

const lab = new SwarmLab()
afterEach(() => lab.close())

const WAYS = Object.keys(LISTEN) as Way[]
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
    for (const protocol of connection === undefined ? [] : PROTOCOLS) {
      const stream = await connection
        ?.newStream([protocol], { signal: AbortSignal.timeout(2_000) })
        .catch(() => undefined)
      if (stream === undefined) continue
      // A stream may open towards a connection that is about to end; an answer may not come.
      const answered = await new Promise<boolean>((resolve) => {
        stream.addEventListener('message', () => resolve(true))
        stream.addEventListener('close', () => resolve(false))
        connection?.addEventListener('close', () => resolve(false))
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

describe('a swarm of six', () => {
  it('over every transport is open to members and closed to everybody else, also over restarts', async () => {
    const nodes = await swarmOf(
      lab,
      Array.from({ length: 6 }, () => ({ ways: WAYS })),
    )
    const owner = nodes[0]!
    // Each by another way with its neighbour, and all of them know of each other.
    for (const [index, node] of nodes.entries()) {
      const next = nodes[(index + 1) % nodes.length]!
      await node.network.connect(next.at(WAYS[index % WAYS.length]!), soon())
      expect(node.swarm.members({ all: false })).toHaveLength(6)
    }
    for (const way of WAYS)
      for (const node of [owner, nodes[3]!]) expect(await whatAnswers(node, way), way).toBeUndefined()
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
    const bad = nodes[5]!
    for (const node of nodes.slice(0, 5)) await bad.network.connect(node.at('tcp'), soon())
    await owner.swarm.revoke(bad.peer, { withInvited: false })
    await eventually(
      'out with everybody',
      () => bad.peers().length === 0 && nodes.slice(0, 5).every((node) => !node.peers().includes(bad.peer)),
      5_000,
    )

    // One was off meanwhile and hears of it when it comes back.
    await Promise.all(nodes.map((node) => node.stop()))
    const back: WholeNode[] = []
    for (const node of nodes.slice(0, 5)) back.push(await lab.node({ home: node.home, ways: WAYS }))
    const badBack = await lab.node({ home: bad.home, ways: WAYS })
    const [first] = back
    for (const node of back.slice(1)) await node.network.connect(first!.at('tcp'), soon())
    for (const node of back)
      for (const way of WAYS) await badBack.network.connect(node.at(way), soon()).catch(() => {})
    await eventually(
      'it stays out',
      () => badBack.peers().length === 0 && back.every((node) => !node.peers().includes(badBack.peer)),
    )
    expect(back.map(({ swarm }) => swarm.status()?.version)).toEqual(
      back.map(() => first!.swarm.status()?.version),
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
})
