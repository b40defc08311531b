import { homedir } from 'node:os'
import { resolve, sep } from 'node:path'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Client, Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { Target } from '../files/target.ts'
import { FileWriter } from '../files/write-file.ts'
import { writeTree } from '../files/write-tree.ts'
import { cancelQuietly, printDetached, showJob } from '../job.ts'
import { formatBytes, formatCount } from '../output.ts'
import { patiently } from '../patience.ts'

export interface GetOptions {
  output?: string
  force?: boolean
  detach?: boolean
}

interface GetResult {
  cid: string
  size: number
  blocks: number
  fetchedBytes: number
  sources: { peer: string; blocks: number; bytes: number }[]
}

interface Written {
  size: number
  sha256: string | null
  files: number
}

/** Fetches and writes at the same time: the daemon's job fills the store, and what arrives is read from it at once. */
export async function get(context: CliContext, address: string, options: GetOptions): Promise<number> {
  return withClient(context, async (client) => {
    const job = await client.post('/api/v1/content/get', { body: { address }, signal: context.signal })
    if (options.detach === true) {
      printDetached(context, job)
      return 0
    }
    try {
      if (options.output === '-') {
        const { cat } = await import('./read.ts')
        return await cat(context, address, {})
      }
      return await fetchAndWrite(context, client, job, address, options)
    } catch (error) {
      await cancelQuietly(client, job.id)
      throw error
    }
  })
}

async function fetchAndWrite(
  context: CliContext,
  client: Client,
  job: Schema<'JobRecord'>,
  address: string,
  options: GetOptions,
): Promise<number> {
  const stop = new AbortController()
  const signal = AbortSignal.any([context.signal, stop.signal])
  // Watched from the beginning: its failure says more than that of the reading, and it shows the progress.
  const fetched = patiently(context, client, () =>
    client.resultOfJob(job.id, { signal, onChange: (now) => showJob(context, now) }),
  ) as Promise<GetResult>
  fetched.catch(() => stop.abort())
  try {
    const resolved = await patiently(context, client, () =>
      client.get('/api/v1/content/resolve', { params: { query: { address } }, signal }),
    )
    const path = options.output ?? safeName(resolved)
    const target = await Target.at(path, { force: options.force === true })
    if (options.force === true) refuseDangerous(target.path)
    try {
      const written =
        resolved.type === 'file' || resolved.type === 'raw'
          ? await writeFile(context, client, address, target, signal)
          : await writeFolder(context, client, address, resolved, target, signal)
      const result = await fetched
      await target.commit()
      context.output.result(
        { path: target.path, size: written.size, sha256: written.sha256, sources: result.sources },
        () =>
          `${target.path} (${written.files === 1 ? '' : `${formatCount(written.files)} files, `}${formatBytes(written.size)})`,
      )
      return 0
    } catch (error) {
      await target.discard()
      throw error
    }
  } catch (error) {
    // When the job failed first, the reading only broke off because of it.
    if (stop.signal.aborted && !context.signal.aborted) await fetched
    throw error
  } finally {
    stop.abort()
  }
}

/** The name that the address gives, as one name in this folder. */
function safeName({ name, cid }: Schema<'Resolved'>): string {
  return name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')
    ? cid
    : name
}

/** `--force` removes what it replaces; nobody means that of the folder they stand in, or of their own home. */
function refuseDangerous(path: string): void {
  for (const precious of [process.cwd(), homedir()]) {
    if (`${resolve(precious)}${sep}`.startsWith(path === sep ? sep : `${path}${sep}`)) {
      throw new P2pnodeError(
        'ERR_TARGET_DANGEROUS',
        'usage',
        `--force would remove ${path}, and with it ${precious}; choose another place with -o`,
      )
    }
  }
}

async function writeFile(
  context: CliContext,
  client: Client,
  address: string,
  target: Target,
  signal: AbortSignal,
): Promise<Written> {
  const writer = await FileWriter.create(target.partialPath)
  try {
    await patiently(context, client, async () => {
      const offset = writer.sizeBytes
      const { body } = await client.download('/api/v1/content/cat', {
        query: { address, ...(offset === 0 ? {} : { offset }) },
        signal,
      })
      for await (const chunk of body) await writer.write(chunk)
    })
    const { sha256, sizeBytes } = await writer.end()
    return { size: sizeBytes, sha256, files: 1 }
  } catch (error) {
    await writer.abandon()
    throw error
  }
}

async function writeFolder(
  context: CliContext,
  client: Client,
  address: string,
  resolved: Schema<'Resolved'>,
  target: Target,
  signal: AbortSignal,
): Promise<Written> {
  return patiently(context, client, async () => {
    // What an interrupted attempt wrote is made again: the blocks are in the store by then.
    await target.discard()
    const { body } = await client.download('/api/v1/content/tar', {
      query: { address, name: safeName(resolved) },
      signal,
    })
    const { sizeBytes, files } = await writeTree(body, target.partialPath, { signal })
    return { size: sizeBytes, sha256: null, files }
  })
}
