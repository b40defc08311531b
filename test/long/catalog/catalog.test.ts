import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CatalogService } from '../../../src/catalog/types.ts'
import { type Member, SimulatedNetwork } from '../../../src/simulation/network.ts'
import { SOME_CID } from '../../support/catalog.ts'
import { eventually, quietLogger } from '../../support/network.ts'

const NODES = 30
const PUBLISHERS = 20
const ENTRIES_EACH = 50
const signal = AbortSignal.timeout(600_000)

let folder: string
let network: SimulatedNetwork

const catalogOf = (member: Member): CatalogService => network.services(member).catalog

describe('the catalogue of thirty nodes', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'p2pnode-catalog-long-'))
    network = new SimulatedNetwork({ count: NODES, folder, log: quietLogger() })
    await network.start(network.members, { signal })
    expect(await network.whenConnected(120_000, signal)).toBe(true)
  }, 300_000)
  afterAll(async () => {
    await network.stop()
    await rm(folder, { recursive: true, force: true })
  }, 120_000)

  it('is the same on all after half of them were away: 1 000 entries of 20 publishers, and what was withdrawn', async () => {
    const publishers = network.members.slice(0, PUBLISHERS)
    const away = network.members.filter(({ index }) => index % 2 === 1)
    const publish = async (member: Member, from: number, to: number): Promise<void> => {
      const counts = Array.from({ length: to - from }, (_, index) => from + index)
      await Promise.all(
        counts.map((count) =>
          catalogOf(member).publish(
            { title: `${member.name} ${count}`, address: `/ipfs/${SOME_CID}`, tags: [member.name] },
            { signal },
          ),
        ),
      )
    }
    // Those that will be away publish before; the others before and meanwhile.
    for (const member of publishers) await publish(member, 0, away.includes(member) ? ENTRIES_EACH : 10)
    await network.stop(away)
    for (const member of publishers) if (!away.includes(member)) await publish(member, 10, ENTRIES_EACH)
    const [first] = publishers
    if (first === undefined) throw new Error('no publisher')
    await catalogOf(first).withdraw([1, 2, 3], { signal })
    await network.start(away, { signal })

    const ends = new Map<string, number>()
    await eventually(
      'all have the same',
      () => {
        ends.clear()
        for (const { member } of network.running()) {
          const { entries, records } = catalogOf(member).statistics()
          const key = `${entries} entries in ${records} records`
          ends.set(key, (ends.get(key) ?? 0) + 1)
        }
        return ends.size === 1 && [...ends.values()][0] === NODES && ends.has('997 entries in 998 records')
      },
      240_000,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}; ${JSON.stringify([...ends])}`)
    })
    for (const { member } of network.running()) {
      const catalog = catalogOf(member)
      expect(catalog.publishers()).toHaveLength(PUBLISHERS)
      expect(catalog.publishers().every(({ isForked, isShown }) => isShown && !isForked)).toBe(true)
      expect(catalog.search({ tag: first.name }).total).toBe(ENTRIES_EACH - 3)
      expect(catalog.statistics()).toMatchObject({ invalid: 0 })
    }
  }, 600_000)
})
