import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { openSource } from '../files/open-source.ts'
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

export async function add(context: CliContext, path: string, options: AddOptions): Promise<number> {
  const { name, isTree, fingerprint, sizeBytes, bytesFrom } = await openSource(context, path)
  const params: Schema<'AddParams'> = {
    source: isTree ? 'tree' : 'file',
    name,
    profile: options.profile,
    ...(options.chunker === undefined ? {} : { chunker: options.chunker }),
    pin: options.pin === false ? null : typeof options.pin === 'string' ? options.pin : name,
    preserveMode: isTree,
  }
  return withClient(context, async (client) => {
    const sending = {
      kind: 'add' as const,
      params,
      fingerprint,
      sizeBytes,
      label: `adding ${name}`,
      bytesFrom,
    }
    const job = await send(context, client, sending)
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
        `added ${printable(name)}: ${what}${formatBytes(result.size)}${params.pin === null ? ', not pinned' : ''}`,
      )
    }
    return 0
  })
}
