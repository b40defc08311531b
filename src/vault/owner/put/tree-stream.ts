import type { JobSource } from '../../../jobs/types.ts'
import { entryNames } from '../../../tar/entry-path.ts'
import { entryRefused, tarTruncated } from '../../../tar/errors.ts'
import { PullReader } from '../../../tar/pull-reader.ts'
import { paddingBytes, readTarEntry, readTarTrailer, type TarEntry } from '../../../tar/reader.ts'
import { type ManifestEntry, MIME_SAMPLE_BYTES, mimeOf } from '../../codec/index.ts'
import type { AtRest } from '../at-rest.ts'
import { treeTooLarge } from '../errors.ts'
import { MAX_PATH_BYTES, MAX_TREE_ENTRIES } from '../limits.ts'
import { EntryJournal } from './entry-journal.ts'
import { FileHash } from './file-hash.ts'
import type { PutContents, PutStream, TreeStreamCheckpoint } from './stream.ts'

/** The file whose content is being read. */
interface Current {
  path: string
  mode: number | null
  size: number
  offset: number
  done: number
  /** Base64 of the first bytes, until they tell the format. */
  sample: string
}

export interface TreeStreamOptions {
  source: JobSource
  /** The name the client gave the folder. */
  name: string
  preserveMode: boolean
  journalPath: string
  atRest: AtRest
  /** Of the put: part of what seals the journal. */
  id: string
  saved: TreeStreamCheckpoint | undefined
}

/** The contents of a tar stream's files, one after another. */
export class TreeStream implements PutStream {
  readonly #options: TreeStreamOptions
  readonly #reader: PullReader
  readonly #hash: FileHash
  readonly #journal: EntryJournal
  /** Every path so far, and whether it is a directory. */
  readonly #paths: Map<string, boolean>
  #prefix: string[] | null
  #current: Current | null = null
  #ended: boolean
  #size: number
  #files: number
  #entries: number

  private constructor(
    options: TreeStreamOptions,
    hash: FileHash,
    journal: EntryJournal,
    paths: Map<string, boolean>,
  ) {
    const { saved } = options
    this.#options = options
    this.#reader = new PullReader(options.source)
    this.#hash = hash
    this.#journal = journal
    this.#paths = paths
    this.#prefix = saved?.prefix ?? null
    this.#ended = saved?.ended ?? false
    this.#size = saved?.size ?? 0
    this.#files = saved?.files ?? 0
    this.#entries = saved?.entries ?? 0
  }

  /** @throws ERR_CHECKPOINT_LOST */
  static async open(options: TreeStreamOptions): Promise<TreeStream> {
    const { saved, journalPath, atRest, id } = options
    const journal = await EntryJournal.open(journalPath, atRest, id, saved?.journalBytes ?? 0)
    try {
      const paths = new Map<string, boolean>()
      for await (const entry of journal.read()) paths.set(entry.path, entry.type === 'directory')
      const stream = new TreeStream(options, await FileHash.create(), journal, paths)
      if (saved !== undefined && saved.current !== null) stream.#loadCurrent(saved.current)
      return stream
    } catch (error) {
      await journal.close()
      throw error
    }
  }

  get offset(): number {
    return this.#reader.offset
  }

  get size(): number {
    return this.#size
  }

  get files(): number {
    return this.#files
  }

  async take(target: Uint8Array): Promise<number> {
    let filled = 0
    while (filled < target.length) {
      const current = this.#current
      if (current === null) {
        if (this.#ended || !(await this.#nextEntry())) break
        continue
      }
      const leftBytes = current.size - current.done
      if (leftBytes === 0) {
        await this.#finishFile(current)
        continue
      }
      const part = await this.#reader.some(Math.min(leftBytes, target.length - filled))
      if (part === undefined) throw tarTruncated(this.#reader.offset)
      target.set(part, filled)
      await this.#hash.update(part)
      if (current.done < MIME_SAMPLE_BYTES) current.sample = extended(current.sample, part)
      filled += part.length
      current.done += part.length
      this.#size += part.length
    }
    return filled
  }

  save(): TreeStreamCheckpoint {
    const { atRest, id } = this.#options
    let current: string | null = null
    if (this.#current !== null) {
      const plain = JSON.stringify({ ...this.#current, hash: this.#hash.save() })
      current = Buffer.from(atRest.seal('put-checkpoint', id, Buffer.from(plain))).toString('base64')
    }
    return {
      source: 'tree',
      size: this.#size,
      files: this.#files,
      entries: this.#entries,
      journalBytes: this.#journal.mark(),
      prefix: this.#prefix,
      current,
      ended: this.#ended,
    }
  }

  sync(): Promise<void> {
    return this.#journal.sync()
  }

  async contents(): Promise<PutContents> {
    const entries: ManifestEntry[] = []
    for await (const entry of this.#journal.read()) entries.push(entry)
    return { size: this.#size, sha256: null, mime: '', files: this.#files, entries }
  }

  async close(): Promise<void> {
    await this.#reader.close()
    await this.#journal.close()
  }

  #loadCurrent(sealed: string): void {
    const { atRest, id } = this.#options
    const plain = atRest.open('put-checkpoint', id, Buffer.from(sealed, 'base64'))
    const { hash, ...current } = JSON.parse(Buffer.from(plain).toString('utf8')) as Current & { hash: string }
    this.#hash.load(hash)
    this.#current = current
  }

  /** Takes entries up to the next file; false at the end mark, behind which everything was read too. */
  async #nextEntry(): Promise<boolean> {
    for (;;) {
      const entry = await readTarEntry(this.#reader)
      if (entry === undefined) {
        await readTarTrailer(this.#reader)
        this.#ended = true
        return false
      }
      await this.#take(entry)
      if (this.#current !== null) return true
    }
  }

  async #take(entry: TarEntry): Promise<void> {
    const path = this.#below(entry)
    // Devices, pipes and the like are no content.
    if (entry.kind === 'special') return
    const mode = this.#options.preserveMode ? entry.mode : null
    if (entry.kind === 'directory') {
      if (path !== '' && this.#isNew(path, true)) await this.#append({ path, type: 'directory', mode })
      return
    }
    if (path === '') throw entryRefused(entry.path, 'the root of a tree must be a directory')
    if (entry.kind === 'hardlink')
      throw entryRefused(entry.path, 'it is a hard link; write the tar with --hard-dereference')
    this.#isNew(path, false)
    if (entry.kind === 'symlink') {
      if (
        entry.target === '' ||
        entry.target.includes('\0') ||
        Buffer.byteLength(entry.target) > MAX_PATH_BYTES
      )
        throw entryRefused(entry.path, 'the symlink has no target that can be kept')
      await this.#append({ path, type: 'symlink', mode: null, target: entry.target })
      this.#files += 1
      return
    }
    this.#hash.reset()
    this.#current = { path, mode, size: entry.sizeBytes, offset: this.#size, done: 0, sample: '' }
  }

  async #finishFile(current: Current): Promise<void> {
    if (!(await this.#reader.skip(paddingBytes(current.size)))) throw tarTruncated(this.#reader.offset)
    const { path, mode, size, offset } = current
    const mime = await mimeOf(path, Buffer.from(current.sample, 'base64'))
    await this.#append({ path, type: 'file', mode, size, offset, sha256: this.#hash.digest(), mime })
    this.#files += 1
    this.#current = null
  }

  async #append(
    entry: Pick<ManifestEntry, 'path' | 'type' | 'mode'> & Partial<ManifestEntry>,
  ): Promise<void> {
    if (this.#entries >= MAX_TREE_ENTRIES) throw treeTooLarge(MAX_TREE_ENTRIES)
    this.#entries += 1
    this.#journal.append({ size: 0, offset: 0, sha256: null, mime: '', target: '', ...entry })
    await this.#journal.drained()
  }

  /** Whether the path is free; what no reader would take is refused now, not after everything was sent. */
  #isNew(path: string, isDirectory: boolean): boolean {
    const known = this.#paths.get(path)
    if (known !== undefined) {
      if (known && isDirectory) return false
      throw entryRefused(path, 'the tree has two entries of this name')
    }
    if (Buffer.byteLength(path) > MAX_PATH_BYTES)
      throw entryRefused(path, `its path is longer than ${MAX_PATH_BYTES} bytes`)
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const above = this.#paths.get(path.slice(0, end))
      if (above === false) throw entryRefused(path, 'it lies below what is not a directory')
      // What is above a directory was looked at with it.
      if (above === true) break
    }
    this.#paths.set(path, isDirectory)
    return true
  }

  /**
   * The path of an entry below the root of the tree. The archive's root is the tree's root, unless the first entry is
   * the directory that the client named: then that is it, as in the streams that `tar` gives.
   */
  #below(entry: TarEntry): string {
    const names = entryNames(entry.path)
    if (this.#prefix === null) {
      const isNamedRoot = entry.kind === 'directory' && names.length === 1 && names[0] === this.#options.name
      this.#prefix = isNamedRoot ? names : []
    }
    for (const [index, name] of this.#prefix.entries()) {
      if (names[index] !== name)
        throw entryRefused(entry.path, `it is not in "${this.#options.name}", the root of this tree`)
    }
    return names.slice(this.#prefix.length).join('/')
  }
}

function extended(sample: string, part: Uint8Array): string {
  const have = Buffer.from(sample, 'base64')
  return Buffer.concat([have, part.subarray(0, MIME_SAMPLE_BYTES - have.length)]).toString('base64')
}
