/** Where things are in HOME/blocks, and what they cost. */
import { join } from 'node:path'
import { fileName, folderName } from '../files/names.ts'

/** Blocks up to this size live in blocks.db, larger ones in files: see docs/storage-format.md for the measurement. */
export const DATA_LIMIT_BYTES = 16 * 1024

/** The largest block that is kept: what Bitswap and the content protocol carry at most. */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024

export interface BlocksLayout {
  readonly databasePath: string
  /** HOME/blocks */
  readonly rootPath: string
  readonly tmpPath: string
  readonly quarantinePath: string
  folderPath(mh: Uint8Array): string
  filePath(mh: Uint8Array): string
}

export function blocksLayout(home: string): BlocksLayout {
  const rootPath = join(home, 'blocks')
  return {
    databasePath: join(home, 'blocks.db'),
    rootPath,
    tmpPath: join(rootPath, 'tmp'),
    quarantinePath: join(rootPath, 'quarantine'),
    folderPath: (mh) => join(rootPath, folderName(fileName(mh))),
    filePath: (mh) => {
      const name = fileName(mh)
      return join(rootPath, folderName(name), name)
    },
  }
}
