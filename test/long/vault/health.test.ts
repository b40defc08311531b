import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Health } from '../../../src/vault/types.ts'
import { eventually } from '../../support/network.ts'
import type { HouseNode, Stored } from '../../support/reading-house.ts'
import { ReadingHouse } from '../../support/reading-house.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal
let house: ReadingHouse

afterEach(() => house.stop(), 30_000)

async function furnish(intervalMs?: number): Promise<{
  holders: HouseNode[]
  asker: HouseNode
  stored: Stored
  link: string
}> {
  house = new ReadingHouse(intervalMs === undefined ? {} : { intervalMs })
  const holders = await house.start(6)
  const [asker] = (await house.start(1)) as [HouseNode]
  await house.connect(asker, holders)
  const stored = await house.put(randomBytes(2 * MIB), holders, { redundancy: { k: 2, n: 6 } })
  return { holders, asker, stored, link: asker.reading.share(stored.link, 'verify') }
}

const live = (health: Health): number[] => health.slabs.map((slab) => slab.live)

describe('measured health', () => {
  test('with the verify link alone: every column of every slab, the manifest first', async () => {
    const { holders, asker, stored, link } = await furnish()
    const health = await asker.health(link, { signal })
    expect(health.state).toBe('healthy')
    expect(health.slabs).toMatchObject([
      { id: slabKeyOf(stored.manifest), k: 1, n: 6, live: 6, margin: 5 },
      { id: slabKeyOf(stored.slabs[0] as Uint8Array), k: 2, n: 6, live: 6, margin: 4 },
    ])
    expect(health.slabs[1]?.columns.map(({ peer }) => peer)).toEqual(holders.map(({ name }) => name))
    expect(Date.parse(health.slabs[1]?.lastAudit ?? '')).toBeGreaterThan(Date.now() - 60_000)
    expect(asker.trust.of('audit-passed').length).toBe(12)
  }, 60_000)

  test('remembers proofs, and asks anew when asked to', async () => {
    const { holders, asker, stored, link } = await furnish()
    await asker.health(link, { signal })
    const audits = (): number => asker.trust.of('audit-passed').length
    expect(live(await asker.health(link, { signal }))).toEqual([6, 6])
    expect(audits()).toBe(12)
    // What was proven lately counts until it is looked at again.
    for (const { holder } of holders.slice(0, 3))
      holder.columns.delete(slabKeyOf(stored.slabs[0] as Uint8Array))
    expect(live(await asker.health(link, { signal }))).toEqual([6, 6])
    const fresh = await asker.health(link, { signal, fresh: true })
    expect(live(fresh)).toEqual([6, 3])
    expect(fresh.state).toBe('critical')
    expect(fresh.slabs[1]?.columns.map((column) => column.live)).toEqual([
      false,
      false,
      false,
      true,
      true,
      true,
    ])
  }, 60_000)

  test('lost, where fewer than k are left; not found, where nobody has the manifest', async () => {
    const { holders, asker, stored, link } = await furnish()
    for (const { holder } of holders.slice(0, 5))
      holder.columns.delete(slabKeyOf(stored.slabs[0] as Uint8Array))
    expect(await asker.health(link, { signal, fresh: true })).toMatchObject({
      state: 'lost',
      slabs: [{ live: 6 }, { live: 1, margin: -1 }],
    })
    const [other] = (await house.start(1)) as [HouseNode]
    await expect(other.health(link, { signal })).rejects.toMatchObject({ code: 'ERR_VAULT_NOT_FOUND' })
  }, 60_000)

  test('who claims to have, and who proves wrongly, is not live, and that is evidence', async () => {
    const { holders, asker, stored, link } = await furnish()
    await asker.health(link, { signal })
    const [claimer, liar] = holders as [HouseNode, HouseNode]
    const slab = stored.slabs[0] as Uint8Array
    claimer.holder.claims.set(slabKeyOf(slab), {
      slab,
      column: 0,
      indexHash: stored.indexes[0]?.hash as Uint8Array,
    })
    claimer.holder.columns.delete(slabKeyOf(slab))
    liar.holder.onPiece = async (bytes) => Uint8Array.from(bytes, (byte) => byte ^ 1)
    const health = await asker.health(link, { signal, fresh: true })
    expect(health.slabs[1]?.columns.map((column) => column.live)).toEqual([
      false,
      false,
      true,
      true,
      true,
      true,
    ])
    const failed = asker.trust.of('audit-failed').map(({ peer }) => peer)
    expect(failed).toContain(claimer.name)
    expect(failed).toContain(liar.name)
    // Not even the earlier proof counts any more.
    expect(live(await asker.health(link, { signal }))).toEqual([5, 4])
  }, 60_000)

  test('a holder that measures counts its own column', async () => {
    const { holders, link } = await furnish()
    const [first] = holders as [HouseNode]
    await house.connect(first, holders.slice(1))
    expect(live(await first.health(link, { signal, fresh: true }))).toEqual([6, 6])
  }, 60_000)

  test("the owner's objects are measured in rounds", async () => {
    const { holders, asker, stored } = await furnish(1_500)
    const seen: Health[] = []
    const scheduler = asker.scheduler({
      objects: () => [{ id: 'one', link: stored.link }],
      onHealth: (link, health) => {
        expect(link).toBe(stored.link)
        seen.push(health)
      },
    })
    scheduler.start()
    try {
      await eventually('a healthy round', () => seen.some((health) => health.state === 'healthy'), 20_000)
      for (const { holder } of holders.slice(0, 4)) holder.columns.clear()
      const counts = (): string => JSON.stringify(seen.at(-1)?.slabs.map((slab) => slab.live))
      await eventually('what is missing shows once its proofs are old', () => counts() === '[2,2]', 20_000)
      expect(seen.at(-1)?.state).toBe('critical')
    } finally {
      await scheduler.stop()
    }
  }, 60_000)
})
