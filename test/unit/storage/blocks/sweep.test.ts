import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { blocksLayout } from '../../../../src/storage/blocks/layout.ts'
import { fileName, folderNames, parseFileName } from '../../../../src/storage/files/names.ts'
import type { RemovedBlock } from '../../../../src/storage/blocks/internal.ts'
import { openBlocks, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'

function markUnclean(home: string): void {
  const db = new Database(blocksLayout(home).databasePath)
  db.prepare("UPDATE meta SET value = 1 WHERE key = 'unclean'").run()
  db.close()
}

test('after an unclean end, files without a row are removed, those with one stay', async () => {
  await using home = await temporaryHome()
  const layout = blocksLayout(home.path)
  const held = testBlock('held', 30_000)
  const orphans = Array.from({ length: 30 }, (_, index) => testBlock(`orphan ${index}`, 20_000))
  await (async () => {
    await using opened = await openBlocks(home.path)
    await opened.store.put(held.cid, held.bytes)
  })()
  for (const { cid, bytes } of orphans) {
    const path = layout.filePath(cid.multihash.bytes)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
  }
  const foreign = join(dirname(layout.filePath(held.cid.multihash.bytes)), 'README.txt')
  await writeFile(foreign, 'not ours')
  markUnclean(home.path)
  {
    await using opened = await openBlocks(home.path)
    // Put while the sweep is under way: one of the orphans becomes a block.
    const saved = orphans[0] as (typeof orphans)[number]
    await opened.store.put(saved.cid, saved.bytes)
    await opened.store.swept
    expect(await opened.store.get(saved.cid)).toEqual(saved.bytes)
    expect(await opened.store.get(held.cid)).toEqual(held.bytes)
    for (const { cid } of orphans.slice(1)) {
      await expect(stat(layout.filePath(cid.multihash.bytes))).rejects.toMatchObject({ code: 'ENOENT' })
    }
    expect((await stat(foreign)).size).toBeGreaterThan(0)
  }
  await using opened = await openBlocks(home.path)
  expect(opened.writer.figures.unclean).toBe(false)
})

test('a sweep that was cut short begins again at the next start', async () => {
  await using home = await temporaryHome()
  await (await openBlocks(home.path)).store.close()
  markUnclean(home.path)
  await (await openBlocks(home.path)).store.close()
  await using opened = await openBlocks(home.path)
  expect(opened.writer.figures.unclean).toBe(true)
  await opened.store.swept
})

test('discard removes files of blocks whose rows are gone, and no others', async () => {
  await using home = await temporaryHome()
  const layout = blocksLayout(home.path)
  await using opened = await openBlocks(home.path, { memoryBytes: 1_000_000 })
  const blocks = Array.from({ length: 9 }, (_, index) => testBlock(index, 20_000))
  await Promise.all(blocks.map(({ cid, bytes }) => opened.store.put(cid, bytes)))
  const horizon = await opened.writer.call<number>('maintenance.horizon', {})
  const { removed } = await opened.writer.call<{ removed: RemovedBlock[] }>('maintenance.collect', {
    horizon,
  })
  expect(removed).toHaveLength(blocks.length)
  // Put again before the files are removed: in time or not, it must stay.
  const [first, second, ...rest] = blocks as [(typeof blocks)[0], (typeof blocks)[0], ...typeof blocks]
  await opened.store.put(first.cid, first.bytes)
  const putting = opened.store.put(second.cid, second.bytes)
  await Promise.all([opened.store.discard(removed), putting])
  expect(await opened.store.check(first.cid.multihash.bytes, AbortSignal.timeout(5_000))).toMatchObject({
    state: 'good',
  })
  expect(await opened.store.check(second.cid.multihash.bytes, AbortSignal.timeout(5_000))).toMatchObject({
    state: 'good',
  })
  for (const { cid } of rest) {
    expect(await opened.store.get(cid)).toBeUndefined()
    await expect(stat(layout.filePath(cid.multihash.bytes))).rejects.toMatchObject({ code: 'ENOENT' })
  }
  expect(opened.store.usage().blocks).toBe(2)
})

test('names of files are made and read back, and nothing else is taken for one', async () => {
  expect(new Set(folderNames()).size).toBe(1_024)
  const { cid } = testBlock('name', 10)
  const name = fileName(cid.multihash.bytes)
  expect(parseFileName(name)).toEqual(cid.multihash.bytes)
  expect(parseFileName(name.toUpperCase())).toBeUndefined()
  expect(parseFileName('README.txt')).toBeUndefined()
  expect(folderNames()).toContain(name.slice(-3, -1))
  await using home = await temporaryHome()
  await (await openBlocks(home.path)).store.close()
  expect((await readdir(join(home.path, 'blocks'))).sort()).toEqual(['quarantine', 'tmp'])
})
