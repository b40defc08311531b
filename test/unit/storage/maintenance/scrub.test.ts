import { rmSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { blocksLayout } from '../../../../src/storage/blocks/layout.ts'
import { createPacer } from '../../../../src/storage/maintenance/pacer.ts'
import { type TestBlock, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'
import { cborNode, openPins } from '../../../support/storage-pins.ts'

const never = (): AbortSignal => new AbortController().signal

/** Changes a block's bytes behind the store's back. */
function spoil(home: string, { cid, bytes }: TestBlock, how: 'flip' | 'lose' = 'flip'): void {
  const layout = blocksLayout(home)
  const mh = cid.multihash.bytes
  const rotten = Uint8Array.from(bytes)
  rotten[7] = (rotten[7] as number) ^ 1
  if (bytes.byteLength > 16_384) {
    if (how === 'lose') rmSync(layout.filePath(mh))
    else writeFileSync(layout.filePath(mh), rotten)
    return
  }
  const db = new Database(layout.databasePath)
  db.prepare('UPDATE block_data SET data = ? WHERE id = (SELECT id FROM block WHERE mh = ?)').run(rotten, mh)
  db.close()
}

test('a scrub finds rot in small blocks and files, heals what is referenced and forgets the rest', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { store, pins, maintenance } = house
  const leaves = [
    testBlock('small', 900),
    testBlock('large', 90_000),
    testBlock('gone', 70_000),
    testBlock('ok', 50),
  ]
  const root = cborNode(leaves.map(({ cid }) => cid))
  const loose = testBlock('loose', 1_000)
  for (const { cid, bytes } of [...leaves, root, loose]) await store.put(cid, bytes)
  await pins.add(root.cid, { kind: 'recursive', signal: never() })
  for (const block of [leaves[0], leaves[1], root, loose]) spoil(home.path, block as TestBlock)
  spoil(home.path, leaves[2] as TestBlock, 'lose')

  const asked: CID[] = []
  const positions: number[] = []
  const result = await maintenance.scrub({
    signal: never(),
    onProgress: ({ after, totalBlocks }) => {
      positions.push(after)
      expect(totalBlocks).toBeLessThanOrEqual(6)
    },
    heal: async (cid) => {
      asked.push(cid)
      return [...leaves, root].find((block) => block.cid.equals(cid))?.bytes
    },
  })
  expect(result).toMatchObject({ checkedBlocks: 6, rottenBlocks: 5, healedBlocks: 4 })
  expect(asked.map(String).sort()).toEqual(
    [leaves[0], leaves[1], leaves[2], root].map((block) => String((block as TestBlock).cid)).sort(),
  )
  expect(positions.at(-1)).toBe(6)
  for (const { cid, bytes } of [...leaves, root])
    expect(Buffer.compare((await store.get(cid)) ?? Buffer.of(), bytes)).toBe(0)
  expect(await store.has(loose.cid)).toBe(false)
  expect(store.usage()).toMatchObject({ blocks: 5, quarantined: 0 })
  expect(await maintenance.scrub({ signal: never() })).toMatchObject({ checkedBlocks: 5, rottenBlocks: 0 })
})

test('what nobody can heal stays quarantined and referenced, and is asked for again by the next scrub', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { store, pins, maintenance } = house
  const child = testBlock('child', 30)
  const inner = cborNode([child.cid])
  const root = cborNode([inner.cid])
  for (const { cid, bytes } of [child, inner, root]) await store.put(cid, bytes)
  await pins.add(root.cid, { kind: 'recursive', signal: never() })
  spoil(home.path, inner)
  const wrong = await maintenance.scrub({ signal: never(), heal: async () => new Uint8Array([1, 2, 3]) })
  expect(wrong).toMatchObject({ rottenBlocks: 1, healedBlocks: 0 })
  const silent = await maintenance.scrub({
    signal: never(),
    heal: () => Promise.reject(new Error('no peer answers')),
  })
  expect(silent).toMatchObject({ checkedBlocks: 2, rottenBlocks: 0, healedBlocks: 0 })
  expect(store.usage()).toMatchObject({ blocks: 2, quarantined: 1 })
  expect(pins.state(inner.cid)).toBe('indirect')

  // Another pin over the damaged block is not told that it is whole.
  const other = cborNode([root.cid], 'other')
  await store.put(other.cid, other.bytes)
  await expect(pins.add(other.cid, { kind: 'recursive', signal: never() })).rejects.toMatchObject({
    code: 'ERR_PIN_INCOMPLETE',
    details: { missing: inner.cid.toString() },
  })

  // Without its bytes nobody knows what it links to: its child stays until it is healed.
  await house.pins.close()
  await house.store.close()
  await using again = await openPins(home.path)
  await again.pins.remove(root.cid, { signal: never() })
  expect(again.pins.count()).toBe(0)
  await again.maintenance.collect({ signal: never() })
  expect(await again.store.has(child.cid)).toBe(true)
  expect(await again.maintenance.scrub({ signal: never(), heal: async () => inner.bytes })).toMatchObject({
    healedBlocks: 1,
  })
  await expect
    .poll(async () => {
      await again.maintenance.collect({ signal: never() })
      return again.store.usage().blocks
    })
    .toBe(0)
  expect(again.store.usage().quarantined).toBe(0)
})

test('a scrub that was cut short goes on where it was', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { store, maintenance } = house
  const blocks = Array.from({ length: 100 }, (_, at) => testBlock(at, 64))
  for (const { cid, bytes } of blocks) await store.put(cid, bytes)
  const abort = new AbortController()
  let position = { after: 0, checkedBlocks: 0 }
  await expect(
    maintenance.scrub({
      signal: abort.signal,
      onProgress: (now) => {
        position = now
        if (now.checkedBlocks >= 40) abort.abort()
      },
    }),
  ).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  const rest = await maintenance.scrub({ signal: never(), after: position.after })
  expect(position.checkedBlocks + rest.checkedBlocks).toBe(100)
})

test('a scrub keeps to its rate', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path, { scrubRateBytesPerSecond: 1_000_000 })
  for (let at = 0; at < 6; at++) {
    const { cid, bytes } = testBlock(at, 100_000)
    await house.store.put(cid, bytes)
  }
  const startMs = performance.now()
  expect(await house.maintenance.scrub({ signal: never() })).toMatchObject({ checkedBytes: 600_000 })
  expect(performance.now() - startMs).toBeGreaterThan(500)
})

test('a pause does not let a burst follow', async () => {
  const pacer = createPacer(1_000_000)
  await pacer.spent(1, never())
  await new Promise((resolve) => setTimeout(resolve, 100))
  const startMs = performance.now()
  await pacer.spent(50_000, never())
  expect(performance.now() - startMs).toBeGreaterThan(40)
})
