import { DEFAULT_DIRECTORY_MODE, DEFAULT_FILE_MODE, encodeSymlink } from '../unixfs/node.ts'
import type { Block, Child, EncodedNode } from '../unixfs/node.ts'
import { cidFromDigest } from '../unixfs/node.ts'
import type { Chunker } from '../unixfs/chunker.ts'
import { createChunker } from '../unixfs/chunker.ts'
import { entryRefused, tarTruncated } from '../../tar/errors.ts'
import { FileBuilder, isRawChild } from '../unixfs/file.ts'
import { Committer } from './committer.ts'
import type { CurrentFile, TreeCheckpoint } from './checkpoint.ts'
import { EntryJournal } from './entry-journal.ts'
import { entryNames } from '../../tar/entry-path.ts'
import type { ImportRun } from './run.ts'
import { PullReader } from '../../tar/pull-reader.ts'
import { ImportTree } from './tree.ts'
import type { TarEntry } from '../../tar/reader.ts'
import { paddingBytes, readTarEntry, readTarTrailer } from '../../tar/reader.ts'

/** What is asked of the source at a time; it gives what it has, usually 64 KiB. */
const READ_BYTES = 1024 * 1024

/** Imports a tar stream as a directory and gives its root, every block of which is durable. */
export async function importTree(run: ImportRun, saved: TreeCheckpoint | undefined): Promise<Child> {
  const tree = new ImportTree(run.layout)
  const journal = await EntryJournal.open(
    run.journalPath,
    saved?.journalBytes ?? 0,
    (record) => {
      switch (record[0]) {
        case 'f': {
          const [, path, digest, isRaw, tsize, size] = record
          const cid = cidFromDigest(run.layout, isRaw === 1, new Uint8Array(Buffer.from(digest, 'base64')))
          tree.add(entryNames(path), { cid, tsize, size })
          return
        }
        case 'h':
          tree.link(entryNames(record[1]), entryNames(record[2]))
          return
        case 'd':
          tree.addDirectory(entryNames(record[1]), record[2] ?? undefined)
      }
    },
    run.pace,
  )
  const importer = new TreeImporter(run, tree, journal, saved)
  try {
    await importer.readEntries()
    return await importer.build()
  } finally {
    await importer.close()
  }
}

class TreeImporter {
  readonly #run: ImportRun
  readonly #tree: ImportTree
  readonly #journal: EntryJournal
  readonly #reader: PullReader
  readonly #committer: Committer
  readonly #chunker: Chunker
  #prefix: string[] | null
  #current: (Omit<CurrentFile, 'file'> & { builder: FileBuilder }) | null = null
  #ended: boolean

  constructor(run: ImportRun, tree: ImportTree, journal: EntryJournal, saved: TreeCheckpoint | undefined) {
    this.#run = run
    this.#tree = tree
    this.#journal = journal
    this.#reader = new PullReader(run.source)
    this.#chunker = createChunker(run.layout.chunking)
    this.#committer = new Committer(run.source, run.commitInterval, async () => {
      await run.writer.barrier()
      await journal.sync()
    })
    this.#prefix = saved?.prefix ?? null
    this.#ended = saved?.ended ?? false
    if (saved === undefined) return
    Object.assign(run.totals, saved.totals)
    if (saved.current !== null) {
      const { file, ...current } = saved.current
      this.#current = { ...current, builder: new FileBuilder(run.layout, current.mode ?? undefined, file) }
    }
  }

  async readEntries(): Promise<void> {
    if (this.#current !== null) await this.#readFile()
    while (!this.#ended) {
      this.#run.signal.throwIfAborted()
      const entry = await readTarEntry(this.#reader)
      if (entry === undefined) {
        this.#ended = true
        break
      }
      await this.#take(entry)
      this.#commitIfDue()
      this.#run.progress(this.#reader.offset)
      await this.#run.pace.breathe()
    }
    await readTarTrailer(this.#reader)
    await this.#committer.finish(this.#reader.offset, this.#checkpoint())
  }

  /** Builds all directories. Needs nothing but what is committed, so that a crash here only repeats it. */
  async build(): Promise<Child> {
    const root = await this.#tree.build((block) => this.#put(block), this.#run.pace)
    await this.#run.writer.barrier()
    return root
  }

  async close(): Promise<void> {
    await this.#committer.settled().catch(() => {})
    await this.#reader.close()
    await this.#journal.close()
  }

  async #take(entry: TarEntry): Promise<void> {
    const names = this.#below(entry)
    if (entry.kind === 'special') {
      this.#run.totals.skipped += 1
      return
    }
    const path = names.join('/')
    const mode = this.#modeOf(entry)
    if (entry.kind === 'directory') {
      this.#tree.addDirectory(names, mode)
      await this.#journal.append(['d', path, mode ?? null])
      return
    }
    this.#tree.checkFree(names)
    if (entry.kind === 'file') {
      const builder = new FileBuilder(this.#run.layout, mode)
      this.#current = { names, mode: mode ?? null, sizeBytes: entry.sizeBytes, doneBytes: 0, builder }
      await this.#readFile()
    } else if (entry.kind === 'symlink') {
      const node = encodeSymlink(this.#run.layout, symlinkTarget(entry))
      await this.#put(node)
      await this.#finishEntry(names, node.child)
    } else {
      const target = this.#below({ ...entry, path: entry.target })
      const child = this.#tree.link(names, target)
      await this.#journal.append(['h', path, target.join('/')])
      this.#run.totals.files += 1
      this.#run.totals.size += child.size
    }
  }

  /** Reads what is left of the current file, its padding included. */
  async #readFile(): Promise<void> {
    const current = this.#current
    if (current === null) return
    let leftBytes = current.sizeBytes - current.doneBytes
    while (leftBytes > 0) {
      this.#run.signal.throwIfAborted()
      const part = await this.#reader.some(Math.min(READ_BYTES, leftBytes))
      if (part === undefined) throw tarTruncated(this.#reader.offset)
      leftBytes -= part.length
      for (const chunk of this.#chunker.push(part)) await this.#addChunk(current, chunk)
      if (leftBytes > 0) this.#commitIfDue()
      this.#run.progress(this.#reader.offset)
    }
    const rest = this.#chunker.finish()
    if (rest !== undefined) await this.#addChunk(current, rest)
    const last = await this.#putAll(current.builder.finish())
    if (!(await this.#reader.skip(paddingBytes(current.sizeBytes)))) throw tarTruncated(this.#reader.offset)
    this.#run.totals.files += 1
    this.#current = null
    await this.#finishEntry(current.names, current.builder.root(last))
  }

  async #addChunk(current: { builder: FileBuilder; doneBytes: number }, chunk: Uint8Array): Promise<void> {
    // Taken before: storage may hand the bytes to its worker, which leaves an empty array behind.
    const sizeBytes = chunk.length
    await this.#putAll(current.builder.add(chunk))
    current.doneBytes += sizeBytes
    this.#run.totals.size += sizeBytes
    await this.#run.pace.breathe()
  }

  async #finishEntry(names: string[], child: Child): Promise<void> {
    this.#tree.add(names, child)
    const digest = Buffer.from(child.cid.multihash.digest).toString('base64')
    await this.#journal.append([
      'f',
      names.join('/'),
      digest,
      isRawChild(child) ? 1 : 0,
      child.tsize,
      child.size,
    ])
  }

  async #putAll(nodes: Iterable<EncodedNode>): Promise<EncodedNode | undefined> {
    let last: EncodedNode | undefined
    for (const node of nodes) {
      await this.#put(node)
      last = node
    }
    return last
  }

  async #put(block: Block): Promise<void> {
    await this.#run.writer.put(block)
    this.#run.totals.blocks += 1
  }

  /**
   * The names of an entry below the root of the tree. The archive's root is the tree's root, unless the first entry is
   * the directory that the client named: then that is it, as in the streams that `tar` gives.
   */
  #below(entry: TarEntry): string[] {
    const names = entryNames(entry.path)
    if (this.#prefix === null) {
      const isNamedRoot = entry.kind === 'directory' && names.length === 1 && names[0] === this.#run.name
      this.#prefix = isNamedRoot ? names : []
    }
    for (const [index, name] of this.#prefix.entries()) {
      if (names[index] !== name)
        throw entryRefused(entry.path, `it is not in "${this.#run.name}", the root of this tree`)
    }
    return names.slice(this.#prefix.length)
  }

  /** A mode is kept only where it says something. */
  #modeOf(entry: TarEntry): number | undefined {
    if (!this.#run.preserveMode) return undefined
    if (entry.kind === 'directory') return entry.mode === DEFAULT_DIRECTORY_MODE ? undefined : entry.mode
    return entry.mode === DEFAULT_FILE_MODE ? undefined : entry.mode
  }

  #commitIfDue(): void {
    if (this.#current !== null && !this.#current.builder.canSave) return
    const offset = this.#reader.offset - this.#chunker.pendingBytes
    if (this.#committer.isDue(offset)) this.#committer.start(offset, this.#checkpoint())
  }

  #checkpoint(): TreeCheckpoint {
    let current: CurrentFile | null = null
    if (this.#current !== null) {
      const { builder, ...rest } = this.#current
      current = { ...rest, file: builder.save() }
    }
    return {
      version: 1,
      source: 'tree',
      totals: { ...this.#run.totals },
      journalBytes: this.#journal.length,
      prefix: this.#prefix,
      current,
      ended: this.#ended,
    }
  }
}

function symlinkTarget(entry: TarEntry): string {
  if (entry.target === '' || entry.target.includes('\0'))
    throw entryRefused(entry.path, 'the symlink has no target')
  return entry.target
}
