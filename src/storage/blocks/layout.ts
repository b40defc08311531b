/** Where things are in HOME/blocks, and what they cost. */
import { join } from 'node:path'
import { base32 } from 'multiformats/bases/base32'

/** Blocks up to this size live in blocks.db, larger ones in files: see docs/storage-format.md for the measurement. */
export const DATA_LIMIT_BYTES = 16 * 1024

/** The largest block that is kept: what Bitswap and the content protocol carry at most. */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024

/**
 * What a file takes is its size rounded up to this: the block size of ext4, XFS, Btrfs, APFS and NTFS as they are made by
 * default. It is a constant so that a file's cost is the same number when it is added and when it is removed.
 */
const ALLOCATION_UNIT_BYTES = 4_096

/** What a block file of `sizeBytes` takes on the disk. */
export function allocatedBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / ALLOCATION_UNIT_BYTES) * ALLOCATION_UNIT_BYTES
}

const FOLDER_ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

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

/** The multihash in base32, lower case, without a multibase prefix. */
export function fileName(mh: Uint8Array): string {
  return base32.baseEncode(mh)
}

/** The multihash that a file name stands for, or undefined where the store did not make that name. */
export function parseFileName(name: string): Uint8Array | undefined {
  try {
    const mh = base32.baseDecode(name)
    return fileName(mh) === name ? mh : undefined
  } catch {
    return undefined
  }
}

/** Two characters before the last: those at the start are the hash function's code, and the last holds few bits. */
export function folderName(name: string): string {
  return name.slice(-3, -1)
}

/** All 1 024 folders, in order. */
export function folderNames(): string[] {
  const letters = FOLDER_ALPHABET.split('')
  return letters.flatMap((first) => letters.map((second) => first + second))
}
