import { afterEach, describe, expect, it } from 'vitest'
import type { Reconcile } from '../../../protocols/reconcile/index.ts'
import { type Convergence, createConvergence } from '../../../src/gossip/convergence/index.ts'
import { eventually, quietLogger, startTestNode, type TestNode } from '../../support/network.ts'
import { MemorySet } from '../../support/reconcile.ts'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'

interface Member extends TestNode {
  convergence: Convergence
  set: MemorySet
}

const SOON = (): AbortSignal => AbortSignal.timeout(10_000)

let nodes: Member[] = []
afterEach(async () => {
  await Promise.all(
    nodes.map((node) => {
      node.convergence.stop()
      return node.stop()
    }),
  )
  nodes = []
})

async function start(texts: string[], { roundMs = 600_000 } = {}): Promise<Member> {
  const privateKey = await generateKeyPair('Ed25519')
  const convergence = createConvergence({
    networkName: 'test',
    self: peerIdFromPrivateKey(privateKey).toString(),
    trust: { decide: () => ({ allowed: true }), report: () => {} },
    log: quietLogger(),
    roundMs,
    settleMs: 1,
  })
  const set = new MemorySet(texts)
  convergence.register(set)
  const node = await startTestNode({ privateKey, init: { services: { reconcile: convergence.protocol } } })
  convergence.start((node.libp2p.services as unknown as { reconcile: Reconcile }).reconcile)
  const member = { ...node, convergence, set }
  nodes.push(member)
  return member
}

const sorted = (members: Member[]): Member[] => members.toSorted((a, b) => (a.peer < b.peer ? -1 : 1))

describe('convergence', () => {
  it('makes two that meet the same, in one session that one of them begins', async () => {
    const [a, b] = sorted([await start(['of a', 'of both']), await start(['of b', 'of both'])]) as [
      Member,
      Member,
    ]
    await a.network.connect(b.address, SOON())
    await eventually('both have all', () => a.set.entries.size === 3 && b.set.entries.size === 3)
    await eventually('it is over', () => a.convergence.statistics().given === 1)
    expect(a.convergence.statistics()).toMatchObject({ begun: 1, failed: 0, answered: 0 })
    expect(b.convergence.statistics()).toMatchObject({ begun: 0, answered: 1 })
  })

  it('brings to all what one has missed, round by round, and what came while it was compared', async () => {
    const members = [
      await start(['first'], { roundMs: 100 }),
      await start([], { roundMs: 100 }),
      await start([], { roundMs: 100 }),
      await start(['last'], { roundMs: 100 }),
    ]
    // A line: what one end has reaches the other over two that pass it on.
    for (const [index, member] of members.slice(1).entries())
      await member.network.connect(members[index]!.address, SOON())
    await eventually('all have both', () => members.every(({ set }) => set.entries.size === 2))
    members[0]!.set.add('news')
    await eventually('all have the news', () => members.every(({ set }) => set.entries.size === 3))
  })

  it('looks soon where something is known to be missing, and not at what is not there any more', async () => {
    const [a, b] = sorted([await start([]), await start([])]) as [Member, Member]
    await a.network.connect(b.address, SOON())
    // The answer that there is nothing to bring.
    await eventually('they have met', () => a.convergence.statistics().receivedBytes > 0)
    a.set.add('missed')
    b.convergence.hasten('texts')
    b.convergence.hasten('texts')
    b.convergence.hasten('no such set')
    await eventually('it is brought', () => b.set.entries.size === 1)
    expect(b.convergence.statistics().begun).toBe(1)
    expect(() => b.convergence.register(new MemorySet())).toThrow(/already/)
  })

  it('leaves a peer alone that does not know a set, until it comes again', async () => {
    const [a, b] = sorted([await start([]), await start([])]) as [Member, Member]
    const other = new MemorySet(['x'], 'other')
    const end = a.convergence.register(other)
    await a.network.connect(b.address, SOON())
    await eventually('it has asked', () => a.convergence.statistics().failed === 1)
    a.convergence.hasten('other')
    const known = new MemorySet([], 'other')
    b.convergence.register(known)
    await a.network.disconnect(b.peer)
    await eventually('they have parted', () => b.libp2p.getPeers().length === 0)
    await a.network.connect(b.address, SOON())
    await eventually('now it knows', () => known.entries.size === 1)
    end()
    other.add('y')
    a.convergence.hasten('other')
    expect(a.convergence.statistics().failed).toBe(1)
  })
})
