import { randomInt } from 'node:crypto'
import type { GossipsubMessage } from '@libp2p/gossipsub'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TopicRules } from '../../../src/gossip/index.ts'
import { eventually, startTestNode, stopAll, type TestNode } from '../../support/network.ts'

const NODES = 50
/** Each node is connected to so many of those that came before it. */
const NEIGHBOURS = 4
const MAX_HOPS = 6
const MESSAGES = 20
const NEWS: TopicRules = { name: 'news', maxBytes: 1_000, authorRate: { perSecond: 100, burst: 1_000 } }

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

let nodes: TestNode[] = []
/** By node, then by message: who brought it first. */
const broughtBy = new Map<string, Map<string, string>>()
const heard = new Map<string, Set<string>>()

beforeAll(async () => {
  for (let index = 0; index < NODES; index++) {
    const node = await startTestNode({ topics: [NEWS] })
    const before = [...nodes]
    nodes.push(node)
    for (let count = 0; count < NEIGHBOURS && before.length > 0; count++) {
      const [other] = before.splice(randomInt(before.length), 1)
      await node.network.connect(other!.address, AbortSignal.timeout(20_000))
    }
    const brought = new Map<string, string>()
    const said = new Set<string>()
    broughtBy.set(node.peer, brought)
    heard.set(node.peer, said)
    node.libp2p.services.pubsub.addEventListener('gossipsub:message', (event) => {
      const { msgId, propagationSource } = (event as CustomEvent<GossipsubMessage>).detail
      brought.set(msgId, propagationSource.toString())
    })
    node.gossip.subscribe('news', ({ data }) => {
      said.add(new TextDecoder().decode(data))
    })
  }
  // A heartbeat of gossipsub is a second; meshes are grafted within a few of them.
  await eventually(
    'every node has a mesh',
    () =>
      nodes.every(
        ({ libp2p }) =>
          // Not in the interface of the service, and the only place where it can be seen.
          ((libp2p.services.pubsub as unknown as { mesh: Map<string, Set<string>> }).mesh.get(
            '/p2pnode/test/gossip/news',
          )?.size ?? 0) >= NEIGHBOURS,
      ),
    60_000,
  )
}, 300_000)
afterAll(async () => {
  await stopAll(nodes)
  nodes = []
}, 120_000)

/** How many nodes passed a message on until it reached this one. */
function hopsTo(node: string, message: string, author: string): number {
  let hops = 0
  for (let at = node; at !== author; hops++) {
    const from = broughtBy.get(at)?.get(message)
    if (from === undefined || hops > NODES) return Number.POSITIVE_INFINITY
    at = from
  }
  return hops
}

describe('fifty nodes', () => {
  it(`all hear what one of them says, within ${MAX_HOPS} hops`, async () => {
    let most = 0
    for (let index = 0; index < MESSAGES; index++) {
      const author = nodes[randomInt(NODES)]!
      const said = `message ${index}`
      const known = new Set([...broughtBy.values()].flatMap((brought) => [...brought.keys()]))
      await author.gossip.publish('news', bytes(said))
      await eventually(
        'all others have heard it',
        () => nodes.every(({ peer }) => peer === author.peer || heard.get(peer)!.has(said)),
        30_000,
      )
      const [message] = [...broughtBy.values()].flatMap((brought) =>
        [...brought.keys()].filter((id) => !known.has(id)),
      )
      for (const { peer } of nodes)
        if (peer !== author.peer) most = Math.max(most, hopsTo(peer, message!, author.peer))
    }
    console.log(JSON.stringify({ nodes: NODES, messages: MESSAGES, mostHops: most }))
    expect(most).toBeLessThanOrEqual(MAX_HOPS)
    // Once each: what came again was not delivered.
    expect(nodes.every(({ gossip }) => gossip.statistics().accepted <= MESSAGES)).toBe(true)
  }, 300_000)
})
