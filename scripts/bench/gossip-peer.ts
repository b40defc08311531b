/**
 * Nodes that say as much as they can: `gossip-peer.ts ADDRESS SPEAKERS MESSAGES FIRST` connects so many to a node that listens,
 * prints a line when it is known to listen, and has each say so many messages, numbered from FIRST on.
 */
import { multiaddr } from '@multiformats/multiaddr'
import type { TopicRules } from '../../src/gossip/index.ts'
import { eventually, startTestNode, type TestNode } from '../../test/support/network.ts'

const PAYLOAD_BYTES = 200
const [address = '', speakers = '1', messages = '1', first = '0'] = process.argv.slice(2)

const topic: TopicRules = {
  name: 'bench',
  maxBytes: 1_000,
  authorRate: { perSecond: 1e6, burst: 1e6 },
  // As what applications say: a signature for each message.
  hasEnvelope: true,
}
const listener = multiaddr(address)
  .getComponents()
  .find(({ name }) => name === 'p2p')?.value
const nodes: TestNode[] = []
for (let index = 0; index < Number(speakers); index++) {
  const node = await startTestNode({ topics: [topic] })
  await node.network.connect(address, AbortSignal.timeout(20_000))
  nodes.push(node)
}
await eventually('all know the listener', () =>
  nodes.every(({ gossip }) => gossip.subscribers('bench').includes(listener ?? '')),
)
process.stdout.write(`${JSON.stringify({ ready: true })}\n`)
await Promise.all(
  nodes.map(async ({ gossip }, speaker) => {
    for (let index = 0; index < Number(messages); index++) {
      const payload = new Uint8Array(PAYLOAD_BYTES)
      new DataView(payload.buffer).setUint32(0, Number(first) + speaker * Number(messages) + index)
      await gossip.publish('bench', payload)
    }
  }),
)
// Ended by the benchmark, once everything was heard.
setInterval(() => {}, 1_000)
