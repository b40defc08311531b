import { expect, test } from 'vitest'
import {
  beginDraft,
  openTestColumns,
  readColumn,
  storeColumn,
  type TestColumn,
  testColumn,
  writePieces,
} from '../../../support/columns.ts'
import { afterPowerLoss, ForgetfulFileSystem } from '../../../support/power-loss.ts'
import { temporaryHome } from '../../../support/storage-blocks.ts'

const STATE = ['state.db', 'state.db-wal']

function columnsOf(count: number): TestColumn[] {
  return Array.from({ length: count }, (_, index) =>
    testColumn(index, { sealedBytes: [[200], [40_000, 9_000], [300_000]][index % 3] as number[] }),
  )
}

/** Stores columns, cuts the power `times` times meanwhile, and counts acknowledged columns that are lost. */
async function lostColumns(
  times: number,
  ignored: ConstructorParameters<typeof ForgetfulFileSystem>[1],
): Promise<number> {
  await using home = await temporaryHome()
  await using disks = await temporaryHome()
  const fs = new ForgetfulFileSystem(home.path, ignored)
  const columns = columnsOf(48)
  const cuts: { path: string; acknowledged: TestColumn[] }[] = []
  {
    await using opened = await openTestColumns(home.path, { fs })
    const acknowledged: TestColumn[] = []
    let next = 0
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let column = columns[next++]; column !== undefined; column = columns[next++]) {
          await storeColumn(opened.columns, column)
          acknowledged.push(column)
          if (acknowledged.length % Math.floor(columns.length / times) === 0) {
            const told = [...acknowledged]
            cuts.push({ path: await afterPowerLoss(home.path, fs, disks.path, STATE), acknowledged: told })
          }
        }
      }),
    )
  }
  expect(cuts).toHaveLength(times)

  let lost = 0
  for (const { path, acknowledged } of cuts) {
    await using opened = await openTestColumns(path)
    for (const column of acknowledged) {
      const read = await readColumn(opened.columns, column)
      if (read === undefined || !Buffer.concat(read).equals(Buffer.concat(column.pieces))) lost++
    }
    // Rows that were never acknowledged must have their files too: the row is written last.
    await opened.columns.scrub({ signal: new AbortController().signal })
    lost += opened.rotten.length
    await opened.columns.swept
  }
  return lost
}

test('every acknowledged column survives a power loss at any moment', async () => {
  expect(await lostColumns(4, {})).toBe(0)
})

test('the shim would notice a file that is not flushed', async () => {
  expect(await lostColumns(1, { fileFlush: true })).toBeGreaterThan(0)
})

test('the shim would notice a folder that is not flushed', async () => {
  expect(await lostColumns(1, { folderFlush: true })).toBeGreaterThan(0)
})

test('relaxed durability flushes no file, and what a power loss took is found', async () => {
  await using home = await temporaryHome()
  await using disks = await temporaryHome()
  const fs = new ForgetfulFileSystem(home.path)
  const columns = columnsOf(12)
  let cut: string
  {
    await using opened = await openTestColumns(home.path, { fs, durability: 'relaxed' })
    await Promise.all(columns.map((column) => storeColumn(opened.columns, column)))
    expect(fs.disk().files.size).toBe(0)
    cut = await afterPowerLoss(home.path, fs, disks.path, STATE)
  }
  await using after = await openTestColumns(cut, { durability: 'relaxed' })
  const result = await after.columns.scrub({ signal: new AbortController().signal })
  expect(result).toEqual({ checkedColumns: 12, rottenColumns: 12 })
  expect(after.rotten).toHaveLength(12)
  expect(after.columns.usage()).toMatchObject({ columns: 0, usedBytes: 0, rottenColumns: 12 })
  await using again = await openTestColumns(home.path, { durability: 'relaxed' })
  for (const column of columns) expect(await readColumn(again.columns, column)).toEqual(column.pieces)
})

test('a column is called held only once its own store is durable', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const { columns, state } = opened
  const column = testColumn('twice')
  const draft = await beginDraft(columns, column.open)
  await writePieces(draft, column.pieces)
  const flush = Promise.withResolvers<void>()
  const isFlushing = Promise.withResolvers<void>()
  const write = state.write.bind(state)
  state.write = async (work) => {
    const result = await write(work)
    isFlushing.resolve()
    await flush.promise
    return result
  }
  const stored = draft.commit(column.index)
  await isFlushing.promise
  const answers: unknown[] = []
  const again = columns.begin(column.open).then((begun) => answers.push(begun))
  // Longer than a look at the file takes.
  expect(await readColumn(columns, column)).toEqual(column.pieces)
  await new Promise((resolve) => setImmediate(resolve))
  expect(answers).toEqual([])
  flush.resolve()
  await again
  expect(answers).toMatchObject([{ alreadyHeld: { columnBytes: (await stored).columnBytes } }])
})
