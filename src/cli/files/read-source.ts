import { open } from 'node:fs/promises'
import { pack } from 'tar-stream'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { SourceEntry, SourceTree } from './source-tree.ts'

/** Bytes read from a file at a time: large enough for the disk, small enough to keep dozens in memory. */
const READ_BYTES = 1024 * 1024
/** Small pieces of a tar stream are gathered up to this size, or every header would be a write of its own. */
const GATHER_BYTES = 256 * 1024
const TAR_BLOCK_BYTES = 512
/** Files up to this size are read ahead: 16 of them are 4 MiB at the most. */
const SMALL_FILE_BYTES = 256 * 1024
const READ_AHEAD_FILES = 16
/** How far ahead small files are looked for among other entries. */
const READ_AHEAD_ENTRIES = 64
const FILE_TYPE_BIT = 0o10000

function changed(path: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_SOURCE_CHANGED',
    'conflict',
    `${path} changed while it was being read; nothing was added, try again`,
    {
      details: { path },
    },
  )
}

/**
 * The bytes of a file from `offset` on, refusing one that is no longer what was listed: half an old and half a new file
 * must never be taken for either.
 *
 * @throws ERR_SOURCE_CHANGED
 */
export async function* readFileFrom(
  entry: SourceEntry,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(entry.absolutePath, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw changed(entry.absolutePath)
    throw new P2pnodeError(
      'ERR_SOURCE_UNREADABLE',
      'failed',
      `${entry.absolutePath} cannot be read: ${(error as Error).message}`,
      { cause: error },
    )
  }
  try {
    const check = async (): Promise<void> => {
      const stats = await handle.stat()
      if (stats.size !== entry.sizeBytes || stats.mtimeMs !== entry.mtimeMs) throw changed(entry.absolutePath)
    }
    await check()
    for (let at = offset; at < entry.sizeBytes; ) {
      signal.throwIfAborted()
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, entry.sizeBytes - at))
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at)
      if (bytesRead === 0) throw changed(entry.absolutePath)
      at += bytesRead
      if (at >= entry.sizeBytes) await check()
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

/** The header of one entry, extended (pax) records included. Times are zero: the same tree gives the same stream. */
async function headerOf(entry: SourceEntry): Promise<Buffer> {
  const stream = pack()
  const ended = new Promise<never>((_, reject) => stream.once('error', reject))
  ended.catch(() => {})
  const readable = new Promise<void>((resolve) => stream.once('readable', resolve))
  const sink = stream.entry({
    // A tar has no entry without a name; `.` is the tree itself.
    name: entry.path === '' ? '.' : entry.path,
    type: entry.type,
    // The library takes mode 0 for "not given"; it masks this bit away.
    mode: entry.mode | FILE_TYPE_BIT,
    size: entry.sizeBytes,
    mtime: new Date(0),
    uid: 0,
    gid: 0,
    ...(entry.target === undefined ? {} : { linkname: entry.target }),
  })
  // The content never goes through the library: destroying the entry ends it as unfinished.
  sink.on('error', () => {})
  await Promise.race([readable, ended])
  const parts: Buffer[] = []
  for (let part = stream.read() as Buffer | null; part !== null; part = stream.read() as Buffer | null)
    parts.push(part)
  stream.destroy()
  const bytes = Buffer.concat(parts)
  if (bytes.length === 0 || bytes.length % TAR_BLOCK_BYTES !== 0) {
    throw new P2pnodeError(
      'ERR_SOURCE_HEADER',
      'failed',
      `no tar header can be made for ${entry.absolutePath}`,
    )
  }
  return bytes
}

function paddingBytes(sizeBytes: number): number {
  return (TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES
}

/**
 * Whether an entry's header is one block, without extended records: its name and the target of its link fit the fields
 * of POSIX ustar (100 bytes each, names in ASCII, and a slash behind those of folders).
 */
function hasPlainHeader(entry: SourceEntry): boolean {
  return (
    entry.path.length < 100 &&
    Buffer.byteLength(entry.path) === entry.path.length &&
    Buffer.byteLength(entry.target ?? '') <= 100
  )
}

/** The size in bytes of the whole tar stream of a tree. Making a header costs a tenth of a millisecond, so few are made. */
export async function tarSizeBytes(tree: SourceTree): Promise<number> {
  let size = 2 * TAR_BLOCK_BYTES
  for (const entry of tree.entries) {
    const headerBytes = hasPlainHeader(entry) ? TAR_BLOCK_BYTES : (await headerOf(entry)).length
    size += headerBytes + entry.sizeBytes + paddingBytes(entry.sizeBytes)
  }
  return size
}

async function wholeFile(entry: SourceEntry, signal: AbortSignal): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of readFileFrom(entry, 0, signal)) parts.push(part)
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
}

/**
 * Small files read ahead of their turn. One after the other, a tree of small files waits for the disk five times a file;
 * with some under way at once it waits for nothing but the daemon.
 */
class ReadAhead {
  readonly #entries: SourceEntry[]
  readonly #signal: AbortSignal
  readonly #reads = new Map<number, Promise<Uint8Array>>()
  #next = 0

  constructor(entries: SourceEntry[], signal: AbortSignal) {
    this.#entries = entries
    this.#signal = signal
  }

  /** The content of the small file at `index`, or undefined for what is read in its turn. */
  take(index: number): Promise<Uint8Array> | undefined {
    this.#next = Math.max(this.#next, index)
    for (; this.#reads.size < READ_AHEAD_FILES && this.#next < index + READ_AHEAD_ENTRIES; this.#next += 1) {
      const entry = this.#entries[this.#next]
      if (entry === undefined) break
      if (entry.type !== 'file' || entry.sizeBytes === 0 || entry.sizeBytes > SMALL_FILE_BYTES) continue
      const read = wholeFile(entry, this.#signal)
      // Whoever takes it gets the error; until then it must not count as unhandled.
      read.catch(() => {})
      this.#reads.set(this.#next, read)
    }
    const found = this.#reads.get(index)
    this.#reads.delete(index)
    return found
  }
}

async function* pieces(tree: SourceTree, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let at = 0
  /** The part of `bytes`, which lie at `at`, that was asked for. */
  const cut = (bytes: Uint8Array): Uint8Array | undefined => {
    const start = Math.max(0, offset - at)
    at += bytes.length
    return start < bytes.length ? bytes.subarray(start) : undefined
  }
  const readAhead = new ReadAhead(tree.entries, signal)
  for (const [index, entry] of tree.entries.entries()) {
    const header = cut(await headerOf(entry))
    if (header !== undefined) yield header
    const skip = Math.min(Math.max(0, offset - at), entry.sizeBytes)
    at += entry.sizeBytes
    if (skip < entry.sizeBytes) {
      const small = skip === 0 ? readAhead.take(index) : undefined
      if (small === undefined) yield* readFileFrom(entry, skip, signal)
      else yield await small
    }
    const padding = cut(new Uint8Array(paddingBytes(entry.sizeBytes)))
    if (padding !== undefined) yield padding
  }
  const end = cut(new Uint8Array(2 * TAR_BLOCK_BYTES))
  if (end !== undefined) yield end
}

/**
 * A tree as a tar stream from `offset` on: the same bytes as the stream from 0 without its first `offset` ones, so that an
 * interrupted upload continues where the daemon stands.
 *
 * @throws ERR_SOURCE_CHANGED
 */
export async function* readTarFrom(
  tree: SourceTree,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let gathered: Uint8Array[] = []
  let gatheredBytes = 0
  for await (const piece of pieces(tree, offset, signal)) {
    if (gatheredBytes > 0 && gatheredBytes + piece.length > GATHER_BYTES) {
      yield Buffer.concat(gathered)
      gathered = []
      gatheredBytes = 0
    }
    if (piece.length >= GATHER_BYTES) {
      yield piece
    } else {
      gathered.push(piece)
      gatheredBytes += piece.length
    }
  }
  if (gatheredBytes > 0) yield Buffer.concat(gathered)
}
