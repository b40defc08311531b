/** How files of blocks and columns are named and spread, and what they take. */
import { base32 } from 'multiformats/bases/base32'

/**
 * What a file takes is its size rounded up to this: the block size of ext4, XFS, Btrfs, APFS and NTFS as they are made by
 * default. It is a constant so that a file's cost is the same number when it is added and when it is removed.
 */
const ALLOCATION_UNIT_BYTES = 4_096

/** What a file of `sizeBytes` takes on the disk. */
export function allocatedBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / ALLOCATION_UNIT_BYTES) * ALLOCATION_UNIT_BYTES
}

const FOLDER_ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** A hash in base32, lower case, without a multibase prefix. */
export function fileName(hash: Uint8Array): string {
  return base32.baseEncode(hash)
}

/** The hash that a file name stands for, or undefined where no store made that name. */
export function parseFileName(name: string): Uint8Array | undefined {
  try {
    const hash = base32.baseDecode(name)
    return fileName(hash) === name ? hash : undefined
  } catch {
    return undefined
  }
}

/**
 * Two characters before the last, which holds few bits; those at the start of a multihash are the hash function's code.
 */
export function folderName(name: string): string {
  return name.slice(-3, -1)
}

/** All 1 024 folders, in order. */
export function folderNames(): string[] {
  const letters = FOLDER_ALPHABET.split('')
  return letters.flatMap((first) => letters.map((second) => first + second))
}
