import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it } from 'vitest'
import { Speakers } from '../../../protocols/shared/speakers.ts'
import { createSeeker, type Seeker } from '../../../src/network/index.ts'
import { SEEK_LIMITS } from '../../../src/network/limits.ts'
import { startTestNode, stopAll, type TestNode } from '../../support/network.ts'

const never = new AbortController().signal
let nodes: TestNode[] = []
let seeker: Seeker | undefined
afterEach(async () => {
  seeker?.stop()
  await stopAll(nodes)
  nodes = []
})

async function start(bootstrap: string[] = []): Promise<TestNode> {
  const node = await startTestNode({ network: { bootstrap } })
  nodes.push(node)
  return node
}

/** What every node speaks. */
const COMMON = '/ipfs/ping/1.0.0'
/** What a node speaks that was told to. */
const RARE = '/test/rare/1.0.0'

function seekerOf({ libp2p, log }: TestNode, { protocol = COMMON, expectsPeers = false } = {}): Seeker {
  const speakers = new Speakers(libp2p, protocol)
  speakers.start()
  seeker = createSeeker({ libp2p, log, found: () => speakers.all(), expectsPeers })
  return seeker
}

describe('seeking further peers', () => {
  it('finds those that only the one it was told of knows', async () => {
    const hub = await start()
    for (let index = 0; index < 5; index += 1) await start([hub.address])
    const newcomer = await start()
    const own = seekerOf(newcomer)
    await newcomer.network.connect(hub.address, AbortSignal.timeout(5_000))
    await own.seek(6, never)
    expect(newcomer.network.peerCount()).toBe(6)
  })

  it('waits, while the node is young, for those that it was told of', async () => {
    const hub = await start()
    for (let index = 0; index < 3; index += 1) await start([hub.address])
    const newcomer = await start()
    const sought = seekerOf(newcomer, { expectsPeers: true }).seek(4, never)
    await newcomer.network.connect(hub.address, AbortSignal.timeout(5_000))
    await sought
    expect(newcomer.network.peerCount()).toBe(4)
  })

  it('counts nobody of whom it is not known yet what it speaks', async () => {
    const newcomer = await start()
    const own = seekerOf(newcomer)
    const others = [await start(), await start()]
    // A peer may say it more than once.
    const identified = new Set<string>()
    newcomer.libp2p.addEventListener('peer:identify', ({ detail }) =>
      identified.add(detail.peerId.toString()),
    )
    // Connected, and nothing has been said yet.
    for (const { address } of others) await newcomer.libp2p.dial(multiaddr(address))
    await own.seek(2, never)
    expect(identified.size).toBe(2)
  })

  it('counts only those that speak what is sought, and finds them behind others', async () => {
    const hub = await start()
    const rare = [await start(), await start()]
    for (const { libp2p } of rare)
      await libp2p.handle(RARE, (stream) => stream.abort(new Error('only named')))
    const newcomer = await start()
    const own = seekerOf(newcomer, { protocol: RARE })
    await newcomer.network.connect(hub.address, AbortSignal.timeout(5_000))
    await newcomer.network.connect((await start()).address, AbortSignal.timeout(5_000))
    for (const { network } of rare) await network.connect(hub.address, AbortSignal.timeout(5_000))
    await own.seek(2, never)
    for (const { libp2p } of rare) expect(newcomer.libp2p.getConnections(libp2p.peerId)).not.toEqual([])
  })

  it('finds who joins only while it is sought, where the node is young', async () => {
    const hub = await start()
    const newcomer = await start()
    const own = seekerOf(newcomer, { expectsPeers: true })
    await newcomer.network.connect(hub.address, AbortSignal.timeout(5_000))
    const sought = own.seek(2, never)
    const late = await start([hub.address])
    await sought
    expect(newcomer.libp2p.getConnections(late.libp2p.peerId)).not.toEqual([])
  })

  it('ends soon where there is nobody, and is not repeated at once', async () => {
    const alone = await start()
    const own = seekerOf(alone)
    await own.seek(3, never)
    const askedAtMs = performance.now()
    await own.seek(3, never)
    expect(performance.now() - askedAtMs).toBeLessThan(SEEK_LIMITS.timeoutMs)
  })

  it('lets a caller go that cannot wait', async () => {
    const own = seekerOf(await start())
    await expect(own.seek(3, AbortSignal.abort())).rejects.toThrow()
  })
})
