import type { PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { pEvent } from 'p-event'
import { afterEach, describe, expect, it } from 'vitest'
import { Speakers } from '../../../protocols/shared/speakers.ts'
import { startTestNode, stopAll, type TestNode } from '../../support/network.ts'

const PROTOCOL = '/test/spoken/1.0.0'
let nodes: TestNode[] = []
afterEach(async () => {
  await stopAll(nodes)
  nodes = []
})

async function start(): Promise<TestNode> {
  const node = await startTestNode()
  nodes.push(node)
  return node
}

const speak = ({ libp2p }: TestNode): Promise<void> =>
  libp2p.handle(PROTOCOL, (stream) => stream.abort(new Error('only named')))

describe('who speaks a protocol', () => {
  it('is known with the event of identify, whatever those who listen to other protocols do', async () => {
    const [listener, other] = [await start(), await start()]
    await speak(other)
    for (const { protocols } of [await listener.libp2p.peerStore.get(listener.libp2p.peerId)])
      for (const protocol of protocols)
        await listener.libp2p.register(protocol, { onConnect: () => new Promise(() => {}) })
    const told: [string, boolean][] = []
    const speakers = new Speakers(listener.libp2p, PROTOCOL, {
      onSpeaker: (peer, _connection, isNew) => told.push([peer.toString(), isNew]),
    })
    speakers.start()
    const identified = pEvent(listener.libp2p, 'peer:identify')
    await listener.libp2p.dial(multiaddr(other.address))
    await identified
    expect(speakers.all().map(String)).toEqual([other.peer])
    expect(speakers.has(other.libp2p.peerId)).toBe(true)
    expect(told).toEqual([[other.peer, true]])
    speakers.stop()
    expect(speakers.all()).toEqual([])
  })

  it('is taken out when it is gone, also where the peer store has forgotten it', async () => {
    const [listener, other] = [await start(), await start()]
    await speak(other)
    const gone: PeerId[] = []
    const speakers = new Speakers(listener.libp2p, PROTOCOL, { onGone: (peer) => gone.push(peer) })
    speakers.start()
    const identified = pEvent(listener.libp2p, 'peer:identify')
    await listener.libp2p.dial(multiaddr(other.address))
    await identified
    await listener.libp2p.peerStore.delete(other.libp2p.peerId)
    const disconnected = pEvent(listener.libp2p, 'peer:disconnect')
    await other.libp2p.hangUp(listener.libp2p.peerId)
    await disconnected
    expect(speakers.all()).toEqual([])
    expect(gone.map(String)).toEqual([other.peer])
  })

  it('is taken out when it says that it speaks it no more', async () => {
    const [listener, other] = [await start(), await start()]
    await speak(other)
    const left = Promise.withResolvers<PeerId>()
    const speakers = new Speakers(listener.libp2p, PROTOCOL, { onGone: left.resolve })
    speakers.start()
    const identified = pEvent(listener.libp2p, 'peer:identify')
    await listener.libp2p.dial(multiaddr(other.address))
    await identified
    await other.libp2p.unhandle(PROTOCOL)
    expect((await left.promise).toString()).toBe(other.peer)
    expect(speakers.all()).toEqual([])
    expect(listener.network.peerCount()).toBe(1)
  })
})
