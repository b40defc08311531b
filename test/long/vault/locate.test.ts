import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { groupCid, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../protocols/chunk/index.ts'
import type { ColumnAt } from '../../../src/vault/contracts.ts'
import { eventually } from '../../support/network.ts'
import type { HouseNode } from '../../support/reading-house.ts'
import { ReadingHouse } from '../../support/reading-house.ts'

const signal = new AbortController().signal
let house: ReadingHouse

afterEach(() => house.stop(), 30_000)

async function find(
  node: HouseNode,
  slabs: readonly SlabId[],
  { group = slabs[0] as SlabId, hints = [] as string[], until = Number.POSITIVE_INFINITY } = {},
): Promise<ColumnAt[]> {
  const found: ColumnAt[] = []
  for await (const column of node.locator.holders(slabs, { group, hints, signal })) {
    found.push(column)
    if (found.length >= until) break
  }
  return found
}

const names = (found: ColumnAt[]): string[] => found.map(({ peer }) => peer.toString()).sort()

describe('finding holders', () => {
  test('among connected peers: each once, with the column it holds; those the policy refuses are not asked', async () => {
    house = new ReadingHouse()
    const holders = await house.start(4)
    const [reader] = (await house.start(1)) as [HouseNode]
    await house.connect(reader, holders)
    const { slabs, manifest, indexes } = await house.put(randomBytes(3000), holders, {
      redundancy: { k: 2, n: 4 },
    })
    const all = [manifest, ...slabs]
    const found = await find(reader, all, { group: manifest, hints: [(holders[0] as HouseNode).name] })
    expect(found).toHaveLength(8)
    for (const { slab, column, peer, indexHash } of found) {
      expect((holders[column] as HouseNode).name).toBe(peer.toString())
      if (slabKeyOf(slab) === slabKeyOf(manifest)) continue
      expect(slabKeyOf(indexHash)).toBe(slabKeyOf(indexes[0]?.hash as Uint8Array))
    }
    const refused = holders[1] as HouseNode
    reader.trust.deny = (peer, action) => action === 'fetch' && peer === refused.name
    const others = holders.filter((holder) => holder !== refused).map(({ name }) => name)
    expect(names(await find(reader, slabs, { group: manifest }))).toEqual(others.sort())
    expect(await find(reader, [randomBytes(32)])).toEqual([])
  }, 60_000)

  test('by a hint, at a peer that is known and not connected', async () => {
    house = new ReadingHouse()
    const [holder, reader] = (await house.start(2)) as [HouseNode, HouseNode]
    const { slabs, manifest } = await house.put(randomBytes(10), [holder], { redundancy: { k: 1, n: 1 } })
    await reader.libp2p.peerStore.merge(holder.peerId, { multiaddrs: holder.libp2p.getMultiaddrs() })
    const hints = ['no peer id', holder.name]
    expect(names(await find(reader, slabs, { group: manifest, hints, until: 1 }))).toEqual([holder.name])
  }, 30_000)

  test('at a peer that connects while it looks', async () => {
    house = new ReadingHouse()
    const [holder, reader] = (await house.start(2)) as [HouseNode, HouseNode]
    const { slabs, manifest } = await house.put(randomBytes(10), [holder], { redundancy: { k: 1, n: 1 } })
    const looking = find(reader, slabs, { group: manifest, until: 1 })
    await house.connect(reader, [holder])
    expect(names(await looking)).toEqual([holder.name])
  }, 30_000)

  test('by queries that are passed on, three peers away and not four', async () => {
    house = new ReadingHouse()
    const chain = await house.start(5)
    for (let at = 1; at < chain.length; at += 1)
      await house.connect(chain[at - 1] as HouseNode, [chain[at] as HouseNode])
    const [reader, , , near, far] = chain as [HouseNode, HouseNode, HouseNode, HouseNode, HouseNode]
    const close = await house.put(randomBytes(10), [near], { redundancy: { k: 1, n: 1 } })
    expect(names(await find(reader, close.slabs, { group: close.manifest }))).toEqual([near.name])
    // The answer was a place to look; the column was had from the holder itself.
    expect(reader.libp2p.getConnections(near.peerId)).toHaveLength(1)
    await reader.libp2p.hangUp(near.peerId)
    await eventually(
      'the chain is a chain again',
      () => reader.libp2p.getConnections(near.peerId).length === 0,
    )
    const distant = await house.put(randomBytes(10), [far], { redundancy: { k: 1, n: 1 } })
    expect(await find(reader, distant.slabs, { group: distant.manifest })).toEqual([])
  }, 60_000)

  test('by the DHT, where holders have announced the group', async () => {
    house = new ReadingHouse({ dht: true })
    const [middle, holder, reader] = (await house.start(3)) as [HouseNode, HouseNode, HouseNode]
    const { slabs, manifest } = await house.put(randomBytes(10), [holder], { redundancy: { k: 1, n: 1 } })
    await house.connect(middle, [holder, reader])
    // Nobody answers queries: what is found comes from the DHT.
    for (const node of house.nodes) node.holder.locateAnswerer = undefined
    holder.locator.start()
    const provides = async (node: HouseNode): Promise<boolean> => {
      const providers = node.libp2p.contentRouting.findProviders(groupCid(manifest), {
        signal: AbortSignal.timeout(2_000),
      })
      try {
        for await (const { id } of providers) if (id.equals(holder.peerId)) return true
      } catch {
        // None yet.
      }
      return false
    }
    await eventually('the reader knows the DHT', () => reader.routes() > 0, 20_000)
    await eventually('the record is there', () => provides(middle), 20_000)
    expect(names(await find(reader, slabs, { group: manifest, until: 1 }))).toEqual([holder.name])
  }, 60_000)

  test('ends when the caller leaves, aborts, or the node stops', async () => {
    house = new ReadingHouse()
    const [reader] = (await house.start(1)) as [HouseNode]
    const controller = new AbortController()
    const looking = (async () => {
      for await (const _ of reader.locator.holders([randomBytes(32)], {
        group: randomBytes(32),
        signal: controller.signal,
      }));
    })()
    controller.abort(new Error('enough'))
    await expect(looking).rejects.toThrow('enough')
    const other = find(reader, [randomBytes(32)])
    await reader.locator.stop()
    await expect(other).rejects.toThrow('the node stops')
  }, 30_000)
})
