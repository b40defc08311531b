import { notAFile } from '../errors.ts'
import { presentResolved } from '../present.ts'
import { contentHeaders, matchesEntityTag, rangeAsked } from '../range.ts'
import { route, type Route } from '../route.ts'
import { AddressQuery, CarQuery, CatQuery, Entry, Resolved, TarQuery } from '../schemas/content.ts'
import { JobRecord, StartGet } from '../schemas/jobs.ts'
import { ndjson, StreamAnswer } from '../streaming.ts'

export const contentRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/api/v1/content/get',
    operationId: 'get',
    tag: 'content',
    access: 'write',
    summary: 'Fetch content into the store',
    description: 'Starts a job; nothing is pinned.',
    body: StartGet,
    replies: { 202: { description: 'the job', schema: JobRecord } },
    handle: async ({ body }, { content, jobs }) => {
      if (body.private !== true) return jobs.submit('get', { address: body.address })
      // Before the answer: whoever asked may read at once.
      await content.markPrivate(body.address)
      return jobs.submit('get', { address: body.address, private: true })
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/content/resolve',
    operationId: 'resolve',
    tag: 'content',
    access: 'read',
    summary: 'What an address leads to',
    query: AddressQuery,
    replies: { 200: { description: 'the node at the end of the path', schema: Resolved } },
    handle: async ({ query, signal }, { content }) =>
      presentResolved(await content.resolve(query.address, { signal, offline: query.offline ?? false })),
  }),
  route({
    method: 'GET',
    path: '/api/v1/content/ls',
    operationId: 'ls',
    tag: 'content',
    access: 'read',
    summary: 'Entries of a directory',
    description: 'One JSON text a line, in the order of the directory.',
    query: AddressQuery,
    replies: { 200: { description: 'entries', schema: Entry, type: 'application/x-ndjson' } },
    handle: async ({ query, signal }, { content }) =>
      new StreamAnswer(
        200,
        { 'content-type': 'application/x-ndjson' },
        ndjson(content.ls(query.address, { signal, offline: query.offline ?? false }), (entry) => entry),
      ),
  }),
  route({
    method: 'GET',
    path: '/api/v1/content/cat',
    operationId: 'cat',
    tag: 'content',
    access: 'read',
    head: true,
    summary: 'Bytes of a file',
    description:
      'Takes a single byte range by the `Range` header, or `offset` and `length`; the `ETag` is the CID. Several ranges are answered with the whole.',
    query: CatQuery,
    replies: {
      200: { description: 'the bytes', type: 'application/octet-stream' },
      206: { description: 'the range of bytes', type: 'application/octet-stream' },
      304: { description: 'the client has it already' },
    },
    handle: async ({ query, signal, method, rawHeaders }, { content }) => {
      const options = { signal, offline: query.offline ?? false }
      const resolved = await content.resolve(query.address, options)
      if (resolved.type !== 'file' && resolved.type !== 'raw') throw notAFile(query.address, resolved.type)
      const entityTag = `"${resolved.cid.toString()}"`
      const headers = contentHeaders(resolved.name, entityTag)
      if (matchesEntityTag(rawHeaders['if-none-match'], entityTag)) return new StreamAnswer(304, headers, [])

      // `offset` and `length` choose a part of the file as the representation; a Range header is within that part.
      const offset = query.offset ?? 0
      if (resolved.size === null) {
        const chunks =
          method === 'HEAD' ? [] : content.cat(query.address, { ...options, ...part(offset, query.length) })
        return new StreamAnswer(200, headers, chunks)
      }
      const size = Math.max(0, Math.min(resolved.size - offset, query.length ?? resolved.size))
      const range = rangeAsked(rawHeaders, size, entityTag)
      const length = range === undefined ? size : range.end - range.start + 1
      const start = offset + (range?.start ?? 0)
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
          : content.cat(query.address, { ...options, ...part(start, length) }),
      )
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/content/tar',
    operationId: 'tar',
    tag: 'content',
    access: 'read',
    summary: 'A file or tree as a tar stream',
    description: 'A failure on the way ends the connection, never the stream.',
    query: TarQuery,
    replies: { 200: { description: 'a POSIX (pax) tar stream', type: 'application/x-tar' } },
    handle: async ({ query, signal }, { content }) => {
      const options = { signal, offline: query.offline ?? false }
      const name = query.name ?? (await content.resolve(query.address, options)).name
      return new StreamAnswer(
        200,
        { ...contentHeaders(`${name}.tar`), 'content-type': 'application/x-tar' },
        content.tar(query.address, { ...options, name }),
      )
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/content/car',
    operationId: 'car',
    tag: 'content',
    access: 'read',
    summary: 'Everything below an address as a CAR',
    description:
      'CAR version 1. A failure on the way ends the connection, never the stream. Private content ends it with ERR_CONTENT_PRIVATE, but with `private`.',
    query: CarQuery,
    replies: { 200: { description: 'a CAR stream', type: 'application/vnd.ipld.car' } },
    handle: async ({ query, signal }, { content }) =>
      new StreamAnswer(
        200,
        { ...contentHeaders('content.car'), 'content-type': 'application/vnd.ipld.car; version=1' },
        content.car(query.address, {
          signal,
          offline: query.offline ?? false,
          private: query.private ?? false,
        }),
      ),
  }),
]

const part = (offset: number, length: number | undefined): { offset: number; length?: number } =>
  length === undefined ? { offset } : { offset, length }
