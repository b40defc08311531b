import { createHash } from 'node:crypto'
import { lstat, realpath } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import type { Client, Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { endpointOf, withClient } from '../daemon.ts'
import { readFileFrom, readTarFrom, tarSizeBytes } from '../files/read-source.ts'
import { listSource, type SourceTree } from '../files/source-tree.ts'
import { cancelQuietly, printDetached, waitForResult } from '../job.ts'
import { formatBytes, formatCount, printable } from '../output.ts'
import { patiently } from '../patience.ts'

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

/** A link named on the command line stands for what it points to, as with `cp`; links inside a tree stay links. */
async function sourceAt(path: string, signal: AbortSignal): Promise<SourceTree> {
  const named = resolve(path)
  const isLink = await lstat(named).then(
    (stats) => stats.isSymbolicLink(),
    () => false,
  )
  const tree = await listSource(isLink ? await realpath(named).catch(() => named) : named, signal)
  return { ...tree, name: basename(named) || tree.name }
}

export async function add(context: CliContext, path: string, options: AddOptions): Promise<number> {
  const tree = await sourceAt(path, context.signal)
  warnOfSkipped(context, tree)
  const [root] = tree.entries
  const isTree = root?.type !== 'file'
  const params: Schema<'AddParams'> = {
    source: isTree ? 'tree' : 'file',
    name: tree.name,
    profile: options.profile,
    ...(options.chunker === undefined ? {} : { chunker: options.chunker }),
    pin: options.pin === false ? null : typeof options.pin === 'string' ? options.pin : tree.name,
    preserveMode: isTree,
  }
  return withClient(context, async (client) => {
    const job = await send(context, client, tree, params, isTree ? await tarSizeBytes(tree) : tree.fileBytes)
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

/** Sends the bytes, across interruptions, and returns the job that takes them. */
async function send(
  context: CliContext,
  client: Client,
  tree: SourceTree,
  params: Schema<'AddParams'>,
  sizeBytes: number,
): Promise<Schema<'JobRecord'>> {
  const [root] = tree.entries
  let job: Schema<'JobRecord'> | undefined
  try {
    const opened = await client.upload({
      open: {
        kind: 'add',
        params,
        // The same source with other options is another job.
        fingerprint: createHash('sha256')
          .update(JSON.stringify([tree.fingerprint, params]))
          .digest('hex'),
        size: sizeBytes,
      },
      source: (offset) =>
        params.source === 'file' && root !== undefined
          ? readFileFrom(root, offset, context.signal)
          : readTarFrom(tree, offset, context.signal),
      signal: context.signal,
      onOpened: (session) => {
        job = session.job
      },
      onProgress: (done) =>
        context.output.progress({
          label: `adding ${printable(tree.name)}`,
          done,
          total: sizeBytes,
          unit: 'bytes',
        }),
      relocate: () => endpointOf(context),
    })
    return opened.job
  } catch (error) {
    // Ctrl-C, and a source that cannot be read: nobody will come back with these bytes.
    if (job !== undefined && (context.signal.aborted || isSourceError(error)))
      await cancelQuietly(client, job.id)
    throw error
  }
}

function isSourceError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_SOURCE_')
}

function warnOfSkipped(context: CliContext, tree: SourceTree): void {
  for (const { path, reason } of tree.skipped.slice(0, MAX_SKIPPED_SHOWN))
    context.output.warn(`left out ${printable(path)}: ${reason}`)
  const more = tree.skipped.length - MAX_SKIPPED_SHOWN
  if (more > 0) context.output.warn(`left out ${more} more`)
}
