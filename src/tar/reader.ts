import { entryRefused, tarInvalid, tarTruncated } from './errors.ts'
import type { PullReader } from './pull-reader.ts'
import { decodePaxRecords, decodeTarHeader, decodeText, isZeroBlock, TAR_BLOCK_BYTES } from './decode.ts'
import type { TarHeader } from './decode.ts'

export type TarEntryKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'special'

export interface TarEntry {
  kind: TarEntryKind
  /** As it stands in the stream. */
  path: string
  /** Where a symlink or hard link points, as it stands; empty for others. */
  target: string
  mode: number
  /** Bytes of content that follow, without padding. */
  sizeBytes: number
}

/** Long names come as content of an entry of their own; a path is at most 4 KiB on Linux, attributes may be larger. */
const MAX_EXTENSION_BYTES = 1024 * 1024

/** What the bytes after the end mark may be: padding to the size of a tape record, never another archive. */
const TRAILER_PART_BYTES = 64 * 1024

export function paddingBytes(sizeBytes: number): number {
  return (TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES
}

async function readBlock(reader: PullReader): Promise<Uint8Array> {
  const block = await reader.upTo(TAR_BLOCK_BYTES)
  if (block.length < TAR_BLOCK_BYTES) throw tarTruncated(reader.offset)
  return block
}

async function readExtension(reader: PullReader, header: TarHeader): Promise<Uint8Array> {
  if (header.sizeBytes > MAX_EXTENSION_BYTES)
    throw tarInvalid(reader.offset, 'an extended header is too large')
  const content = await reader.upTo(header.sizeBytes)
  if (content.length < header.sizeBytes) throw tarTruncated(reader.offset)
  if (!(await reader.skip(paddingBytes(header.sizeBytes)))) throw tarTruncated(reader.offset)
  return content
}

function withoutEnd(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0)
  return end === -1 ? bytes : bytes.subarray(0, end)
}

/** Names that extensions give to the next entry. */
interface Overrides {
  path?: string
  target?: string
  sizeBytes?: number
}

function fromPax(records: Map<string, string>, offset: number): Overrides {
  for (const key of records.keys()) {
    if (key.startsWith('GNU.sparse.'))
      throw tarInvalid(offset, 'sparse files are not supported; write the tar without -S')
  }
  const path = records.get('path')
  const target = records.get('linkpath')
  const size = records.get('size')
  if (size !== undefined && !/^\d{1,16}$/.test(size)) throw tarInvalid(offset, `"${size}" is not a size`)
  return {
    ...(path === undefined ? {} : { path }),
    ...(target === undefined ? {} : { target }),
    ...(size === undefined ? {} : { sizeBytes: Number(size) }),
  }
}

function kindOf(header: TarHeader, path: string): TarEntryKind {
  switch (header.typeflag) {
    case '0':
    case '7':
      // Before POSIX, directories were files whose name ends in a slash.
      return path.endsWith('/') ? 'directory' : 'file'
    case '1':
      return 'hardlink'
    case '2':
      return 'symlink'
    case '3':
    case '4':
    case '6':
      return 'special'
    case '5':
      return 'directory'
    default:
      throw entryRefused(path, `its type "${header.typeflag}" is not supported`)
  }
}

/**
 * The next entry; the reader then stands at its content. Undefined at the end mark.
 *
 * @throws ERR_TAR_INVALID, ERR_TAR_TRUNCATED, ERR_ENTRY_REFUSED
 */
export async function readTarEntry(reader: PullReader): Promise<TarEntry | undefined> {
  const overrides: Overrides = {}
  for (;;) {
    const offset = reader.offset
    const block = await readBlock(reader)
    if (isZeroBlock(block)) return undefined
    const header = decodeTarHeader(block, offset)
    switch (header.typeflag) {
      case 'x':
        Object.assign(
          overrides,
          fromPax(decodePaxRecords(await readExtension(reader, header), offset), offset),
        )
        continue
      case 'g': {
        // Defaults for all entries: a comment in practice. A name or size for every entry makes no sense.
        const global = fromPax(decodePaxRecords(await readExtension(reader, header), offset), offset)
        if (Object.keys(global).length > 0) throw tarInvalid(offset, 'a global header names an entry')
        continue
      }
      case 'L':
        overrides.path = decodeText(withoutEnd(await readExtension(reader, header)), offset)
        continue
      case 'K':
        overrides.target = decodeText(withoutEnd(await readExtension(reader, header)), offset)
        continue
      case 'V':
        // The label of a volume: a header without content.
        continue
      default:
    }
    const path = overrides.path ?? header.name
    const kind = kindOf(header, path)
    const hasContent = kind === 'file'
    const sizeBytes = hasContent ? (overrides.sizeBytes ?? header.sizeBytes) : 0
    if (!Number.isSafeInteger(sizeBytes)) throw tarInvalid(offset, 'a size is too large')
    return { kind, path, target: overrides.target ?? header.linkName, mode: header.mode, sizeBytes }
  }
}

/**
 * Reads what follows the end mark.
 *
 * @throws ERR_TAR_INVALID where it is anything but zeros: a second archive would be lost in silence
 */
export async function readTarTrailer(reader: PullReader): Promise<void> {
  for (;;) {
    const offset = reader.offset
    const part = await reader.some(TRAILER_PART_BYTES)
    if (part === undefined) return
    if (part.some((byte) => byte !== 0)) throw tarInvalid(offset, 'there is data after the end mark')
  }
}
