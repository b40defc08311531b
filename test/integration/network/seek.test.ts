import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it } from 'vitest'
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

describe('seeking further peers', () => {
  it('finds those that only the one it was told of knows', async () => {
    const hub = await start()
    for (let index = 0; index < 5; index += 1) await start([hub.address])
    const newcomer = await start()
    await newcomer.network.connect(hub.address, AbortSignal.timeout(5_000))
    seeker = createSeeker({ ...newcomer, expectsPeers: false })
    await seeker.seek(6, never)
    expect(newcomer.network.peerCount()).toBe(6)
  })

  it('waits, while the node is young, for those that it was told of', async () => {
    const hub = await start()
    for (let index = 0; index < 3; index += 1) await start([hub.address])
    const newcomer = await start()
    seeker = createSeeker({ ...newcomer, expectsPeers: true })
    const sought = seeker.seek(4, never)
    await newcomer.network.connect(hub.address, AbortSignal.timeout(5_000))
    await sought
    expect(newcomer.network.peerCount()).toBe(4)
  })

  it('counts nobody of whom it is not known yet what it speaks', async () => {
    const newcomer = await start()
    seeker = createSeeker({ ...newcomer, expectsPeers: false })
    const others = [await start(), await start()]
    // A peer may say it more than once.
    const identified = new Set<string>()
    newcomer.libp2p.addEventListener('peer:identify', ({ detail }) =>
      identified.add(detail.peerId.toString()),
    )
    // Connected, and nothing has been said yet.
    for (const { address } of others) await newcomer.libp2p.dial(multiaddr(address))
    await seeker.seek(2, never)
    expect(identified.size).toBe(2)
  })

  it('ends soon where there is nobody, and is not repeated at once', async () => {
    const alone = await start()
    seeker = createSeeker({ ...alone, expectsPeers: false })
    await seeker.seek(3, never)
    const askedAtMs = performance.now()
    await seeker.seek(3, never)
    expect(performance.now() - askedAtMs).toBeLessThan(SEEK_LIMITS.timeoutMs)
  })

  it('lets a caller go that cannot wait', async () => {
    seeker = createSeeker({ ...(await start()), expectsPeers: false })
    await expect(seeker.seek(3, AbortSignal.abort())).rejects.toThrow()
  })
})
