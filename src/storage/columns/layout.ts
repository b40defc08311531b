/** Where things are in HOME/columns. Names and folders are made as those of blocks are. */
import { join } from 'node:path'
import { HASH_BYTES } from '../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import { fileName, folderName, parseFileName } from '../files/names.ts'

export interface ColumnsLayout {
  /** HOME/columns */
  readonly rootPath: string
  readonly tmpPath: string
  readonly quarantinePath: string
  folderPath(slab: SlabId): string
  filePath(slab: SlabId): string
}

export function columnsLayout(home: string): ColumnsLayout {
  const rootPath = join(home, 'columns')
  const folderPath = (slab: SlabId): string => join(rootPath, folderName(fileName(slab)))
  return {
    rootPath,
    tmpPath: join(rootPath, 'tmp'),
    quarantinePath: join(rootPath, 'quarantine'),
    folderPath,
    filePath: (slab) => join(folderPath(slab), fileName(slab)),
  }
}

/** The slab that a file's name stands for, or undefined where this store did not make that name. */
export function parseColumnName(name: string): SlabId | undefined {
  const slab = parseFileName(name)
  return slab?.byteLength === HASH_BYTES ? slab : undefined
}
