/**
 * A process that stores, renews, removes and buries columns until it is killed: `node storage-columns-child.ts HOME FIRST`. Each
 * line on standard output is what has been acknowledged: `stored N`, `renewed N`, `removed N`, `buried N`.
 */
import { writeSync } from 'node:fs'
import { openTestColumns, storeColumn, type TestColumn, testColumn, UNTIL_MS } from './columns.ts'

const [home, first] = process.argv.slice(2) as [string, string]

export function childColumn(index: number): TestColumn {
  const sealedBytes = [[300], [40_000, 8_000], [200_000, 200_000, 5], [1_048_596]][index % 4] as number[]
  return testColumn(index, { sealedBytes, repair: index % 5 === 0 })
}

export const RENEWED_UNTIL_MS = UNTIL_MS + 1_000

if (import.meta.main) {
  const { columns } = await openTestColumns(home)
  writeSync(1, 'open\n')
  let next = Number(first)
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (;;) {
        const index = next++
        const column = childColumn(index)
        await storeColumn(columns, column)
        writeSync(1, `stored ${index}\n`)
        if (index % 7 === 1) {
          writeSync(1, `removing ${index}\n`)
          await columns.remove(column.slab)
          writeSync(1, `removed ${index}\n`)
        } else if (index % 7 === 2) {
          writeSync(1, `removing ${index}\n`)
          await columns.bury({
            slab: column.slab,
            signed: column.deletion().signed,
            keepUntilMs: UNTIL_MS,
          })
          writeSync(1, `buried ${index}\n`)
        } else if (index % 7 === 3) {
          const { signed } = column.lease({ sequence: 2, untilMs: RENEWED_UNTIL_MS })
          await columns.renew(column.slab, { signed, untilMs: RENEWED_UNTIL_MS, sequence: 2 })
          writeSync(1, `renewed ${index}\n`)
        }
      }
    }),
  )
}
