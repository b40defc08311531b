import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { columnsLayout } from '../../../../src/storage/columns/layout.ts'
import {
  beginDraft,
  openTestColumns,
  readColumn,
  storeColumn,
  type TestColumn,
  testColumn,
  writePieces,
} from '../../../support/columns.ts'
import { temporaryHome } from '../../../support/storage-blocks.ts'

const signal = new AbortController().signal

/** A file of a column that has no row, and one that is no column's. */
async function leaveFiles(home: string): Promise<{ orphan: string; foreign: string }> {
  const layout = columnsLayout(home)
  const orphan = layout.filePath(testColumn('orphan').slab)
  await mkdir(dirname(orphan), { recursive: true })
  await writeFile(orphan, new Uint8Array(5_000))
  const foreign = join(dirname(orphan), 'README')
  await writeFile(foreign, 'not a column')
  return { orphan, foreign }
}

test('after a run that was not closed, files without a row are removed in the background, tmp at once', async () => {
  await using home = await temporaryHome()
  const held = testColumn('held')
  {
    await using opened = await openTestColumns(home.path)
    await storeColumn(opened.columns, held)
    await opened.columns.close()
    opened.state.db.prepare(`UPDATE column_meta SET value = 1 WHERE key = 'unclean'`).run()
  }
  const { orphan, foreign } = await leaveFiles(home.path)
  await writeFile(join(columnsLayout(home.path).tmpPath, '7'), 'half')
  await using opened = await openTestColumns(home.path)
  expect(await readdir(columnsLayout(home.path).tmpPath)).toEqual([])
  await opened.columns.swept
  expect(existsSync(orphan)).toBe(false)
  expect(existsSync(foreign)).toBe(true)
  expect(await readColumn(opened.columns, held)).toEqual(held.pieces)
})

test('a closed run needs no sweep, and the next start none either', async () => {
  await using home = await temporaryHome()
  for (let run = 0; run < 2; run++) {
    await using opened = await openTestColumns(home.path)
    const unclean = opened.state.db.prepare(`SELECT value FROM column_meta`).pluck()
    expect(unclean.get()).toBe(1)
    await opened.columns.close()
    expect(unclean.get()).toBe(0)
  }
})

test('a sweep that is asked for counts, and removes unless it is dry', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const { columns } = opened
  const layout = columnsLayout(home.path)
  const [held, lost, writing] = [testColumn('held'), testColumn('lost'), testColumn('writing')]
  for (const column of [held, lost]) await storeColumn(columns, column)
  const draft = await beginDraft(columns, writing.open)
  await writePieces(draft, writing.pieces)
  const { orphan, foreign } = await leaveFiles(home.path)
  await unlink(layout.filePath(lost.slab))

  const found = { orphans: 2, bytes: 5_000 }
  expect(await columns.sweep({ dryRun: true, signal })).toEqual(found)
  expect(existsSync(orphan)).toBe(true)
  expect(opened.rotten).toEqual([])
  expect(await columns.sweep({ dryRun: false, signal })).toEqual(found)
  expect(existsSync(orphan)).toBe(false)
  expect(existsSync(foreign)).toBe(true)
  expect(opened.rotten).toHaveLength(1)
  expect(columns.get(lost.slab)).toBeUndefined()
  expect(await columns.sweep({ dryRun: false, signal })).toEqual({ orphans: 0, bytes: 0 })
  await draft.commit(writing.index)
  expect(await readColumn(columns, writing)).toEqual(writing.pieces)
  const abort = new AbortController()
  abort.abort()
  await expect(columns.sweep({ dryRun: true, signal: abort.signal })).rejects.toMatchObject({
    code: 'ERR_CANCELLED',
  })
})

test('what is left of a column under another name is no column', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const [one, two] = [testColumn('one'), testColumn('two')]
  for (const column of [one, two]) await storeColumn(opened.columns, column)
  const layout = columnsLayout(home.path)
  await copyFile(layout.filePath(one.slab), layout.filePath(two.slab))
  await opened.columns.scrub({ signal })
  expect(opened.rotten).toMatchObject([{ slab: Uint8Array.from(two.slab) }])
})

test('columns whose disk was away for a start are held again once it is back', async () => {
  await using home = await temporaryHome()
  const all = [testColumn('one'), testColumn('two', { repair: true }), testColumn('spoilt')]
  const { rootPath, filePath } = columnsLayout(home.path)
  let before: unknown
  {
    await using opened = await openTestColumns(home.path)
    for (const column of all) await storeColumn(opened.columns, column)
    await opened.columns.remove((all[2] as TestColumn).slab)
    before = opened.columns.usage()
    await storeColumn(opened.columns, all[2] as TestColumn)
  }
  await rename(rootPath, `${rootPath}-away`)
  {
    await using opened = await openTestColumns(home.path)
    expect(await opened.columns.sweep({ dryRun: false, signal })).toMatchObject({ orphans: 3 })
    expect(opened.columns.usage()).toMatchObject({ columns: 0, usedBytes: 0, rottenColumns: 3 })
  }
  await rm(rootPath, { recursive: true })
  await rename(`${rootPath}-away`, rootPath)
  await writeFile(filePath((all[2] as TestColumn).slab), 'spoilt')
  await using opened = await openTestColumns(home.path)
  const { columns } = opened
  expect(await columns.sweep({ dryRun: true, signal })).toMatchObject({ orphans: 1 })
  expect(columns.usage()).toMatchObject({ columns: 0, rottenColumns: 3 })
  expect(await columns.sweep({ dryRun: false, signal })).toMatchObject({ orphans: 1 })
  for (const column of all.slice(0, 2)) expect(await readColumn(columns, column)).toEqual(column.pieces)
  expect(await readColumn(columns, all[2] as TestColumn)).toBeUndefined()
  expect(columns.usage()).toEqual({ ...(before as object), rottenColumns: 1 })
})
