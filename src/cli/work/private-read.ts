import { createHash, randomBytes } from 'node:crypto'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Client, Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { Target } from '../files/target.ts'
import { FileWriter } from '../files/write-file.ts'
import { writeTree } from '../files/write-tree.ts'
import { formatBytes, formatCount, printable } from '../format.ts'
import { patiently } from '../patience.ts'
import { linkOf, type PrivateAddress } from '../private-address.ts'
import type { GetOptions } from './get.ts'

const STANDARD_OUTPUT = '-'
const READ_ID_BYTES = 12

/** One read: of what, and under which id the node counts it. */
interface Read {
  context: CliContext
  client: Client
  link: string
  path: string | undefined
  resolved: Schema<'VaultResolved'>
  id: string
}

interface Written {
  path: string
  size: number
  sha256: string | null
  files: number
}

/** Fetches, decrypts and writes a private file or tree; nothing of it is kept by the node. */
export async function getPrivate(
  context: CliContext,
  address: PrivateAddress,
  options: GetOptions,
): Promise<number> {
  const force = options.force === true
  const { output } = options
  if (options.detach === true) {
    throw new P2pnodeError(
      'ERR_USAGE',
      'usage',
      'a private file is decrypted on its way to you and not kept by the node: --detach has no meaning here',
    )
  }
  // Refused before anything is fetched, where it can be.
  const named =
    output === undefined || output === STANDARD_OUTPUT ? undefined : await Target.at(output, { force })
  return withClient(context, async (client) => {
    const read = await open(context, client, address)
    const written =
      output === STANDARD_OUTPUT
        ? await toStandardOutput(read)
        : await toDisk(read, named ?? (await Target.at(safeName(read.resolved), { force })))
    const { path, size, sha256, files } = written
    if (path === STANDARD_OUTPUT && !context.output.json) return 0
    const sources = context.output.json ? await sourcesOf(read) : []
    context.output.result(
      { path, size, sha256, sources },
      () => `${printable(path)} (${files === 1 ? '' : `${formatCount(files)} files, `}${formatBytes(size)})`,
    )
    return 0
  })
}

/** Writes a private file, or a part of it, to standard output. */
export async function catPrivate(
  context: CliContext,
  address: PrivateAddress,
  range: { offset?: number; length?: number },
): Promise<number> {
  return withClient(context, async (client) => {
    const read = await open(context, client, address)
    context.output.startBytes()
    await readFile(read, range, (chunk) => context.output.raw(chunk, context.signal))
    return 0
  })
}

async function open(context: CliContext, client: Client, address: PrivateAddress): Promise<Read> {
  const { signal } = context
  const { link, path } = await linkOf(context, client, address)
  const body = path === undefined ? { link } : { link, path }
  const resolved = await patiently(
    context,
    client,
    () => client.post('/api/v1/vault/resolve', { body, signal }),
    { first: true },
  )
  return { context, client, link, path, resolved, id: randomBytes(READ_ID_BYTES).toString('base64url') }
}

async function toDisk(read: Read, target: Target): Promise<Written> {
  try {
    const written =
      read.resolved.type === 'file' ? await writeFile(read, target) : await writeFolder(read, target)
    await target.commit()
    return written
  } catch (error) {
    await target.discard()
    throw error
  }
}

async function writeFile(read: Read, target: Target): Promise<Written> {
  const writer = await FileWriter.create(target.partialPath)
  try {
    await readFile(read, {}, (chunk) => writer.write(chunk))
    const { sha256, sizeBytes } = await writer.end()
    checkHash(read, sha256)
    return { path: target.path, size: sizeBytes, sha256, files: 1 }
  } catch (error) {
    await writer.abandon()
    throw error
  }
}

async function toStandardOutput(read: Read): Promise<Written> {
  const { output, signal } = read.context
  const hash = createHash('sha256')
  let size = 0
  // An empty file, too, leaves nothing but itself on standard output.
  output.startBytes()
  await readFile(read, {}, async (chunk) => {
    await output.raw(chunk, signal)
    hash.update(chunk)
    size += chunk.length
  })
  const sha256 = hash.digest('hex')
  checkHash(read, sha256)
  return { path: STANDARD_OUTPUT, size, sha256, files: 1 }
}

/** Every piece was verified on its way; this says that the whole is what its owner put, whatever went wrong in between. */
function checkHash({ resolved }: Read, sha256: string): void {
  if (resolved.sha256 === null || resolved.sha256 === sha256) return
  throw new P2pnodeError(
    'ERR_VAULT_HASH',
    'verification',
    'what arrived is not what its owner put: the SHA-256 of the whole differs; nothing was kept',
    { details: { expected: resolved.sha256, found: sha256 } },
  )
}

/** Reads a file in order and goes on where it was after an interruption. @throws ERR_NOT_A_FILE of a folder */
async function readFile(
  { context, client, link, path, resolved, id }: Read,
  range: { offset?: number; length?: number },
  take: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const { signal } = context
  const from = range.offset ?? 0
  const total = Math.max(0, Math.min(resolved.size - from, range.length ?? resolved.size))
  let done = 0
  const label = `reading ${resolved.name}`
  const attempt = async (): Promise<void> => {
    const { body } = await client.downloadPosted('/api/v1/vault/cat', {
      body: {
        link,
        ...(path === undefined ? {} : { path }),
        offset: from + done,
        ...(range.length === undefined ? {} : { length: range.length - done }),
        read: id,
      },
      signal,
    })
    for await (const chunk of body) {
      await take(chunk)
      done += chunk.length
      context.output.progress({ label, done, total, unit: 'bytes' })
    }
  }
  await patiently(context, client, attempt)
}

async function writeFolder(
  { context, client, link, path, resolved, id }: Read,
  target: Target,
): Promise<Written> {
  const { signal } = context
  const write = async (): Promise<Written> => {
    // A tar stream does not go on in the middle: what an interrupted attempt wrote is made again.
    await target.discard()
    const { body } = await client.downloadPosted('/api/v1/vault/tar', {
      body: { link, ...(path === undefined ? {} : { path }), name: safeName(resolved), read: id },
      signal,
    })
    let done = 0
    const onBytes = (bytes: number): void => {
      done += bytes
      const label = `reading ${resolved.name}`
      context.output.progress({ label, done, total: resolved.size, unit: 'bytes' })
    }
    const { sizeBytes, files } = await writeTree(body, target.partialPath, { signal, onBytes })
    return { path: target.path, size: sizeBytes, sha256: null, files }
  }
  return patiently(context, client, write)
}

/** Whom the bytes came from; a node that was restarted meanwhile remembers only what came after. */
async function sourcesOf({ context, client, id }: Read): Promise<Schema<'ReadReport'>['sources']> {
  try {
    const report = await client.get('/api/v1/vault/reads/{id}', {
      params: { path: { id } },
      signal: context.signal,
    })
    return report.sources
  } catch (error) {
    if (error instanceof P2pnodeError && error.code === 'ERR_READ_NOT_FOUND') return []
    throw error
  }
}

/** The name that its owner gave, as one name in this folder: never a path. */
function safeName({ name }: Schema<'VaultResolved'>): string {
  return name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')
    ? 'private-file'
    : name
}
