import type { FileHandle } from 'node:fs/promises'
import { mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncFolder } from '../../../storage/state/fsync.ts'
import type { AtRest } from '../at-rest.ts'
import { checkpointLost } from '../errors.ts'
import { JOURNAL_FLUSH_BYTES, MAX_JOURNAL_FRAME_BYTES } from '../limits.ts'
import type { ManifestEntry } from '../../codec/index.ts'

/** One finished entry, as it lies in the journal. The hash is base64. */
type Line = [
  path: string,
  type: ManifestEntry['type'],
  mode: number | null,
  size: number,
  offset: number,
  hash: string,
  mime: string,
  target: string,
]

const LENGTH_BYTES = 4

/**
 * The finished entries of a tree under way, in a file of its own, only ever appended: a checkpoint may have 1 MiB, and a tree
 * of 100 000 files is more. Names are secrets, so every frame (`u32 length ‖ sealed JSON lines`) is sealed with the
 * at-rest key; a frame's place in the file is part of what seals it.
 */
export class EntryJournal {
  readonly #handle: FileHandle
  readonly #atRest: AtRest
  readonly #id: string
  #lines: string[] = []
  #lineBytes = 0
  #length: number
  #writing: Promise<void> = Promise.resolve()

  private constructor(handle: FileHandle, atRest: AtRest, id: string, length: number) {
    this.#handle = handle
    this.#atRest = atRest
    this.#id = id
    this.#length = length
  }

  /**
   * Opens the journal as it was at the checkpoint that tells `length` bytes; what is behind that is cut off.
   *
   * @throws ERR_CHECKPOINT_LOST where it is shorter than that
   */
  static async open(path: string, atRest: AtRest, id: string, length: number): Promise<EntryJournal> {
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
      await handle.truncate(length)
      if (length === 0) await syncFolder(dirname(path))
      return new EntryJournal(handle, atRest, id, length)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  append(entry: ManifestEntry): void {
    const { path, type, mode, size, offset, sha256, mime, target } = entry
    const hash = sha256 === null ? '' : Buffer.from(sha256).toString('base64')
    const line: Line = [path, type, mode, size, offset, hash, mime, target]
    const text = JSON.stringify(line)
    this.#lines.push(text)
    this.#lineBytes += Buffer.byteLength(text) + 1
    if (this.#lineBytes >= JOURNAL_FLUSH_BYTES) this.mark()
  }

  /** Ends the frame under way; returns the length up to which everything appended counts. */
  mark(): number {
    if (this.#lines.length === 0) return this.#length
    const at = this.#length
    const sealed = this.#atRest.seal(
      'entry-journal',
      `${this.#id} ${at}`,
      Buffer.from(this.#lines.join('\n')),
    )
    const frame = Buffer.alloc(LENGTH_BYTES + sealed.length)
    frame.writeUInt32BE(sealed.length)
    frame.set(sealed, LENGTH_BYTES)
    this.#lines = []
    this.#lineBytes = 0
    this.#length += frame.length
    this.#writing = this.#writing.then(() => writeAll(this.#handle, frame, at))
    // Whoever syncs hears of a failure.
    this.#writing.catch(() => {})
    return this.#length
  }

  /** Resolves once what was written of marked frames is handed to the system: bounds what waits in memory. */
  drained(): Promise<void> {
    return this.#writing
  }

  /** Resolves once every entry before the last mark is durable. */
  async sync(): Promise<void> {
    await this.#writing
    await this.#handle.datasync()
  }

  /** Everything that was appended, in order. */
  async *read(): AsyncGenerator<ManifestEntry> {
    this.mark()
    await this.#writing
    for (let at = 0; at < this.#length; ) {
      const length = (await readExactly(this.#handle, LENGTH_BYTES, at)).readUInt32BE()
      if (length > MAX_JOURNAL_FRAME_BYTES) throw checkpointLost('the list of finished entries is damaged')
      const sealed = await readExactly(this.#handle, length, at + LENGTH_BYTES)
      const plain = this.#atRest.open('entry-journal', `${this.#id} ${at}`, sealed)
      for (const text of Buffer.from(plain).toString('utf8').split('\n'))
        yield toEntry(JSON.parse(text) as Line)
      at += LENGTH_BYTES + length
    }
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {})
    await this.#handle.close()
  }

  static async remove(path: string): Promise<void> {
    await rm(path, { force: true })
  }
}

function toEntry([path, type, mode, size, offset, hash, mime, target]: Line): ManifestEntry {
  const sha256 = hash === '' ? null : new Uint8Array(Buffer.from(hash, 'base64'))
  return { path, type, mode, size, offset, sha256, mime, target }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}

async function readExactly(handle: FileHandle, length: number, position: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, length - at, position + at)
    if (bytesRead === 0) throw checkpointLost('the list of finished entries ends in the middle of one')
    at += bytesRead
  }
  return bytes
}
