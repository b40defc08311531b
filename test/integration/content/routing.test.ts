import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { RootFilter } from '../../../protocols/content/index.ts'
import { CID } from 'multiformats/cid'
import type { Provider } from '../../../src/content/types.ts'
import { didFromPeerId } from '../../../src/identity/did.ts'
import { type ContentNode, startContentNode, until } from '../../support/content-node.ts'
import { rawCid } from '../../support/content-protocol.ts'

const nodes: ContentNode[] = []
const signal = AbortSignal.timeout(50_000)

async function start(options?: Parameters<typeof startContentNode>[0]): Promise<ContentNode> {
  const node = await startContentNode(options)
  nodes.push(node)
  return node
}

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
})

const nameOf = (node: ContentNode): string => node.libp2p.peerId.toString()

/** What `node` knows of `other`, which says by then that it has all of the roots. */
async function toldOf(node: ContentNode, other: ContentNode, ...roots: string[]): Promise<void> {
  const { capabilities } = node
  await until(() => roots.every((root) => capabilities.claims(nameOf(other), CID.parse(root)) === 'yes'))
}

describe('connected nodes', () => {
  it('know of each other what they are and have, and learn of what comes and goes', async () => {
    const [a, b] = await Promise.all([start(), start({ ipfs: true })])
    const first = await b.add(randomBytes(100_000))
    await a.connect(b)
    await toldOf(a, b, first.cid)
    expect(a.capabilities.of(nameOf(b))).toMatchObject({
      did: didFromPeerId(b.libp2p.peerId),
      role: 'worker',
      ipfs: 'helia',
      gatewayUrl: null,
      bandwidthBytesPerSecond: null,
      addresses: b.libp2p.getMultiaddrs().map(String),
    })
    await until(() => b.capabilities.of(nameOf(a)) !== undefined)
    expect(b.capabilities.claims(nameOf(a), CID.parse(first.cid))).not.toBe('yes')

    const second = await b.add(randomBytes(100_000))
    await toldOf(a, b, second.cid)
    await b.storage.pins.remove(CID.parse(first.cid), { signal })
    await until(() => a.capabilities.claims(nameOf(b), CID.parse(first.cid)) === 'no')
    expect(
      [...a.trust.evidence({ limit: 100 }).evidence, ...b.trust.evidence({ limit: 100 }).evidence].filter(
        ({ kind }) => kind !== 'transfer-served',
      ),
    ).toEqual([])
  })

  it('are told of changes at most so often', async () => {
    const [a, b] = await Promise.all([start(), start({ tellEveryMs: 3_600_000 })])
    await a.connect(b)
    await toldOf(a, b, (await b.add(randomBytes(1_000))).cid)
    const known = a.capabilities.of(nameOf(b))
    await b.add(randomBytes(1_000))
    // Whoever asks is told what holds; nobody is told unasked.
    const third = await start()
    await third.connect(b)
    await until(() => third.capabilities.of(nameOf(b)) !== undefined)
    expect(a.capabilities.of(nameOf(b))).toEqual(known)
  })

  it('ask the one first that says to have it, and explain why', async () => {
    const [a, ...others] = await Promise.all([start(), start(), start(), start(), start()])
    const owner = others[2]!
    const { cid } = await owner.add(randomBytes(500_000))
    for (const other of others) await a!.connect(other)
    await toldOf(a!, owner, cid)
    const got = await a!.run<{ sources: { peer: string }[] }>('get', { address: cid })
    expect(got.sources.map(({ peer }) => peer)).toEqual([nameOf(owner)])
    for (const other of others)
      if (other !== owner) expect(other.libp2p.services.content.statistics().servedBytes).toBeLessThan(1_000)

    const route = await a!.content.route(CID.parse(cid), { signal })
    expect(route).toMatchObject({ facts: { isPrivate: false, sizeBytes: 500_000 }, count: 1 })
    const [best] = route.sources
    expect(best).toMatchObject({ kind: 'peer', id: nameOf(owner) })
    expect(best?.terms.find(({ name }) => name === 'claim')).toEqual({
      name: 'claim',
      value: 'says yes',
      points: 80,
    })
    const listed: Provider[] = []
    for await (const provider of a!.content.providers(CID.parse(cid), { signal })) listed.push(provider)
    expect(listed[0]).toMatchObject({ peer: nameOf(owner), kind: 'connected', claim: 'yes' })
    expect(listed[0]!.successes).toBeCloseTo(1, 2)
    expect(listed[0]!.bytes).toBeGreaterThan(490_000)
  })
})

describe('a filter that lies', () => {
  it('loses its sender the preference, by what is measured', async () => {
    const [a, honest, liar] = await Promise.all([start(), start(), start()])
    const roots: string[] = []
    for (let file = 0; file < 12; file += 1) {
      const bytes = randomBytes(2_000)
      roots.push((await honest.add(bytes)).cid)
      await liar.add(bytes)
    }
    // The liar keeps its pins, which is what its filter is made of, and gives nothing.
    const serve = liar.trust.decide.bind(liar.trust)
    liar.trust.decide = (peer, action, subject) =>
      action === 'serve-content' && roots.includes(subject?.cid ?? '')
        ? { allowed: false, reason: 'score' }
        : serve(peer, action, subject)
    await a.connect(honest)
    await a.connect(liar)
    await toldOf(a, honest, ...roots)
    await toldOf(a, liar, ...roots)
    const claim = (): number => {
      const candidates = [honest, liar].map((node) => ({ kind: 'peer' as const, id: nameOf(node) }))
      const ranked = a.router.rank(CID.parse(roots[0]!), candidates)
      return ranked.findIndex(({ id }) => id === nameOf(liar))
    }
    for (const root of roots) await a.run('get', { address: root })
    expect(claim()).toBe(1)
    expect(a.router.statistics({ kind: 'peer', id: nameOf(liar) })?.claimsKept ?? 0).toBe(0)
    expect(a.router.statistics({ kind: 'peer', id: nameOf(honest) })?.claimsKept).toBeGreaterThan(11)
  })

  it('and says yes to everything is not used, which is evidence', async () => {
    const [a, liar] = await Promise.all([start(), start()])
    const block = Buffer.from('080710071a08ffffffffffffffff', 'hex')
    const filter = { cid: rawCid(block), bytes: block.length }
    await expect(RootFilter.decode(block)).rejects.toThrow()
    await liar.storage.blocks.put(filter.cid, block)
    const own = liar.capabilities.init.own
    liar.capabilities.init.own = () => ({ ...own(), filter })
    await a.connect(liar)
    await until(() =>
      a.trust.evidence({ peer: nameOf(liar) }).evidence.some(({ kind }) => kind === 'protocol-violation'),
    )
    expect(a.trust.evidence({ peer: nameOf(liar) }).evidence.map(({ detail }) => detail)).toContainEqual({
      protocol: 'content',
      rule: 'filter-too-full',
    })
    expect(a.capabilities.claims(nameOf(liar), CID.parse((await a.add(randomBytes(10))).cid))).toBe('unknown')
  })
})
