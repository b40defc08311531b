import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import type { FileSystem } from '../files/file-system.ts'
import { folderNames } from '../files/names.ts'
import { assertGoingOn } from '../errors.ts'
import type { ColumnFiles } from './files.ts'
import { type ColumnsLayout, parseColumnName } from './layout.ts'
import { PAGE_ROWS } from './limits.ts'
import type { ColumnReads } from './reads.ts'
import type { ColumnRows } from './rows.ts'

export interface SweepParts {
  layout: ColumnsLayout
  fs: FileSystem
  files: ColumnFiles
  rows: ColumnRows
  reads: ColumnReads
  /** The bytes of a file that has no row, which is removed unless `dryRun`; undefined where it has one by now. */
  removeOrphan(slab: SlabId, dryRun: boolean): Promise<number | undefined>
}

/** Looks for files without a row and rows without a file; the latter become rotten, and are told so. */
export async function sweepColumns(
  { layout, fs, files, rows, reads, removeOrphan }: SweepParts,
  { dryRun, signal }: { dryRun: boolean; signal: AbortSignal },
): Promise<{ orphans: number; bytes: number }> {
  const found = { orphans: 0, bytes: 0 }
  for (const folder of folderNames()) {
    assertGoingOn(signal)
    for await (const name of fs.list(join(layout.rootPath, folder))) {
      assertGoingOn(signal)
      const slab = parseColumnName(name)
      const bytes = slab === undefined ? undefined : await removeOrphan(slab, dryRun)
      if (bytes === undefined) continue
      found.orphans++
      found.bytes += bytes
    }
    await turn()
  }
  let page = rows.page(undefined, PAGE_ROWS)
  while (page.length > 0) {
    for (const { row } of page) {
      assertGoingOn(signal)
      if ((await files.sizeBytes(row.slab)) !== undefined) continue
      found.orphans++
      if (!dryRun) await reads.isThere(row.slab)
    }
    await turn()
    page = rows.page(page.at(-1)?.row.slab, PAGE_ROWS)
  }
  return found
}
