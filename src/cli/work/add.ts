import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { openSource } from '../files/open-source.ts'
import { printDetached } from '../job.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { send, sendForResult, type Sending } from '../send.ts'

export interface AddOptions {
  profile: 'unixfs-v1-2025' | 'unixfs-v0-2015'
  chunker?: string
  /** A name, or false for `--no-pin`. */
  pin?: string | boolean
  private?: boolean
  detach?: boolean
}

interface AddResult {
  cid: string
  size: number
  files: number
  blocks: number
  private?: true
  privateBlocks?: number
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
    ...(options.private === true ? { private: true } : {}),
  }
  return withClient(context, async (client) => {
    const sending: Sending = {
      kind: 'add',
      params,
      fingerprint,
      sizeBytes,
      label: `adding ${name}`,
      bytesFrom,
    }
    if (options.detach === true) {
      printDetached(context, (await send(context, client, sending)).job)
      return 0
    }
    const result = await sendForResult<AddResult>(context, client, sending)
    const { output } = context
    output.result(result, () => result.cid)
    if (output.interactive) {
      const what = isTree ? `${formatCount(result.files)} files, ` : ''
      output.note(
        `added ${printable(name)}: ${what}${formatBytes(result.size)}${params.pin === null ? ', not pinned' : ''}${options.private === true ? ', private' : ''}`,
      )
    }
    if (result.privateBlocks !== undefined) {
      output.note(
        `${formatCount(result.privateBlocks)} of its blocks are private, as a part of other content: outside of this network they are not to be had`,
      )
    }
    return 0
  })
}
