import { readdir, truncate, unlink, writeFile } from 'node:fs/promises'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { blocksLayout } from '../../../../src/storage/blocks/layout.ts'
import { openBlocks, type TestBlock, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'

const LARGE = 40_000
const SMALL = 4_000

/** Puts the blocks, closes, and lets `damage` at the folder. */
async function homeWith(home: string, blocks: TestBlock[], damage: () => Promise<void>): Promise<void> {
  {
    await using opened = await openBlocks(home)
    for (const { cid, bytes } of blocks) await opened.store.put(cid, bytes)
  }
  await damage()
}

const DAMAGES: [string, (path: string) => Promise<void>][] = [
  ['whose bytes changed', (path) => writeFile(path, testBlock('else', LARGE).bytes)],
  ['that was cut short', (path) => truncate(path, LARGE - 1)],
  ['that is empty', (path) => truncate(path, 0)],
  ['that is missing', (path) => unlink(path)],
]

test.each(DAMAGES)('a file %s is quarantined on read and heals with the next put', async (_, damage) => {
  await using home = await temporaryHome()
  const layout = blocksLayout(home.path)
  const [bad, good] = [testBlock('bad', LARGE), testBlock('good', LARGE)] as const
  await homeWith(home.path, [bad, good], () => damage(layout.filePath(bad.cid.multihash.bytes)))
  {
    await using opened = await openBlocks(home.path)
    expect(await opened.store.has(bad.cid)).toBe(true)
    expect(await opened.store.get(bad.cid)).toBeUndefined()
    expect(opened.rotten.map(String)).toEqual([bad.cid.toString()])
    expect(await opened.store.has(bad.cid)).toBe(false)
    expect(await opened.store.size(bad.cid)).toBeUndefined()
    expect(opened.store.usage()).toMatchObject({ blocks: 1, blockBytes: LARGE, quarantined: 1 })
    // Told once: it is not held any more.
    expect(await opened.store.get(bad.cid)).toBeUndefined()
    expect(opened.rotten).toHaveLength(1)
    expect(await opened.store.get(good.cid)).toEqual(good.bytes)

    await opened.store.put(bad.cid, bad.bytes)
    expect(await opened.store.get(bad.cid)).toEqual(bad.bytes)
    expect(opened.store.usage()).toMatchObject({ blocks: 2, blockBytes: 2 * LARGE, quarantined: 0 })
  }
  await using opened = await openBlocks(home.path)
  expect(await opened.store.get(bad.cid)).toEqual(bad.bytes)
})

test.each(DAMAGES.slice(1))(
  'a put of a block with a file %s keeps the bytes that it brings',
  async (_, damage) => {
    await using home = await temporaryHome()
    const block = testBlock('bad', LARGE)
    await homeWith(home.path, [block], () =>
      damage(blocksLayout(home.path).filePath(block.cid.multihash.bytes)),
    )
    {
      await using opened = await openBlocks(home.path)
      await opened.store.put(block.cid, block.bytes)
      expect(await opened.store.get(block.cid)).toEqual(block.bytes)
      expect(opened.store.usage()).toMatchObject({ blocks: 1, blockBytes: LARGE, quarantined: 0 })
    }
    await using opened = await openBlocks(home.path)
    expect(await opened.store.get(block.cid)).toEqual(block.bytes)
  },
)

test('rotten bytes in the database are quarantined as well, and kept to be looked at', async () => {
  await using home = await temporaryHome()
  const block = testBlock('small', SMALL)
  await homeWith(home.path, [block], async () => {
    const db = new Database(blocksLayout(home.path).databasePath)
    db.prepare('UPDATE block_data SET data = ?').run(testBlock('rot', SMALL).bytes)
    db.close()
  })
  await using opened = await openBlocks(home.path)
  expect(await opened.store.get(block.cid)).toBeUndefined()
  expect(opened.store.usage()).toMatchObject({ blocks: 0, blockBytes: 0, quarantined: 1 })
  expect(await readdir(blocksLayout(home.path).quarantinePath)).toHaveLength(1)
  await opened.store.put(block.cid, block.bytes)
  expect(await opened.store.get(block.cid)).toEqual(block.bytes)
  expect(opened.store.usage()).toMatchObject({ blocks: 1, blockBytes: SMALL, quarantined: 0 })
})

test('many reads of one rotten block quarantine it once', async () => {
  await using home = await temporaryHome()
  const block = testBlock('many', LARGE)
  const path = blocksLayout(home.path).filePath(block.cid.multihash.bytes)
  await homeWith(home.path, [block], () => truncate(path, 5))
  await using opened = await openBlocks(home.path)
  const answers = await Promise.all(Array.from({ length: 20 }, () => opened.store.get(block.cid)))
  expect(answers.every((answer) => answer === undefined)).toBe(true)
  expect(opened.rotten).toHaveLength(1)
  expect(opened.store.usage().quarantined).toBe(1)
})

test('a put while the rot is being found leaves the good bytes', async () => {
  await using home = await temporaryHome()
  const block = testBlock('race', LARGE)
  const path = blocksLayout(home.path).filePath(block.cid.multihash.bytes)
  await homeWith(home.path, [block], () => truncate(path, 5))
  await using opened = await openBlocks(home.path)
  const reading = opened.store.get(block.cid)
  // Held by its row still, then not: put until it is held for good.
  await opened.store.put(block.cid, block.bytes)
  await reading
  await opened.store.put(block.cid, block.bytes)
  expect(await opened.store.get(block.cid)).toEqual(block.bytes)
  expect(opened.store.usage()).toMatchObject({ blocks: 1, quarantined: 0 })
})

test('the quarantine is bounded and counted', async () => {
  await using home = await temporaryHome()
  const layout = blocksLayout(home.path)
  const blocks = Array.from({ length: 70 }, (_, index) => testBlock(index, LARGE))
  await homeWith(home.path, blocks, async () => {
    for (const { cid } of blocks) await truncate(layout.filePath(cid.multihash.bytes), 20_000)
  })
  await using opened = await openBlocks(home.path)
  for (const { cid } of blocks) expect(await opened.store.get(cid)).toBeUndefined()
  expect(await readdir(layout.quarantinePath)).toHaveLength(64)
  expect(opened.store.usage().quarantined).toBe(70)
})

test('check reads past the memory tier', async () => {
  await using home = await temporaryHome()
  await using opened = await openBlocks(home.path, { memoryBytes: 1_000_000 })
  const block = testBlock('checked', LARGE)
  const mh = block.cid.multihash.bytes
  const { signal } = new AbortController()
  expect(await opened.store.check(mh, signal)).toEqual({ state: 'absent', sizeBytes: 0 })
  await opened.store.put(block.cid, block.bytes)
  expect(await opened.store.check(mh, signal)).toEqual({ state: 'good', sizeBytes: LARGE })
  await truncate(blocksLayout(home.path).filePath(mh), 5)
  expect(await opened.store.get(block.cid)).toEqual(block.bytes)
  expect(await opened.store.check(mh, signal)).toEqual({ state: 'rotten', sizeBytes: LARGE })
  expect(await opened.store.get(block.cid)).toBeUndefined()
})
