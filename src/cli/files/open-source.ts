import type { CliContext } from '../context.ts'
import { printable } from '../format.ts'
import { readFileFrom, readTarFrom, tarSizeBytes } from './read-source.ts'
import { listNamedSource } from './source-tree.ts'

/** A file or folder that is about to be sent: the file itself, or a tar stream of the folder. */
export interface OpenSource {
  name: string
  isTree: boolean
  /** Of what is sent. */
  sizeBytes: number
  fingerprint: string
  bytesFrom(offset: number): AsyncIterable<Uint8Array>
}

/** How many skipped entries are named one by one. */
const MAX_SKIPPED_SHOWN = 10

/** Lists what a path names, and warns of what cannot be sent. @throws ERR_SOURCE_* */
export async function openSource(context: CliContext, path: string): Promise<OpenSource> {
  const tree = await listNamedSource(path, context.signal)
  for (const { path: skipped, reason } of tree.skipped.slice(0, MAX_SKIPPED_SHOWN))
    context.output.warn(`left out ${printable(skipped)}: ${reason}`)
  const more = tree.skipped.length - MAX_SKIPPED_SHOWN
  if (more > 0) context.output.warn(`left out ${more} more`)
  const [root] = tree.entries
  const file = root?.type === 'file' ? root : undefined
  return {
    name: tree.name,
    isTree: file === undefined,
    sizeBytes: file === undefined ? await tarSizeBytes(tree) : tree.fileBytes,
    fingerprint: tree.fingerprint,
    bytesFrom: (offset) =>
      file === undefined
        ? readTarFrom(tree, offset, context.signal)
        : readFileFrom(file, offset, context.signal),
  }
}
