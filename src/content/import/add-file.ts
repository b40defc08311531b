import type { Child, EncodedNode } from '../unixfs/node.ts'
import { createChunker } from '../unixfs/chunker.ts'
import { FileBuilder } from '../unixfs/file.ts'
import { Committer } from './committer.ts'
import type { ImportRun } from './run.ts'
import type { FileCheckpoint } from './checkpoint.ts'
import { emptyTotals } from './checkpoint.ts'
import { PullReader } from '../../tar/pull-reader.ts'

/** What is asked of the source at a time; it gives what it has, usually 64 KiB. */
const READ_BYTES = 1024 * 1024

/** Imports the whole source as one file and gives its root, every block of which is durable. */
export async function importFile(run: ImportRun, saved: FileCheckpoint | undefined): Promise<Child> {
  const { layout, writer, source, pace } = run
  Object.assign(run.totals, saved?.totals ?? emptyTotals())
  // A single file never carries a mode: the same bytes shall have the same CID wherever they were read.
  const builder = new FileBuilder(layout, undefined, saved?.file)
  const chunker = createChunker(layout.chunking)
  const committer = new Committer(source, run.commitInterval, () => writer.barrier())
  const reader = new PullReader(source)

  const store = async (nodes: Iterable<EncodedNode>): Promise<EncodedNode | undefined> => {
    let last: EncodedNode | undefined
    for (const node of nodes) {
      await writer.put(node)
      run.totals.blocks += 1
      last = node
    }
    return last
  }
  const addChunk = async (chunk: Uint8Array): Promise<void> => {
    // Taken before: storage may hand the bytes to its worker, which leaves an empty array behind.
    const sizeBytes = chunk.length
    await store(builder.add(chunk))
    run.totals.size += sizeBytes
    await pace.breathe()
  }
  const checkpoint = (): FileCheckpoint => ({
    version: 1,
    source: 'file',
    totals: { ...run.totals },
    file: builder.save(),
  })

  try {
    for (let part = await reader.some(READ_BYTES); part !== undefined; part = await reader.some(READ_BYTES)) {
      run.signal.throwIfAborted()
      for (const chunk of chunker.push(part)) await addChunk(chunk)
      const offset = reader.offset - chunker.pendingBytes
      if (committer.isDue(offset)) committer.start(offset, checkpoint())
      run.progress(reader.offset)
    }
    const rest = chunker.finish()
    if (rest !== undefined) await addChunk(rest)
    // `finish` adds nothing to what a checkpoint needs, and can be done again after a crash.
    await committer.finish(reader.offset, checkpoint())
    const root = builder.root(await store(builder.finish()))
    run.totals.files = 1
    await writer.barrier()
    return root
  } finally {
    await committer.settled().catch(() => {})
    await reader.close()
  }
}
