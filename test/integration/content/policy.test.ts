import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import { keystream } from '../../support/content.ts'
import type { ContentNode } from '../../support/content-node.ts'
import { collect, startContentNode, until } from '../../support/content-node.ts'

const nodes: ContentNode[] = []
const { signal } = new AbortController()

async function start(options?: Parameters<typeof startContentNode>[0]): Promise<ContentNode> {
  const node = await startContentNode(options)
  nodes.push(node)
  return node
}

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
})

const QUICK = { termMs: 3_600_000, probeIntervalMs: 300, graceMs: 500 }

function nameOf(node: ContentNode): string {
  return node.libp2p.peerId.toString()
}

/** Whether the node keeps a DAG for another one. */
function keeps(node: ContentNode, cid: string, asker: ContentNode): boolean {
  const pins = node.storage.pins.list({ cid: CID.parse(cid), name: `kept/${nameOf(asker)}` })
  return pins.pins.some(({ state }) => state === 'pinned')
}

describe('copies at other nodes', () => {
  it('are agreed, proven, and made again when a holder dies', async () => {
    const owner = await start({ policies: QUICK })
    const others = await Promise.all([start(), start(), start(), start()])
    for (const other of others) await owner.connect(other)
    const bytes = keystream('copied', 3_000_000)
    const { cid } = await owner.add(bytes)
    const { id } = await owner.policies.add({ kind: 'copies', copies: 3, minScore: 0.5 })

    const holders = (): ContentNode[] => others.filter((other) => keeps(other, cid, owner))
    await until(() => holders().length === 3)
    await until(() => owner.policies.copies().filter(({ provenMs }) => provenMs !== null).length === 3)
    expect(owner.policies.list()).toMatchObject([{ id, items: 1, short: 0, promised: 3 }])
    const spare = others.find((other) => !holders().includes(other))

    const [dead] = holders()
    nodes.splice(nodes.indexOf(dead!), 1)
    await dead!.stop()
    await until(() => keeps(spare!, cid, owner))
    await until(() => {
      const copies = owner.policies.copies()
      return (
        copies.length === 3 &&
        copies.every(({ peer, provenMs }) => peer !== nameOf(dead!) && provenMs !== null)
      )
    })
    expect(owner.policies.statistics()).toMatchObject({ copies: 3, shortRoots: 0, lostCopies: 1 })
    const read = await collect(spare!.content.cat(cid, { signal, offline: true }))
    expect(read.equals(bytes)).toBe(true)
  })

  it('go on after a restart of the owner, and are given back when the rule ends', async () => {
    const holder = await start()
    const owner = await startContentNode({ policies: QUICK })
    await owner.connect(holder)
    const { cid } = await owner.add(keystream('restarted', 200_000))
    await owner.policies.add({ kind: 'copies', copies: 1, minScore: 0.5 })
    await until(() => owner.policies.copies().some(({ provenMs }) => provenMs !== null))
    await owner.stop({ keepHome: true })

    const { home, privateKey } = owner
    const again = await start({ home, privateKey, policies: QUICK })
    const [before] = again.policies.copies()
    await again.connect(holder)
    await until(() => (again.policies.copies()[0]?.provenMs ?? 0) > (before?.provenMs ?? Infinity))
    expect(again.policies.statistics()).toMatchObject({ copies: 1, lostCopies: 0 })
    expect(keeps(holder, cid, again)).toBe(true)
    const [{ id } = { id: 0 }] = again.policies.list()
    await again.policies.remove(id, { signal })
    await until(() => !keeps(holder, cid, again))
    await until(() => again.policies.copies().length === 0)
  })

  it('are not asked of whom the owner does not trust, nor kept for whom the holder does not', async () => {
    const owner = await start({ policies: QUICK, score: () => 0.5 })
    const [wary, full, willing] = await Promise.all([
      start({ score: () => 0.2 }),
      start({ policies: { offerBytes: 1_000 } }),
      start(),
    ])
    for (const other of [wary, full, willing]) await owner.connect(other)
    const { cid } = await owner.add(keystream('few', 100_000))
    await owner.policies.add({ kind: 'copies', copies: 3, minScore: 0.5 })
    await until(() => keeps(willing, cid, owner))
    await until(() => owner.policies.statistics().refusedAsks >= 2)
    expect(owner.policies.list()).toMatchObject([{ short: 1, promised: 1 }])
    expect([wary, full].some((other) => keeps(other, cid, owner))).toBe(false)

    const strict = await owner.policies.add({ kind: 'copies', copies: 1, minScore: 0.9, cid })
    await until(() => owner.policies.copies().length === 0)
    await owner.policies.remove(strict.id, { signal })
  })

  it('of private content are not asked for', async () => {
    const secrets = new Set<string>()
    const owner = await start({ policies: QUICK, isPrivate: (cid) => secrets.has(cid.toString()) })
    const holder = await start()
    await owner.connect(holder)
    const secret = await owner.add(keystream('secret', 1_000))
    secrets.add(secret.cid)
    const open = await owner.add(keystream('open', 1_000))
    await owner.policies.add({ kind: 'copies', copies: 1, minScore: 0 })
    await until(() => keeps(holder, open.cid, owner))
    expect(keeps(holder, secret.cid, owner)).toBe(false)
    expect(owner.policies.list()).toMatchObject([{ items: 1 }])
  })

  it('are given up by a holder when more comes than was said', async () => {
    const [owner, holder] = await Promise.all([start(), start()])
    await owner.connect(holder)
    const { cid } = await owner.add(keystream('large', 20_000_000))
    const what = { cid: CID.parse(cid), sizeBytes: 10, untilMs: Date.now() + 60_000 }
    await owner.libp2p.services.keep.ask(holder.libp2p.peerId, what, { signal })
    await until(() => holder.policies.statistics().promises === 0)
    expect(holder.jobs.list({ kind: 'acquire' })).toMatchObject([{ error: { code: 'ERR_BUDGET_EXCEEDED' } }])
    expect(await owner.libp2p.services.keep.probe(holder.libp2p.peerId, what.cid, { signal })).toEqual({
      state: 'none',
      untilMs: 0,
    })
  })
})

describe('pins by a rule', () => {
  it('of what trusted peers announce end with the rule', async () => {
    const teller = await start({ publish: true })
    const keeper = await start({ score: (peer) => (peer === nameOf(teller) ? 0.8 : 0.5) })
    const { id } = await keeper.policies.add({ kind: 'auto', minScore: 0.7, budgetBytes: 10 * 2 ** 20 })
    await keeper.connect(teller)
    const { cid } = await teller.add(keystream('announced', 100_000))
    // Who joins the topic late hears of it when it is told again.
    await until(() => {
      const root = CID.parse(cid)
      if (keeper.announcements.statistics().heard === 0)
        teller.announcements.tell({ cid: root, name: '', sizeBytes: 100_000, kind: 'file' })
      return keeper.storage.pins.state(root) === 'recursive'
    })
    await until(() => keeper.policies.list()[0]?.items === 1)
    await keeper.policies.remove(id, { signal })
    expect(keeper.storage.pins.state(CID.parse(cid))).toBe('none')
  })

  it('of what was read lately last for their window, and keep to their budget', async () => {
    const [origin, reader] = await Promise.all([start(), start()])
    await reader.connect(origin)
    const [first, second, third] = await Promise.all(
      ['first', 'second', 'third'].map((name) => origin.add(keystream(name, 500_000), { name })),
    )
    const state = (cid: string): string => reader.storage.pins.state(CID.parse(cid))
    const budgetBytes = 4 * 2 ** 20
    await reader.policies.add({ kind: 'recent', windowMs: 3_600_000, budgetBytes })
    await collect(reader.content.cat(first!.cid, { signal }))
    await until(() => state(first!.cid) === 'recursive')
    await reader.run('get', { address: second!.cid })
    await until(() => state(second!.cid) === 'recursive')
    // Each counts 1.5 MiB with what a DAG may take: two fit, and the one that was read longest ago goes.
    await collect(reader.content.cat(third!.cid, { signal }))
    await until(() => state(third!.cid) === 'recursive' && state(first!.cid) === 'none')

    await reader.policies.add({ kind: 'recent', windowMs: 1_000, budgetBytes })
    await collect(reader.content.cat(first!.cid, { signal }))
    await until(() => reader.policies.list()[1]?.items === 1)
    await until(() => reader.policies.list()[1]?.items === 0)
  })

  it('are refused where they make no sense', async () => {
    const node = await start()
    const { policies } = node
    const bad = [
      { kind: 'auto', minScore: 2, budgetBytes: 1 },
      { kind: 'auto', minScore: 0.5, budgetBytes: 0 },
      { kind: 'auto', minScore: 0.5, budgetBytes: 1, peer: 'nobody' },
      { kind: 'recent', windowMs: 0, budgetBytes: 1 },
      { kind: 'copies', copies: 17, minScore: 0 },
      { kind: 'copies', copies: 1, minScore: 0, cid: 'x' },
    ] as Parameters<typeof policies.add>[0][]
    for (const rule of bad)
      await expect(policies.add(rule)).rejects.toMatchObject({ code: 'ERR_POLICY_INVALID' })
    await expect(policies.remove(9, { signal })).rejects.toMatchObject({ code: 'ERR_POLICY_NOT_FOUND' })
  })
})
