import { basename } from 'node:path'
import { open } from 'node:fs/promises'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { Target } from '../files/target.ts'
import { FileWriter } from '../files/write-file.ts'
import { formatTime, printable } from '../format.ts'
import { tableText } from '../table.ts'

/** As the specification has it; the node refuses larger ones too. */
const MAX_RECORD_BYTES = 10 * 1024
const RECORD_SUFFIX = '.ipns-record'

export interface PublishOptions {
  key?: string
  lifetime?: number
  ttl?: number
  offline?: boolean
}

export interface ResolveOptions {
  record?: boolean
  offline?: boolean
  maxAge?: number
}

export async function publish(
  context: CliContext,
  address: string,
  options: PublishOptions,
): Promise<number> {
  const { key, lifetime, ttl, offline } = options
  return withClient(context, async (client) => {
    const body = {
      address,
      ...(key === undefined ? {} : { key }),
      ...(lifetime === undefined ? {} : { lifetimeMs: lifetime }),
      ...(ttl === undefined ? {} : { ttlMs: ttl }),
      ...(offline === undefined ? {} : { offline }),
    }
    const published = await client.post('/api/v1/names', { body, signal: context.signal })
    context.output.result(published, () => {
      const told = published.told === 1 ? 'one peer' : `${published.told} peers`
      const news = published.told > 0 ? `${told} know it` : 'nobody was told so far; it is tried again'
      return `/ipns/${published.name} leads to ${printable(published.value)}\nrecord ${published.sequence}, ${news}`
    })
    return 0
  })
}

export async function resolve(context: CliContext, name: string, options: ResolveOptions): Promise<number> {
  const { record: wantsRecord, offline, maxAge } = options
  const query = {
    name,
    ...(offline === undefined ? {} : { offline }),
    ...(maxAge === undefined ? {} : { maxAgeMs: maxAge }),
  }
  return withClient(context, async (client) => {
    if (wantsRecord === true) {
      const record = await client.get('/api/v1/names/record', { params: { query }, signal: context.signal })
      context.output.result(record, () =>
        [
          `name      /ipns/${record.name}`,
          `value     ${printable(record.value)}`,
          `number    ${record.sequence}`,
          `valid     until ${formatTime(record.validUntilMs)}`,
          `ttl       ${Math.round(record.ttlMs / 1000)} s`,
        ].join('\n'),
      )
      return 0
    }
    const resolved = await client.get('/api/v1/names/resolve', { params: { query }, signal: context.signal })
    context.output.result({ name, ...resolved }, () => printable(resolved.path))
    return 0
  })
}

export async function list(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const { names } = await client.get('/api/v1/names', { signal: context.signal })
    context.output.result({ names }, () =>
      names.length === 0
        ? 'no name is published; publish one with: p2pnode name publish ADDRESS'
        : tableText(
            context.output,
            ['KEY', 'NAME', 'LEADS TO', 'NUMBER', 'VALID UNTIL', 'TOLD'],
            names.map((each) => [
              each.key,
              each.name,
              each.value,
              each.sequence,
              formatTime(each.validUntilMs),
              each.problem ?? String(each.told),
            ]),
          ),
    )
    return 0
  })
}

export async function unpublish(context: CliContext, key: string): Promise<number> {
  return withClient(context, async (client) => {
    await client.delete('/api/v1/names/{key}', { params: { path: { key } }, signal: context.signal })
    context.output.result({ unpublished: key }, () => `nothing is published with ${printable(key)} any more`)
    return 0
  })
}

export async function exportRecord(
  context: CliContext,
  name: string,
  options: { output?: string; force?: boolean },
): Promise<number> {
  return withClient(context, async (client) => {
    const query = { name }
    const record = await client.get('/api/v1/names/record', { params: { query }, signal: context.signal })
    const path = options.output ?? `${record.name}${RECORD_SUFFIX}`
    const target = await Target.at(path, { force: options.force === true })
    const writer = await FileWriter.create(target.partialPath)
    await writer.write(Buffer.from(record.record, 'base64'))
    const { sizeBytes } = await writer.end()
    await target.commit()
    context.output.result({ path: target.path, size: sizeBytes, name: record.name }, () =>
      printable(target.path),
    )
    return 0
  })
}

export async function importRecord(
  context: CliContext,
  file: string,
  options: { name?: string; keep?: boolean },
): Promise<number> {
  const name = options.name ?? basename(file).replace(RECORD_SUFFIX, '')
  const bytes = await readRecord(file)
  return withClient(context, async (client) => {
    const imported = await client.sendFile('/api/v1/names/import', bytes, {
      query: { name, keep: options.keep !== false },
      signal: context.signal,
    })
    context.output.result(
      imported,
      () =>
        `/ipns/${imported.name} leads to ${printable(imported.value)}\nrecord ${imported.sequence}, told to ${imported.told}`,
    )
    return 0
  })
}

/** @throws ERR_RECORD_FILE */
async function readRecord(file: string): Promise<Uint8Array> {
  const refused = (message: string, kind: 'usage' | 'not-found' | 'failed', cause?: unknown): P2pnodeError =>
    new P2pnodeError('ERR_RECORD_FILE', kind, message, { details: { path: file }, cause })
  try {
    const handle = await open(file)
    try {
      const bytes = new Uint8Array(MAX_RECORD_BYTES + 1)
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
      if (bytesRead <= MAX_RECORD_BYTES) return bytes.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw refused(
      isMissing ? `${file} does not exist` : `${file} cannot be read: ${(error as Error).message}`,
      isMissing ? 'not-found' : 'failed',
      error,
    )
  }
  throw refused(`${file} is larger than any record (${MAX_RECORD_BYTES} bytes)`, 'usage')
}

export async function listKeys(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const { keys } = await client.get('/api/v1/names/keys', { signal: context.signal })
    context.output.result({ keys }, () => keysText(context, keys))
    return 0
  })
}

function keysText(context: CliContext, keys: Schema<'NameKey'>[]): string {
  return tableText(
    context.output,
    ['KEY', 'NAME', 'SINCE'],
    keys.map(({ key, name, createdAtMs }) => [
      key,
      name,
      createdAtMs === null ? '' : formatTime(createdAtMs),
    ]),
  )
}

export async function createKey(context: CliContext, key: string): Promise<number> {
  return withClient(context, async (client) => {
    const made = await client.post('/api/v1/names/keys', { body: { key }, signal: context.signal })
    context.output.result(made, () => `${made.key} publishes under /ipns/${made.name}`)
    return 0
  })
}

export async function removeKey(context: CliContext, key: string): Promise<number> {
  return withClient(context, async (client) => {
    await client.delete('/api/v1/names/keys/{key}', { params: { path: { key } }, signal: context.signal })
    context.output.result({ removed: key }, () => `the key ${printable(key)} is gone`)
    return 0
  })
}
