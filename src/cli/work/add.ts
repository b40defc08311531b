import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { readFileFrom, readTarFrom, tarSizeBytes } from '../files/read-source.ts'
import { listNamedSource, type SourceTree } from '../files/source-tree.ts'
import { printDetached, waitForResult } from '../job.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { patiently } from '../patience.ts'
import { send } from '../send.ts'

export interface AddOptions {
  profile: 'unixfs-v1-2025' | 'unixfs-v0-2015'
  chunker?: string
  /** A name, or false for `--no-pin`. */
  pin?: string | boolean
  detach?: boolean
}

interface AddResult {
  cid: string
  size: number
  files: number
  blocks: number
}

/** How many skipped entries are named one by one. */
const MAX_SKIPPED_SHOWN = 10

export async function add(context: CliContext, path: string, options: AddOptions): Promise<number> {
  const tree = await listNamedSource(path, context.signal)
  warnOfSkipped(context, tree)
  const [root] = tree.entries
  const isTree = root?.type !== 'file'
  const sizeBytes = isTree ? await tarSizeBytes(tree) : tree.fileBytes
  const params: Schema<'AddParams'> = {
    source: isTree ? 'tree' : 'file',
    name: tree.name,
    profile: options.profile,
    ...(options.chunker === undefined ? {} : { chunker: options.chunker }),
    pin: options.pin === false ? null : typeof options.pin === 'string' ? options.pin : tree.name,
    preserveMode: isTree,
  }
  return withClient(context, async (client) => {
    const job = await send(context, client, {
      kind: 'add',
      params,
      fingerprint: tree.fingerprint,
      sizeBytes,
      label: `adding ${tree.name}`,
      bytesFrom: (offset) =>
        root?.type === 'file'
          ? readFileFrom(root, offset, context.signal)
          : readTarFrom(tree, offset, context.signal),
    })
    if (options.detach === true) {
      printDetached(context, job)
      return 0
    }
    const result = await patiently(context, client, () => waitForResult<AddResult>(context, client, job))
    const { output } = context
    output.result(result, () => result.cid)
    if (output.interactive) {
      const what = isTree ? `${formatCount(result.files)} files, ` : ''
      output.note(
        `added ${printable(tree.name)}: ${what}${formatBytes(result.size)}${params.pin === null ? ', not pinned' : ''}`,
      )
    }
    return 0
  })
}

function warnOfSkipped(context: CliContext, tree: SourceTree): void {
  for (const { path, reason } of tree.skipped.slice(0, MAX_SKIPPED_SHOWN))
    context.output.warn(`left out ${printable(path)}: ${reason}`)
  const more = tree.skipped.length - MAX_SKIPPED_SHOWN
  if (more > 0) context.output.warn(`left out ${more} more`)
}
