import { createHash } from 'node:crypto'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Client, Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { Target } from '../files/target.ts'
import { FileWriter } from '../files/write-file.ts'
import { writeTree } from '../files/write-tree.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { cancelQuietly, printDetached, showJob } from '../job.ts'
import { patiently } from '../patience.ts'

export interface GetOptions {
  /** A path; `-` is standard output. */
  output?: string
  force?: boolean
  private?: boolean
  detach?: boolean
}

interface GetResult {
  cid: string
  size: number
  blocks: number
  fetchedBytes: number
  sources: { step: string; peer: string; blocks: number; bytes: number }[]
}

interface Written {
  /** Where it lies now; `-` for standard output. */
  path: string
  size: number
  sha256: string | null
  files: number
}

/** What is written, but not yet in its place. */
interface Pending {
  written: Written
  commit: () => Promise<void>
  discard: () => Promise<void>
}

/** One download: what it is, and what may end it. */
interface Download {
  context: CliContext
  client: Client
  address: string
  /** Ctrl-C, or the failure of the job that fetches. */
  signal: AbortSignal
  /** Whether the job may still get what the reading misses. */
  passes: (error: unknown) => boolean
}

const STANDARD_OUTPUT = '-'

/** The job may end between a miss and the next look; what is missing after that was removed (nothing pins it), or is rotten. */
const MAX_LATE_MISSES = 2

/** Fetches and writes at the same time: the daemon's job fills the store, and what arrives is read from it at once. */
export async function get(context: CliContext, address: string, options: GetOptions): Promise<number> {
  const force = options.force === true
  const { output } = options
  // Refused before anything is fetched, where it can be.
  const named =
    output === undefined || output === STANDARD_OUTPUT || options.detach === true
      ? undefined
      : await Target.at(output, { force })
  return withClient(context, async (client) => {
    // Asked again where the answer was lost: a second job for the same address finds everything held and ends.
    const begin = () =>
      client.post('/api/v1/content/get', {
        body: { address, ...(options.private === true ? { private: true } : {}) },
        signal: context.signal,
      })
    const job = await patiently(context, client, begin, { first: true })
    if (options.detach === true) {
      printDetached(context, job)
      return 0
    }
    try {
      const { written, result } = await beside(context, client, job, (watched) => {
        const download = { context, client, address, ...watched }
        return output === STANDARD_OUTPUT
          ? toStandardOutput(download)
          : toDisk(download, async (resolved) => named ?? Target.at(safeName(resolved), { force }))
      })
      const { path, size, sha256, files } = written
      if (path !== STANDARD_OUTPUT || context.output.json) {
        context.output.result(
          { path, size, sha256, sources: result.sources },
          () =>
            `${printable(path)} (${files === 1 ? '' : `${formatCount(files)} files, `}${formatBytes(size)})`,
        )
      }
      return 0
    } catch (error) {
      await cancelQuietly(client, job.id)
      throw error
    }
  })
}

/** Watches the fetching job beside the writing; what was written gets its place once the job says that all of it arrived. */
async function beside(
  context: CliContext,
  client: Client,
  job: Schema<'JobRecord'>,
  write: (watched: Pick<Download, 'signal' | 'passes'>) => Promise<Pending>,
): Promise<{ written: Written; result: GetResult }> {
  const stop = new AbortController()
  const signal = AbortSignal.any([context.signal, stop.signal])
  const fetching = patiently(context, client, () =>
    client.resultOfJob(job.id, { signal, onChange: (now) => showJob(context, now) }),
  ) as Promise<GetResult>
  let lateMisses = 0
  let isFetched = false
  fetching.then(
    () => {
      isFetched = true
    },
    () => stop.abort(),
  )
  const passes = (error: unknown): boolean => {
    if (isFetched) lateMisses += 1
    return isMissing(error) && lateMisses <= MAX_LATE_MISSES
  }
  let pending: Pending | undefined
  try {
    pending = await write({ signal, passes })
    const result = await fetching
    await pending.commit()
    return { written: pending.written, result }
  } catch (error) {
    await pending?.discard()
    // When the job failed first, the reading only broke off because of it.
    if (stop.signal.aborted && !context.signal.aborted) await fetching
    throw error
  } finally {
    stop.abort()
  }
}

async function toDisk(
  download: Download,
  targetFor: (resolved: Schema<'Resolved'>) => Promise<Target>,
): Promise<Pending> {
  const { context, client, address, signal, passes } = download
  const ask = () => client.get('/api/v1/content/resolve', { params: { query: { address } }, signal })
  const resolved = await patiently(context, client, ask, { passes, signal })
  const target = await targetFor(resolved)
  try {
    const isFile = resolved.type === 'file' || resolved.type === 'raw'
    const written = isFile
      ? await writeFile(download, target)
      : await writeFolder(download, target, safeName(resolved))
    return { written, commit: () => target.commit(), discard: () => target.discard() }
  } catch (error) {
    await target.discard()
    throw error
  }
}

async function toStandardOutput(download: Download): Promise<Pending> {
  const { output } = download.context
  const hash = createHash('sha256')
  let size = 0
  await readFile(
    download,
    () => size,
    async (chunk) => {
      await output.raw(chunk, download.signal)
      hash.update(chunk)
      size += chunk.length
    },
  )
  // An empty file, too, leaves nothing but itself on standard output.
  output.startBytes()
  const nothing = async (): Promise<void> => {}
  return {
    written: { path: STANDARD_OUTPUT, size, sha256: hash.digest('hex'), files: 1 },
    commit: nothing,
    discard: nothing,
  }
}

/** The name that the address gives, as one name in this folder. */
function safeName({ name, cid }: Schema<'Resolved'>): string {
  return name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')
    ? cid
    : name
}

/** Reads a file from where `sizeBytes` says on, across interruptions. */
async function readFile(
  { context, client, address, signal, passes }: Download,
  sizeBytes: () => number,
  take: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const read = async (): Promise<void> => {
    const offset = sizeBytes()
    const { body } = await client.download('/api/v1/content/cat', {
      query: { address, ...(offset === 0 ? {} : { offset }) },
      signal,
    })
    for await (const chunk of body) await take(chunk)
  }
  await patiently(context, client, read, { passes, signal })
}

/** What the reading misses, the job, as long as it runs, may still get: it waits for sources to come back. */
function isMissing(error: unknown): boolean {
  return (
    error instanceof P2pnodeError && (error.code === 'ERR_NOT_FOUND' || error.code === 'ERR_FETCH_STALLED')
  )
}

async function writeFile(download: Download, target: Target): Promise<Written> {
  const writer = await FileWriter.create(target.partialPath)
  try {
    await readFile(
      download,
      () => writer.sizeBytes,
      (chunk) => writer.write(chunk),
    )
    const { sha256, sizeBytes } = await writer.end()
    return { path: target.path, size: sizeBytes, sha256, files: 1 }
  } catch (error) {
    await writer.abandon()
    throw error
  }
}

async function writeFolder(
  { context, client, address, signal, passes }: Download,
  target: Target,
  name: string,
): Promise<Written> {
  const write = async (): Promise<Written> => {
    // What an interrupted attempt wrote is made again: the blocks are in the store by then.
    await target.discard()
    const { body } = await client.download('/api/v1/content/tar', { query: { address, name }, signal })
    const { sizeBytes, files } = await writeTree(body, target.partialPath, { signal })
    return { path: target.path, size: sizeBytes, sha256: null, files }
  }
  return patiently(context, client, write, { passes, signal })
}
