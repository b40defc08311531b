import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../../protocols/content/index.ts'
import { collect, type ContentNode, startContentNode, until } from '../../support/content-node.ts'
import type { NetworkChanges } from '../../support/network.ts'

const MIB = 2 ** 20
const OFF = { tcp: false, websocket: false, quic: false, webrtcDirect: false, webrtc: false }

let nodes: ContentNode[] = []
afterEach(async () => {
  await Promise.all(nodes.map((node) => node.stop()))
  nodes = []
})

async function start(network: NetworkChanges): Promise<ContentNode> {
  const node = await startContentNode({ network })
  nodes.push(node)
  return node
}

describe.each([
  ['tcp', 'tcp/0'],
  ['websocket', 'tcp/0/ws'],
  ['quic', 'udp/0/quic-v1'],
  ['webrtcDirect', 'udp/0/webrtc-direct'],
])('content over %s alone', (name, listen) => {
  // QUIC and WebRTC take no notice of a reader that pauses and reset its stream at 4 MiB; the credit of the protocol keeps
  // below that whatever carries it.
  it('arrives whole, and waits for a reader that takes its time', async () => {
    const transports = { ...OFF, [name]: true }
    const seed = await start({ listen: [`/ip4/127.0.0.1/${listen}`], transports, relay: { client: 'never' } })
    const bytes = randomBytes(16 * MIB)
    const { cid } = await seed.add(bytes)
    const reader = await start({ listen: [], transports, relay: { client: 'never' } })
    await reader.connect(seed)
    const { content } = reader.libp2p.services

    let [takenBytes, mostAheadBytes] = [0, 0]
    const { done } = content.fetchDag(CID.parse(cid), {
      scope: 'all',
      sources: [seed.libp2p.peerId],
      held: reader.storage.blocks,
      sink: {
        async put(block, data) {
          mostAheadBytes = Math.max(mostAheadBytes, content.statistics().fetchedBytes - takenBytes)
          await sleep(20)
          await reader.storage.blocks.put(block, data)
          takenBytes += data.length
        },
      },
      signal: AbortSignal.timeout(30_000),
    })
    await done
    // What was granted, and as much again that is on its way into the store.
    expect(mostAheadBytes).toBeLessThanOrEqual(2 * defaultLimits.creditWindowBytes)
    // Each block once, and beside them the filter of what the seed has, which comes when it comes.
    const inAllBytes = takenBytes + (seed.capabilities.init.own().filter?.bytes ?? 0)
    await until(() => content.statistics().fetchedBytes >= inAllBytes)
    expect(content.statistics().fetchedBytes).toBe(inAllBytes)
    expect(seed.libp2p.services.content.statistics().servedBytes).toBe(inAllBytes)
    expect(
      bytes.equals(await collect(reader.content.cat(cid, { signal: AbortSignal.timeout(10_000) }))),
    ).toBe(true)
    // One that a fetch leaves for the next, one for single blocks.
    await until(() => seed.libp2p.services.content.statistics().inboundStreams <= 2)
  })
})
