import type { ApiContext } from '../context.ts'
import { notAVaultFile, notFound } from '../errors.ts'
import { matchesEntityTag, privateHeaders, rangeAsked } from '../range.ts'
import { type Call, route, type Route } from '../route.ts'
import {
  FileParams,
  FilePathParams,
  FileQuery,
  ReadParams,
  ReadReport,
  VaultCatBody,
  VaultTarBody,
} from '../schemas/vault.ts'
import { StreamAnswer } from '../streaming.ts'
import { pathOf, vaultOf } from './vault.ts'

const fileReplies = {
  200: { description: 'the bytes; a folder as a tar stream', type: 'application/octet-stream' },
  206: { description: 'the range of bytes', type: 'application/octet-stream' },
  304: { description: 'the client has it already' },
} as const

/** Bytes of private files: decrypted here, on their way to whoever has the link; nothing is kept on disk. */
export const vaultFileRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/api/v1/vault/cat',
    operationId: 'vaultCat',
    tag: 'vault',
    access: 'read',
    summary: 'Bytes of a private file',
    description: 'A failure on the way ends the connection, never the stream.',
    body: VaultCatBody,
    replies: { 200: { description: 'the bytes', type: 'application/octet-stream' } },
    handle: async ({ body, signal }, context) => {
      const vault = vaultOf(context)
      const { link, offset = 0 } = body
      const resolved = await vault.resolve(link, { signal, ...pathOf(body) })
      if (resolved.type !== 'file') throw notAVaultFile(body.path, resolved.type)
      const length = Math.max(0, Math.min(resolved.size - offset, body.length ?? resolved.size))
      return new StreamAnswer(
        200,
        { ...privateHeaders(resolved.name, null, resolved.sha256), 'content-length': length },
        length === 0
          ? []
          : vault.cat(link, { signal, ...pathOf(body), offset, length, ...counted(context, body.read) }),
      )
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/tar',
    operationId: 'vaultTar',
    tag: 'vault',
    access: 'read',
    summary: 'A private file or tree as a tar stream',
    description: 'A failure on the way ends the connection, never the stream.',
    body: VaultTarBody,
    replies: { 200: { description: 'a POSIX (pax) tar stream', type: 'application/x-tar' } },
    handle: async ({ body, signal }, context) => {
      const name = body.name ?? (await vaultOf(context).resolve(body.link, { signal, ...pathOf(body) })).name
      return tarAnswer(context, { ...body, name, signal })
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/vault/reads/:id',
    operationId: 'vaultRead',
    tag: 'vault',
    access: 'read',
    summary: 'What a read got from whom',
    description: 'Of the last reads for which a client chose an id.',
    params: ReadParams,
    replies: { 200: { description: 'figures so far', schema: ReadReport } },
    handle: async ({ params }, { reads }) => {
      const found = reads.get(params.id)
      if (found === undefined) throw notFound('read', params.id)
      return found
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/files/:link',
    operationId: 'file',
    tag: 'vault',
    access: 'read-unless-public',
    head: true,
    summary: 'A private file for players and browsers',
    description:
      'Takes a single byte range by the `Range` header; the `ETag` is the SHA-256. A tree is answered as a tar stream. The link stands in the address: use it only towards this machine.',
    params: FileParams,
    query: FileQuery,
    replies: fileReplies,
    handle: async (call, context) => fileAnswer(call, context, undefined),
  }),
  route({
    method: 'GET',
    path: '/api/v1/files/:link/*',
    operationId: 'filePath',
    tag: 'vault',
    access: 'read-unless-public',
    head: true,
    summary: 'A file of a private tree for players and browsers',
    description: 'As without a path; a folder is answered as a tar stream.',
    params: FilePathParams,
    query: FileQuery,
    replies: fileReplies,
    handle: async (call, context) => fileAnswer(call, context, call.params['*']),
  }),
]

type FileCall = Pick<
  Call<{ read?: string | undefined }, { link: string }, unknown, unknown>,
  'query' | 'params' | 'method' | 'rawHeaders' | 'signal'
>

async function fileAnswer(
  { params, query, method, rawHeaders, signal }: FileCall,
  context: ApiContext,
  path: string | undefined,
): Promise<StreamAnswer> {
  const vault = vaultOf(context)
  const options = { signal, ...(path === undefined ? {} : { path }) }
  const { link } = params
  const { type, name, mime, sha256, size } = await vault.resolve(link, options)
  if (type === 'directory') return tarAnswer(context, { link, path, name, read: query.read, signal })
  if (type !== 'file') throw notAVaultFile(path, type)
  const headers = privateHeaders(name, mime, sha256)
  const entityTag = headers['etag'] ?? ''
  if (entityTag !== '' && matchesEntityTag(rawHeaders['if-none-match'], entityTag))
    return new StreamAnswer(304, headers, [])
  const range = rangeAsked(rawHeaders, size, entityTag)
  const length = range === undefined ? size : range.end - range.start + 1
  return new StreamAnswer(
    range === undefined ? 200 : 206,
    {
      ...headers,
      'accept-ranges': 'bytes',
      'content-length': length,
      ...(range === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end}/${size}` }),
    },
    method === 'HEAD' || length === 0
      ? []
      : vault.cat(link, { ...options, offset: range?.start ?? 0, length, ...counted(context, query.read) }),
  )
}

function tarAnswer(
  context: ApiContext,
  asked: {
    link: string
    path?: string | undefined
    name: string
    read?: string | undefined
    signal: AbortSignal
  },
): StreamAnswer {
  const { link, name, read, signal } = asked
  return new StreamAnswer(
    200,
    { ...privateHeaders(`${name}.tar`, null, null), 'content-type': 'application/x-tar' },
    vaultOf(context).tar(link, { signal, name, ...pathOf(asked), ...counted(context, read) }),
  )
}

/** Where a read is to be counted, as an option of it. */
function counted(context: ApiContext, read: string | undefined) {
  const statistics = context.reads.of(read)
  return statistics === undefined ? {} : { statistics }
}
