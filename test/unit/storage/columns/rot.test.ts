import { open, readdir, readFile, truncate, unlink } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { ChunkStatus } from '../../../../protocols/chunk/errors.ts'
import { HEADER_BYTES } from '../../../../src/storage/columns/column-file.ts'
import { columnsLayout } from '../../../../src/storage/columns/layout.ts'
import {
  beginDraft,
  type OpenedColumns,
  openTestColumns,
  readColumn,
  storeColumn,
  type TestColumn,
  testColumn,
  writePieces,
} from '../../../support/columns.ts'
import { longestTurnMs, temporaryHome } from '../../../support/storage-blocks.ts'

const signal = new AbortController().signal

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, at)
    byte[0] = (byte[0] as number) ^ 0x10
    await file.write(byte, 0, 1, at)
  } finally {
    await file.close()
  }
}

const SIZES = { sealedBytes: [60_000, 90_000] }
const FIRST_BYTES = 30_000
const COLUMN_BYTES = 75_000

const DAMAGES: [string, (path: string) => Promise<void>][] = [
  ['a byte of a piece changed', (path) => flip(path, HEADER_BYTES + FIRST_BYTES + 5)],
  ['a root in the index changed', (path) => flip(path, HEADER_BYTES + COLUMN_BYTES + 200)],
  ['the trailer changed', async (path) => flip(path, (await readFile(path)).length - 1)],
  ['the file was cut short', (path) => truncate(path, HEADER_BYTES + FIRST_BYTES + 10)],
  ['the file is empty', (path) => truncate(path, 0)],
  ['the file is missing', (path) => unlink(path)],
]

type Finder = [string, (opened: OpenedColumns, column: TestColumn) => Promise<unknown>]
const FINDERS: Finder[] = [
  ['piece', ({ columns }, { slab }) => columns.piece(slab, 1, { signal })],
  ['prove', ({ columns }, { slab }) => columns.prove(slab, 1, 0)],
  [
    'scrub',
    async ({ columns }) => {
      expect(await columns.scrub({ signal })).toEqual({ checkedColumns: 2, rottenColumns: 1 })
    },
  ],
]

const CASES = DAMAGES.flatMap(([what, damage]) =>
  FINDERS.map(([finder, find]) => [what, finder, damage, find] as const),
)

test.each(CASES)(
  'where %s, it is found by %s, and the column can come again',
  async (_what, _finder, damage, find) => {
    await using home = await temporaryHome()
    const [bad, good] = [testColumn('bad', SIZES), testColumn('good', SIZES)]
    {
      await using opened = await openTestColumns(home.path)
      for (const column of [bad, good]) await storeColumn(opened.columns, column)
    }
    await damage(columnsLayout(home.path).filePath(bad.slab))
    {
      await using opened = await openTestColumns(home.path)
      const { columns } = opened
      expect(await find(opened, bad)).toBeUndefined()
      expect(opened.rotten).toMatchObject([{ column: 1, columnBytes: COLUMN_BYTES }])
      expect(columns.get(bad.slab)).toBeUndefined()
      expect(columns.have([bad.slab])).toEqual([])
      expect(columns.list({ limit: 10 })).toHaveLength(1)
      expect(columns.lease(bad.slab)).toBeUndefined()
      expect(columns.usage()).toMatchObject({ columns: 1, rottenColumns: 1 })
      // Told once: it is not held any more.
      expect(await columns.piece(bad.slab, 1, { signal })).toBeUndefined()
      expect(await columns.index(bad.slab)).toBeUndefined()
      expect(opened.rotten).toHaveLength(1)
      expect(await readColumn(columns, good)).toEqual(good.pieces)
    }
    await using opened = await openTestColumns(home.path)
    const { columns } = opened
    expect(columns.usage()).toMatchObject({ columns: 1, rottenColumns: 1 })
    await storeColumn(columns, bad)
    expect(await readColumn(columns, bad)).toEqual(bad.pieces)
    expect(columns.usage()).toMatchObject({ columns: 2, rottenColumns: 0 })
    expect(opened.rotten).toEqual([])
  },
)

test('a changed header is found by a scrub', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const column = testColumn('header')
  await storeColumn(opened.columns, column)
  await flip(columnsLayout(home.path).filePath(column.slab), 3)
  expect(await opened.columns.scrub({ signal })).toEqual({ checkedColumns: 1, rottenColumns: 1 })
})

test('a rotten column keeps its index the only one that is accepted, and its newer lease', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const { columns } = opened
  const column = testColumn('index')
  await storeColumn(columns, column)
  const lease = column.lease({ sequence: 7, untilMs: 3_000_000_000_000 })
  await columns.renew(column.slab, { signed: lease.signed, untilMs: lease.untilMs, sequence: 7 })
  await unlink(columnsLayout(home.path).filePath(column.slab))
  // A store that is tried again finds the loss by itself.
  const again = await beginDraft(columns, column.open)
  expect(opened.rotten).toHaveLength(1)
  await writePieces(again, column.pieces)
  await expect(again.commit(column.otherIndex())).rejects.toMatchObject({ status: ChunkStatus.invalid })
  const claim = testColumn('index', { column: 2 })
  const other = await beginDraft(columns, claim.open)
  await writePieces(other, claim.pieces)
  await expect(other.commit(claim.index)).rejects.toMatchObject({ status: ChunkStatus.conflict })
  const row = await storeColumn(columns, column)
  expect(row).toMatchObject({ leaseSequence: 7, untilMs: 3_000_000_000_000 })
})

test('many reads of one rotten column quarantine it once, and good ones go on', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const [bad, good] = [testColumn('bad', SIZES), testColumn('good', SIZES)]
  for (const column of [bad, good]) await storeColumn(opened.columns, column)
  await flip(columnsLayout(home.path).filePath(bad.slab), HEADER_BYTES)
  const reads = Array.from({ length: 30 }, (_, index) =>
    opened.columns.piece((index % 2 === 0 ? bad : good).slab, 0, { signal }),
  )
  const answers = await Promise.all(reads)
  expect(answers.filter((answer) => answer !== undefined)).toHaveLength(15)
  expect(opened.rotten).toHaveLength(1)
})

test('the quarantine is bounded', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const layout = columnsLayout(home.path)
  const all = Array.from({ length: 20 }, (_, index) => testColumn(index))
  for (const column of all) {
    await storeColumn(opened.columns, column)
    await flip(layout.filePath(column.slab), HEADER_BYTES)
  }
  await opened.columns.scrub({ signal })
  expect(opened.rotten).toHaveLength(20)
  expect(await readdir(layout.quarantinePath)).toHaveLength(16)
})

test('the quarantine is a small part of a small offer', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path, { offerBytes: 1_000_000 })
  const layout = columnsLayout(home.path)
  for (let index = 0; index < 4; index++) {
    const column = testColumn(index, { sealedBytes: [60_000] })
    await storeColumn(opened.columns, column)
    await flip(layout.filePath(column.slab), HEADER_BYTES)
  }
  await opened.columns.scrub({ signal })
  expect(opened.rotten).toHaveLength(4)
  expect(await readdir(layout.quarantinePath)).toHaveLength(2)
})

test('a scrub is paced, tells how far it is, and ends with its signal', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path, { scrubRateBytesPerSecond: 1_000_000 })
  for (let index = 0; index < 8; index++) await storeColumn(opened.columns, testColumn(index, SIZES))
  const beganMs = performance.now()
  const progress: number[] = []
  await opened.columns.scrub({ signal, onProgress: ({ checkedColumns }) => progress.push(checkedColumns) })
  expect(performance.now() - beganMs).toBeGreaterThan(500)
  expect(progress).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  const fifth = opened.columns.list({ limit: 8 })[4]?.slab as Uint8Array
  expect(await opened.columns.scrub({ signal, after: fifth })).toMatchObject({ checkedColumns: 3 })
  const abort = new AbortController()
  const scrubbing = opened.columns.scrub({ signal: abort.signal, onProgress: () => abort.abort() })
  await expect(scrubbing).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  expect(opened.rotten).toEqual([])
})

test('long pieces are stored, read and proven without holding the event loop', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const all = Array.from({ length: 8 }, (_, index) =>
    testColumn(index, { k: 1, n: 2, sealedBytes: Array.from({ length: 4 }, () => 1_048_596) }),
  )
  const longestMs = await longestTurnMs(async () => {
    await Promise.all(all.map((column) => storeColumn(opened.columns, column)))
    await Promise.all(all.map((column) => readColumn(opened.columns, column)))
    await Promise.all(all.map(({ slab }) => opened.columns.prove(slab, 3, 64)))
  })
  expect(longestMs).toBeLessThan(50)
})
