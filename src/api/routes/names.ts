import { MAX_RECORD_BYTES } from '../../content/names/limits.ts'
import { parseName } from '../../content/names/name.ts'
import { wholeBody } from '../body.ts'
import { route, type Route } from '../route.ts'
import { Done } from '../schemas/common.ts'
import {
  CreateKeyBody,
  ImportedName,
  ImportNameQuery,
  KeyParams,
  NameKey,
  NameKeys,
  NameQuery,
  NameRecord,
  PublishBody,
  PublishedName,
  PublishedNames,
  ResolvedName,
} from '../schemas/names.ts'

/** Numbers of records are larger than JSON's. */
const withText = <Fields extends { sequence: bigint }>(
  fields: Fields,
): Omit<Fields, 'sequence'> & { sequence: string } => ({
  ...fields,
  sequence: fields.sequence.toString(),
})

/** Mutable names: publish, resolve, import, keys. */
export const nameRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/names',
    operationId: 'listNames',
    tag: 'names',
    access: 'read',
    summary: 'Names that this node publishes',
    replies: { 200: { description: 'by key', schema: PublishedNames } },
    handle: async (_call, { names }) => ({ names: names.published().map(withText) }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/names',
    operationId: 'publishName',
    tag: 'names',
    access: 'write',
    summary: 'Let a name lead to an address',
    description:
      'Signs a record with the next number, keeps it, and tells the network; from then on it is told again and signed anew by itself.',
    body: PublishBody,
    replies: { 200: { description: 'the name', schema: PublishedName } },
    handle: async ({ body, signal }, { names }) => withText(await names.publish({ ...body, signal })),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/names/:key',
    operationId: 'unpublishName',
    tag: 'names',
    access: 'write',
    summary: 'No longer publish with a key',
    description: 'Records that others have live on until they expire.',
    params: KeyParams,
    replies: { 200: { description: 'it is told no more', schema: Done } },
    handle: async ({ params }, { names }) => {
      await names.unpublish(params.key)
      return {}
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/names/resolve',
    operationId: 'resolveName',
    tag: 'names',
    access: 'read',
    summary: 'Where a name leads',
    description: 'Names that point at names are followed.',
    query: NameQuery,
    replies: { 200: { description: 'a path to content', schema: ResolvedName } },
    handle: async ({ query, signal }, { names }) => {
      const { name, ...options } = query
      return names.resolve(withoutPrefix(name), { ...options, signal })
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/names/record',
    operationId: 'nameRecord',
    tag: 'names',
    access: 'read',
    summary: 'The record of an IPNS name',
    query: NameQuery,
    replies: { 200: { description: 'the best one that is to be found', schema: NameRecord } },
    handle: async ({ query, signal }, { names }) => {
      const { name: text, ...options } = query
      const name = withoutPrefix(text)
      const { bytes, value, sequence, ttlMs, validUntilMs } = await names.record(name, { ...options, signal })
      const record = Buffer.from(bytes).toString('base64')
      return withText({ name: parseName(name).text, value, sequence, ttlMs, validUntilMs, record })
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/names/import',
    operationId: 'importName',
    tag: 'names',
    access: 'write',
    summary: 'Take a record that another key signed, and tell the network',
    query: ImportNameQuery,
    bodyType: 'bytes',
    replies: { 200: { description: 'what the record says', schema: ImportedName } },
    handle: async ({ query, bytes, signal }, { names }) => {
      const record = await wholeBody(bytes(), MAX_RECORD_BYTES)
      const keep = query.keep ?? true
      return withText(await names.import(withoutPrefix(query.name), record, { keep, signal }))
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/names/keys',
    operationId: 'listNameKeys',
    tag: 'names',
    access: 'read',
    summary: 'Keys that names are published with',
    replies: { 200: { description: "the node's own first", schema: NameKeys } },
    handle: async (_call, { names }) => ({ keys: names.keys() }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/names/keys',
    operationId: 'createNameKey',
    tag: 'names',
    access: 'write',
    summary: 'Make a key',
    body: CreateKeyBody,
    replies: { 201: { description: 'the key with its name', schema: NameKey } },
    handle: async ({ body }, { names }) => names.createKey(body.key),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/names/keys/:key',
    operationId: 'removeNameKey',
    tag: 'names',
    access: 'admin',
    summary: 'Destroy a key',
    description: 'What it published cannot be changed by anybody any more.',
    params: KeyParams,
    replies: { 200: { description: 'it is gone', schema: Done } },
    handle: async ({ params }, { names }) => {
      await names.removeKey(params.key)
      return {}
    },
  }),
]

const withoutPrefix = (name: string): string => name.replace(/^(?:\/ipns\/|ipns:\/\/)/, '')
