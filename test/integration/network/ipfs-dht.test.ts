import { identify } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { afterEach, describe, expect, it } from 'vitest'
import { hasPublicRoutes, withPublicRouting } from '../../../src/network/index.ts'
import { endNode } from '../../support/end-node.ts'
import { eventually, startTestNode, type TestNode } from '../../support/network.ts'

const soon = (): AbortSignal => AbortSignal.timeout(20_000)

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** A node as Kubo and Helia are, that speaks nothing of ours. */
async function ipfsNode(): Promise<Libp2p> {
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({ protocol: '/ipfs/kad/1.0.0', peerInfoMapper: passthroughMapper, clientMode: false }),
    },
  })
  cleanups.push(() => endNode(node))
  return node
}

async function ownNode(mode: 'public' | 'private', bootstrap: string[]): Promise<TestNode> {
  // Records without an address are not taken, and in public mode those of a laboratory are not told.
  const node = await startTestNode({
    network: { mode, bootstrap, announce: ['/dns4/node.example/tcp/4700'] },
  })
  cleanups.push(() => node.stop())
  return node
}

const cidOf = async (text: string): Promise<CID> =>
  CID.createV1(0x55, await sha256.digest(new TextEncoder().encode(text)))

async function providersOf(libp2p: Libp2p, cid: CID): Promise<string[]> {
  const found: string[] = []
  for await (const { id } of libp2p.contentRouting.findProviders(cid, { signal: soon() }))
    found.push(id.toString())
  return found
}

describe('the DHT of IPFS', () => {
  it('is asked and told about public content in public mode, and about nothing else', async () => {
    const [kubo, helia] = [await ipfsNode(), await ipfsNode()]
    await kubo.dial(helia.getMultiaddrs(), { signal: soon() })
    const node = await ownNode('public', [kubo.getMultiaddrs()[0]!.toString()])
    const publicly = withPublicRouting(node.libp2p)
    await eventually('it knows somebody', () => hasPublicRoutes(node.libp2p))
    const { ipfsDht } = node.libp2p.services
    expect(ipfsDht?.routes()).toBeGreaterThan(0)

    const theirs = await cidOf('what Helia has')
    await helia.contentRouting.provide(theirs, { signal: soon() })
    expect(await providersOf(publicly, theirs)).toEqual([helia.peerId.toString()])

    const ours = await cidOf('what we have')
    await publicly.contentRouting.provide(ours, { signal: soon() })
    await eventually('it is known there', async () => (await providersOf(kubo, ours)).includes(node.peer))

    // What is asked of libp2p itself, as private files are, stays in the network's own DHT, which nobody here is in.
    const hidden = await cidOf('a group of columns')
    const asked = node.libp2p.contentRouting.provide(hidden, { signal: AbortSignal.timeout(1_500) })
    await asked.catch(() => {})
    expect(await providersOf(kubo, hidden)).toEqual([])
    expect(await providersOf(helia, hidden)).toEqual([])
  })

  it('is not taken part in elsewhere', async () => {
    const node = await ownNode('private', [])
    expect(node.libp2p.services.ipfsDht).toBeUndefined()
    expect(withPublicRouting(node.libp2p)).toBe(node.libp2p)
    expect(node.libp2p.getProtocols().filter((protocol) => protocol.startsWith('/ipfs/kad'))).toEqual([])
  })
})
