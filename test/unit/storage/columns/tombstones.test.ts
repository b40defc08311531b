import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ChunkStatus } from '../../../../protocols/chunk/errors.ts'
import { MAX_FOREIGN_TOMBSTONES } from '../../../../src/storage/columns/limits.ts'
import { columnsLayout } from '../../../../src/storage/columns/layout.ts'
import type { ColumnStore } from '../../../../src/storage/columns/columns.ts'
import {
  beginDraft,
  openTestColumns,
  plainSigned,
  storeColumn,
  type TestColumn,
  testColumn,
  UNTIL_MS,
  writePieces,
} from '../../../support/columns.ts'
import { temporaryHome } from '../../../support/storage-blocks.ts'

const tombstoned = { code: 'ERR_CHUNK_REFUSED', status: ChunkStatus.tombstoned }

const bury = (columns: ColumnStore, { slab, deletion }: TestColumn, keepUntilMs = UNTIL_MS) =>
  columns.bury({ slab, signed: deletion().signed, keepUntilMs })

test('a deletion removes the column, and keeps the slab from coming back, also after a new start', async () => {
  await using home = await temporaryHome()
  const column = testColumn('deleted')
  {
    await using opened = await openTestColumns(home.path)
    const { columns } = opened
    await storeColumn(columns, column)
    await bury(columns, column)
    expect(columns.get(column.slab)).toBeUndefined()
    expect(columns.usage()).toMatchObject({ columns: 0, usedBytes: 0, tombstones: 1 })
    expect(existsSync(columnsLayout(home.path).filePath(column.slab))).toBe(false)
    await expect(columns.begin(column.open)).rejects.toMatchObject(tombstoned)
  }
  await using opened = await openTestColumns(home.path)
  const { columns } = opened
  expect(columns.isBuried(column.slab)).toBe(true)
  await expect(columns.begin({ ...column.open, column: 3 })).rejects.toMatchObject(tombstoned)
})

test('a deletion meets a draft: neither what is written nor what is being committed stays', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const { columns } = opened
  const [writing, committing] = [testColumn('writing'), testColumn('committing')]
  const one = await beginDraft(columns, writing.open)
  one.beginPiece((writing.pieces[0] as Uint8Array).length)
  await bury(columns, writing)
  await expect(one.write(writing.pieces[0] as Uint8Array)).rejects.toMatchObject(tombstoned)
  await one.abort()

  const two = await beginDraft(columns, committing.open)
  await writePieces(two, committing.pieces)
  const [commit] = await Promise.allSettled([two.commit(committing.index), bury(columns, committing)])
  if (commit.status === 'rejected') expect(commit.reason).toMatchObject(tombstoned)
  expect(columns.get(committing.slab)).toBeUndefined()
  expect(existsSync(columnsLayout(home.path).filePath(committing.slab))).toBe(false)
  expect(columns.usage()).toMatchObject({ columns: 0, usedBytes: 0, drafts: 0, tombstones: 2 })
})

test('tombstones are told by a counter that never goes back', async () => {
  await using home = await temporaryHome()
  const all = Array.from({ length: 6 }, (_, index) => testColumn(index))
  const signed = all.map(({ deletion }) => plainSigned(deletion().signed))
  {
    await using opened = await openTestColumns(home.path)
    const { columns } = opened
    expect(columns.tombstones(0, 10)).toEqual({ deletions: [], next: 0 })
    for (const [index, column] of all.slice(0, 4).entries()) await bury(columns, column, 1_000 + index)
    // Told twice: nothing new for others, only kept for longer.
    await bury(columns, all[0] as TestColumn, 5_000)
    expect(columns.tombstones(0, 3)).toEqual({ deletions: signed.slice(0, 3), next: 3 })
    expect(columns.tombstones(3, 3)).toEqual({ deletions: signed.slice(3, 4), next: 4 })
    expect(columns.tombstones(4, 3)).toEqual({ deletions: [], next: 4 })
    expect(await columns.forgetTombstones(1_003)).toBe(2)
    expect(await columns.forgetTombstones(1_003)).toBe(0)
    expect(all.map(({ slab }) => columns.isBuried(slab))).toEqual([true, false, false, true, false, false])
    expect(await columns.forgetTombstones(10_000)).toBe(2)
    expect(columns.usage().tombstones).toBe(0)
  }
  await using opened = await openTestColumns(home.path)
  await bury(opened.columns, all[4] as TestColumn)
  expect(opened.columns.tombstones(4, 10)).toEqual({ deletions: [signed[4]], next: 5 })
  expect(opened.columns.usage().tombstones).toBe(1)
})

test("strangers' deletions have a bound, and crowd out neither those of what is held nor this owner's", async () => {
  await using home = await temporaryHome()
  const [held, own, foreign] = [testColumn('held'), testColumn('own'), testColumn('foreign')]
  {
    await using opened = await openTestColumns(home.path)
    await storeColumn(opened.columns, held)
    opened.state.db
      .prepare(
        `INSERT INTO column_tombstone (slab, payload, signature, keep_until_ms)
         WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < ?)
         SELECT randomblob(32), x'00', x'00', ? FROM numbers`,
      )
      .run(MAX_FOREIGN_TOMBSTONES, UNTIL_MS)
  }
  await using opened = await openTestColumns(home.path)
  const { columns } = opened
  await expect(bury(columns, foreign)).rejects.toMatchObject({ status: ChunkStatus.noSpace })
  await bury(columns, held)
  await columns.bury({ slab: own.slab, signed: own.deletion().signed, keepUntilMs: UNTIL_MS, isOwn: true })
  expect([held, own, foreign].map(({ slab }) => columns.isBuried(slab))).toEqual([true, true, false])
})
