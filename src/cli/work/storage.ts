import { resolve } from 'node:path'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { Target } from '../files/target.ts'
import { FileWriter } from '../files/write-file.ts'
import { printDetached, waitForResult } from '../job.ts'
import { formatBytes, formatCount, printable, shellWord } from '../format.ts'

export async function gc(context: CliContext, detach: boolean): Promise<number> {
  return withClient(context, async (client) => {
    const job = await client.post('/api/v1/gc', { signal: context.signal })
    if (detach) {
      printDetached(context, job)
      return 0
    }
    const result = await waitForResult<{ removedBlocks: number; removedBytes: number; keptBlocks: number }>(
      context,
      client,
      job,
    )
    context.output.result(
      result,
      () =>
        `removed ${formatCount(result.removedBlocks)} blocks (${formatBytes(result.removedBytes)}), kept ${formatCount(result.keptBlocks)}`,
    )
    return 0
  })
}

export async function scrub(context: CliContext, detach: boolean): Promise<number> {
  return withClient(context, async (client) => {
    const job = await client.post('/api/v1/scrub', { signal: context.signal })
    if (detach) {
      printDetached(context, job)
      return 0
    }
    const result = await waitForResult<{
      checkedBlocks: number
      checkedBytes: number
      rottenBlocks: number
      healedBlocks: number
      checkedColumns: number
      rottenColumns: number
    }>(context, client, job)
    context.output.result(
      result,
      () =>
        `checked ${formatCount(result.checkedBlocks)} blocks (${formatBytes(result.checkedBytes)}): ${formatCount(result.rottenBlocks)} rotten, ${formatCount(result.healedBlocks)} healed; ${formatCount(result.checkedColumns)} columns kept for others: ${formatCount(result.rottenColumns)} rotten`,
    )
    return 0
  })
}

/** The archive holds the identity's key, so it is readable by its owner alone from its first byte on. */
const BACKUP_MODE = 0o600

export async function backup(context: CliContext, file: string): Promise<number> {
  return withClient(context, async (client) => {
    const target = await Target.at(file, { force: false })
    const writer = await FileWriter.create(target.partialPath, { mode: BACKUP_MODE, hash: false })
    try {
      const download = await client.download('/api/v1/backup', { signal: context.signal })
      for await (const chunk of download.body) {
        await writer.write(chunk)
        context.output.progress({ label: 'backup', done: writer.sizeBytes, unit: 'bytes' })
      }
      await writer.end({ sync: true })
      await target.commit()
    } catch (error) {
      await writer.abandon()
      await target.discard()
      throw error
    }
    context.output.result(
      { path: target.path, size: writer.sizeBytes },
      () => `${printable(target.path)} (${formatBytes(writer.sizeBytes)}); it holds keys: keep it safe`,
    )
    return 0
  })
}

export async function restore(context: CliContext, file: string): Promise<number> {
  const restored = await context.handlers.restore({
    home: context.home,
    file: resolve(file),
    signal: context.signal,
  })
  context.output.result(
    { home: context.home, ...restored },
    () =>
      `restored ${printable(context.home)} (${formatCount(restored.files)} files, ${formatBytes(restored.bytes)}); start it with: p2pnode --home ${shellWord(context.home)} start`,
  )
  return 0
}
