import type { TarMember } from '../../tar/encode.ts'
import { encodeTarHeader, TAR_END, tarPadding } from '../../tar/encode.ts'
import type { ManifestBody, ManifestEntry } from '../codec/types.ts'
import { nameInvalid, notAFile } from './errors.ts'
import { checkingHash } from './hash-check.ts'
import type { Target } from './tree.ts'
import { entriesBelow } from './tree.ts'

const DEFAULT_FILE_MODE = 0o644
const DEFAULT_DIRECTORY_MODE = 0o755
const SYMLINK_MODE = 0o777

/** Bytes `from` to `end` of the object's stream. */
export type ReadStream = (from: number, end: number) => AsyncGenerator<Uint8Array>

/**
 * A file or folder of an object as a tar stream whose first member is called `name`. Files that lie side by side in the
 * stream, all of a whole tree, are read in one go.
 *
 * @throws ERR_PARAMS_INVALID, ERR_VAULT_INVALID where a file is not the one that was put
 */
export async function* writeTar(
  body: ManifestBody,
  target: Target,
  name: string,
  read: ReadStream,
): AsyncGenerator<Uint8Array> {
  if (!isFileName(name)) throw nameInvalid(name)
  if (target.type === 'symlink') throw notAFile(target.path, 'symlink')
  if (target.type === 'file') {
    yield encodeTarHeader({
      path: name,
      type: 'file',
      mode: target.mode ?? DEFAULT_FILE_MODE,
      sizeBytes: target.size,
    })
    const bytes = read(target.offset, target.offset + target.size)
    yield* checkingHash(bytes, target.sha256, name)
    yield* padding(target.size)
    yield TAR_END
    return
  }
  yield encodeTarHeader({
    path: name,
    type: 'directory',
    mode: target.mode ?? DEFAULT_DIRECTORY_MODE,
    sizeBytes: 0,
  })
  const entries = entriesBelow(body, target.path)
  const skip = target.path === '' ? 0 : target.path.length + 1
  const ends = runEnds(entries)
  const stream = new Cursor(read)
  try {
    for (const [at, entry] of entries.entries()) {
      yield encodeTarHeader(memberOf(entry, `${name}/${entry.path.slice(skip)}`))
      if (entry.type !== 'file' || entry.size === 0) continue
      const bytes = stream.take(entry.offset, entry.size, ends[at] as number)
      yield* checkingHash(bytes, entry.sha256, entry.path)
      yield* padding(entry.size)
    }
  } finally {
    await stream.close()
  }
  yield TAR_END
}

function* padding(sizeBytes: number): Generator<Uint8Array> {
  const bytes = tarPadding(sizeBytes)
  if (bytes.length > 0) yield bytes
}

function memberOf(entry: ManifestEntry, path: string): TarMember {
  const { type, mode, size, target } = entry
  switch (type) {
    case 'file':
      return { path, type, mode: mode ?? DEFAULT_FILE_MODE, sizeBytes: size }
    case 'symlink':
      return { path, type, mode: SYMLINK_MODE, sizeBytes: 0, target }
    default:
      return { path, type: 'directory', mode: mode ?? DEFAULT_DIRECTORY_MODE, sizeBytes: 0 }
  }
}

/** For each entry where the bytes end that follow its own without a gap. */
function runEnds(entries: readonly ManifestEntry[]): number[] {
  const ends: number[] = []
  let nextBegin = Number.NaN
  let runEnd = 0
  for (let at = entries.length - 1; at >= 0; at -= 1) {
    const { type, offset, size } = entries[at] as ManifestEntry
    if (type === 'file' && size > 0) {
      if (offset + size !== nextBegin) runEnd = offset + size
      nextBegin = offset
    }
    ends[at] = runEnd
  }
  return ends
}

/** Reads on where the last file ended, or begins anew. */
class Cursor {
  readonly #read: ReadStream
  #bytes: AsyncGenerator<Uint8Array> | undefined
  #position = -1
  #rest: Uint8Array = new Uint8Array(0)

  constructor(read: ReadStream) {
    this.#read = read
  }

  async *take(offset: number, size: number, runEnd: number): AsyncGenerator<Uint8Array> {
    if (this.#bytes === undefined || this.#position !== offset) {
      await this.close()
      this.#bytes = this.#read(offset, runEnd)
      this.#position = offset
    }
    let missing = size
    while (missing > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#bytes.next()
        // A reader gives all of its range or throws.
        if (next.done === true) return
        this.#rest = next.value
      }
      const part = this.#rest.subarray(0, missing)
      this.#rest = this.#rest.subarray(part.length)
      this.#position += part.length
      missing -= part.length
      yield part
    }
  }

  async close(): Promise<void> {
    this.#rest = new Uint8Array(0)
    await this.#bytes?.return(undefined)
    this.#bytes = undefined
  }
}

function isFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0')
}
