import { cancelled } from '../errors.ts'
import { createPacer } from '../maintenance/pacer.ts'
import { PAGE_ROWS } from './limits.ts'
import type { ColumnReads } from './reads.ts'
import type { ColumnRows } from './rows.ts'
import type { Columns } from './types.ts'

/** Reads every column after `after` once, in the order of slab ids. @throws ERR_CANCELLED */
export async function scrubColumns(
  { rows, reads, bytesPerSecond }: { rows: ColumnRows; reads: ColumnReads; bytesPerSecond: number },
  options: Parameters<Columns['scrub']>[0],
): Promise<{ checkedColumns: number; rottenColumns: number }> {
  const { signal, onProgress } = options
  const pacer = createPacer(bytesPerSecond)
  const result = { checkedColumns: 0, rottenColumns: 0 }
  let page = rows.page(options.after, PAGE_ROWS)
  while (page.length > 0) {
    for (const { row } of page) {
      const state = await reads.check(row.slab, signal, (bytes) => pacer.spent(bytes, signal))
      if (signal.aborted) throw cancelled(signal.reason)
      if (state === 'absent') continue
      result.checkedColumns++
      if (state === 'rotten') result.rottenColumns++
      onProgress?.({ ...result, after: row.slab })
    }
    page = rows.page(page.at(-1)?.row.slab, PAGE_ROWS)
  }
  return result
}
