import { createHash } from 'node:crypto'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { CliContext } from '../context.ts'
import { endpointOf, withClient } from '../daemon.ts'
import { readFileFrom } from '../files/read-source.ts'
import { listSource } from '../files/source-tree.ts'
import { Target } from '../files/target.ts'
import { FileWriter } from '../files/write-file.ts'
import { cancelQuietly, waitForResult } from '../job.ts'
import { formatBytes, formatCount, printable } from '../output.ts'
import { patiently } from '../patience.ts'

interface ImportResult {
  roots: string[]
  blocks: number
  size: number
}

export async function importCar(
  context: CliContext,
  file: string,
  options: { pin?: string | boolean },
): Promise<number> {
  const tree = await listSource(file, context.signal)
  const [entry] = tree.entries
  if (entry === undefined || entry.type !== 'file') {
    throw new P2pnodeError('ERR_SOURCE_TYPE', 'usage', `${file} is no file`, { details: { path: file } })
  }
  const params = {
    pin: options.pin === false ? null : typeof options.pin === 'string' ? options.pin : tree.name,
  }
  return withClient(context, async (client) => {
    let jobId: string | undefined
    try {
      const { job } = await client.upload({
        open: {
          kind: 'car-import',
          params,
          fingerprint: createHash('sha256')
            .update(JSON.stringify([tree.fingerprint, params]))
            .digest('hex'),
          size: tree.fileBytes,
        },
        source: (offset) => readFileFrom(entry, offset, context.signal),
        signal: context.signal,
        onOpened: (session) => {
          jobId = session.job.id
        },
        onProgress: (done) =>
          context.output.progress({
            label: `importing ${printable(tree.name)}`,
            done,
            total: tree.fileBytes,
            unit: 'bytes',
          }),
        relocate: () => endpointOf(context),
      })
      const result = await patiently(context, client, () => waitForResult<ImportResult>(context, client, job))
      context.output.result(
        result,
        () =>
          `${result.roots.join('\n')}\nimported ${formatCount(result.blocks)} blocks, ${formatBytes(result.size)}`,
      )
      return 0
    } catch (error) {
      if (jobId !== undefined && context.signal.aborted) await cancelQuietly(client, jobId)
      throw error
    }
  })
}

export async function exportCar(
  context: CliContext,
  address: string,
  options: { output?: string; force?: boolean },
): Promise<number> {
  return withClient(context, async (client) => {
    const open = async (): Promise<AsyncIterable<Uint8Array>> =>
      (await client.download('/api/v1/content/car', { query: { address }, signal: context.signal })).body
    if (options.output === '-') {
      for await (const chunk of await open()) await context.output.raw(chunk)
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
        () => `${target.path} (${formatBytes(sizeBytes)})`,
      )
      return 0
    } catch (error) {
      await writer.abandon()
      await target.discard()
      throw error
    }
  })
}
