import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { readFileFrom } from '../files/read-source.ts'
import { listNamedSource } from '../files/source-tree.ts'
import { Target } from '../files/target.ts'
import { FileWriter } from '../files/write-file.ts'
import { printDetached } from '../job.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { send, sendForResult, type Sending } from '../send.ts'

interface ImportResult {
  roots: string[]
  blocks: number
  size: number
}

export interface ImportOptions {
  /** A name, or false for `--no-pin`. */
  pin?: string | boolean
  private?: boolean
  detach?: boolean
}

export interface ExportOptions {
  output?: string
  force?: boolean
  private?: boolean
}

export async function importCar(context: CliContext, file: string, options: ImportOptions): Promise<number> {
  const tree = await listNamedSource(file, context.signal)
  const [entry] = tree.entries
  if (entry === undefined || entry.type !== 'file') {
    throw new P2pnodeError('ERR_SOURCE_TYPE', 'usage', `${file} is no file`, { details: { path: file } })
  }
  return withClient(context, async (client) => {
    const sending: Sending = {
      kind: 'car-import',
      params: {
        pin: options.pin === false ? null : typeof options.pin === 'string' ? options.pin : tree.name,
        ...(options.private === true ? { private: true } : {}),
      },
      fingerprint: tree.fingerprint,
      sizeBytes: tree.fileBytes,
      label: `importing ${tree.name}`,
      bytesFrom: (offset) => readFileFrom(entry, offset, context.signal),
    }
    if (options.detach === true) {
      printDetached(context, (await send(context, client, sending)).job)
      return 0
    }
    const result = await sendForResult<ImportResult>(context, client, sending)
    context.output.result(
      result,
      () =>
        `${result.roots.join('\n')}\nimported ${formatCount(result.blocks)} blocks, ${formatBytes(result.size)}`,
    )
    return 0
  })
}

export async function exportCar(
  context: CliContext,
  address: string,
  options: ExportOptions,
): Promise<number> {
  return withClient(context, async (client) => {
    const query = { address, ...(options.private === true ? { private: true } : {}) }
    const open = async (): Promise<AsyncIterable<Uint8Array>> =>
      (await client.download('/api/v1/content/car', { query, signal: context.signal })).body
    if (options.output === '-') {
      const bytes = await open()
      context.output.startBytes()
      for await (const chunk of bytes) await context.output.raw(chunk, context.signal)
      return 0
    }
    const resolved = await client.get('/api/v1/content/resolve', {
      params: { query: { address } },
      signal: context.signal,
    })
    const target = await Target.at(options.output ?? `${resolved.cid}.car`, { force: options.force === true })
    const writer = await FileWriter.create(target.partialPath)
    try {
      for await (const chunk of await open()) {
        await writer.write(chunk)
        context.output.progress({ label: 'exporting', done: writer.sizeBytes, unit: 'bytes' })
      }
      const { sha256, sizeBytes } = await writer.end()
      await target.commit()
      context.output.result(
        { path: target.path, size: sizeBytes, sha256, root: resolved.cid },
        () => `${printable(target.path)} (${formatBytes(sizeBytes)})`,
      )
      return 0
    } catch (error) {
      await writer.abandon()
      await target.discard()
      throw error
    }
  })
}
