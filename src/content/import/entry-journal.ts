import type { FileHandle } from 'node:fs/promises'
import { mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { checkpointLost } from '../errors.ts'
import type { Pace } from '../pace.ts'

/**
 * One finished entry of a tree:
 * - `['f', path, digest (base64), raw (0 or 1), tsize, size]`: a file or symlink
 * - `['h', path, target path]`: another name for a file
 * - `['d', path, mode or null]`: a directory
 */
export type JournalRecord =
  | ['f', string, string, 0 | 1, number, number]
  | ['h', string, string]
  | ['d', string, number | null]

/** Records gathered before they are written; a write costs the same for one as for hundreds. */
const FLUSH_BYTES = 256 * 1024

/**
 * The finished entries of a tree under import, in HOME/jobs/<job id>.entries: one JSON array a line, only ever appended.
 *
 * A checkpoint may have 1 MiB, a tree of 100 000 files is more; so the checkpoint holds the length of this file up to
 * which it counts, and `sync` makes that much durable before the checkpoint is committed. After a crash the rest is cut
 * off and the lines before are replayed. A file of its own rather than a table: it is synced without blocking the event
 * loop, and dropping it is one unlink.
 */
export class EntryJournal {
  readonly #path: string
  readonly #handle: FileHandle
  #lines: string[] = []
  #lineBytes = 0
  #length: number
  #writing: Promise<void> = Promise.resolve()

  private constructor(path: string, handle: FileHandle, length: number) {
    this.#path = path
    this.#handle = handle
    this.#length = length
  }

  /**
   * Opens the journal as it was at the checkpoint that tells `length` bytes, and replays it.
   *
   * @throws ERR_CHECKPOINT_LOST where it is shorter than that
   */
  static async open(
    path: string,
    length: number,
    replay: (record: JournalRecord) => void,
    pace: Pace,
  ): Promise<EntryJournal> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const handle = await open(path, length === 0 ? 'w+' : 'r+', 0o600).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') throw checkpointLost('the list of finished entries is gone')
        throw error
      },
    )
    try {
      const { size } = await handle.stat()
      if (size < length)
        throw checkpointLost('the list of finished entries is shorter than the checkpoint says')
      if (length === 0) await syncFolder(dirname(path))
      else {
        for await (const line of lines(handle, length)) {
          replay(JSON.parse(line) as JournalRecord)
          await pace.breathe()
        }
      }
      await handle.truncate(length)
      return new EntryJournal(path, handle, length)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Bytes up to and including the last record. */
  get length(): number {
    return this.#length + this.#lineBytes
  }

  async append(record: JournalRecord): Promise<void> {
    const line = `${JSON.stringify(record)}\n`
    this.#lines.push(line)
    this.#lineBytes += Buffer.byteLength(line)
    if (this.#lineBytes >= FLUSH_BYTES) await this.#flush()
  }

  /** Resolves once every record appended before is durable. */
  async sync(): Promise<void> {
    await this.#flush()
    await this.#handle.datasync()
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {})
    await this.#handle.close()
  }

  /** Closes the journal and removes its file. */
  async remove(): Promise<void> {
    await this.close()
    await rm(this.#path, { force: true })
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#lines.join(''))
    this.#lines = []
    this.#lineBytes = 0
    const position = this.#length
    this.#length += bytes.length
    this.#writing = this.#writing.then(() => writeAll(this.#handle, bytes, position))
    await this.#writing
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}

/** The lines in the first `length` bytes. Not node:readline, which takes U+2028 in a name for the end of a line. */
async function* lines(handle: FileHandle, length: number): AsyncGenerator<string> {
  let rest = Buffer.alloc(0)
  for (let at = 0; at < length; ) {
    const { bytesRead, buffer } = await handle.read(
      Buffer.allocUnsafe(Math.min(FLUSH_BYTES, length - at)),
      0,
      null,
      at,
    )
    if (bytesRead === 0) break
    at += bytesRead
    rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)])
    let start = 0
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a, start)) {
      yield rest.toString('utf8', start, end)
      start = end + 1
    }
    rest = rest.subarray(start)
  }
  if (rest.length > 0) throw checkpointLost('the list of finished entries ends in the middle of one')
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
