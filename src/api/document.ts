import type { TSchema } from 'typebox'
import { MAX_UPLOAD_PART_BYTES } from './limits.ts'
import type { Access, ReplyDefinition, Route } from './route.ts'
import { ErrorReply } from './schemas/common.ts'
import { PinFailure } from './schemas/pinning.ts'

type Json = Record<string, unknown>

/**
 * The OpenAPI 3.1 document of a table of routes, out of the same schemas that validate. It is built by registering
 * the table with a server that never listens; fastify and its plugin are loaded here and not at start, since most
 * nodes are never asked for their document.
 */
export async function buildDocument(routes: readonly Route[], version: string): Promise<Json> {
  const [{ default: fastify }, { default: swagger }] = await Promise.all([
    import('fastify'),
    import('@fastify/swagger'),
  ])
  const app = fastify({ exposeHeadRoutes: false })
  // Nothing is validated or serialised here: the schemas are only read.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  app.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null))
  await app.register(swagger, {
    exposeHeadRoutes: true,
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'p2pnode',
        description: 'The control API of one p2pnode.',
        version,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      tags: [
        { name: 'node', description: 'the process, its health and figures' },
        { name: 'network', description: 'peers, lists, evidence, providers' },
        { name: 'trust', description: 'who is believed how much, and why' },
        { name: 'messages', description: 'what applications say to each other' },
        { name: 'swarm', description: 'the private network that this node belongs to' },
        { name: 'jobs', description: 'long operations and uploads' },
        { name: 'content', description: 'public content by address' },
        { name: 'names', description: 'mutable names: IPNS and DNSLink' },
        { name: 'catalog', description: 'what publishers say is to be had' },
        { name: 'pinning', description: 'the Pinning Service API' },
        { name: 'vault', description: 'private files by link; links are secrets' },
        { name: 'storage', description: 'blocks, pins, maintenance' },
        { name: 'events', description: 'what happens, as it happens' },
        { name: 'tokens', description: 'who may ask' },
      ],
      components: {
        securitySchemes: {
          token: {
            type: 'http',
            scheme: 'bearer',
            description: 'HOME/api.token, or a token created with one',
          },
        },
      },
    },
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, index) => String(schema.$id ?? `schema-${index}`),
    },
  })
  const named = new Map<string, Json>()
  const documented = routes.map((route) => ({ route, schema: operation(route, named) }))
  for (const schema of named.values()) app.addSchema(schema)
  for (const { route, schema } of documented) {
    app.route({ method: route.method, url: route.path, schema, handler: async () => undefined })
    if (route.head === true) {
      app.route({
        method: 'HEAD',
        url: route.path,
        schema: { ...schema, operationId: `${route.operationId}Head`, response: headReplies(route) },
        handler: async () => undefined,
      })
    }
  }
  await app.ready()
  const document = structuredClone(app.swagger()) as unknown as Json
  await app.close()
  return withoutIds(nameRests(document))
}

function operation(route: Route, named: Map<string, Json>): Json {
  const reference = (schema: TSchema): unknown => referenced(schema, named)
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    description: [route.description, `Access: ${accessText[route.access]}.`].filter(Boolean).join('\n\n'),
    // The pair of an empty object and a scheme: the token is optional (OpenAPI 3.1, 4.8.30).
    security: optionalToken[route.access] ?? [{ token: [] }],
    ...(route.query === undefined ? {} : { querystring: withoutIds(route.query) }),
    ...(route.params === undefined ? {} : { params: withoutIds(route.params) }),
    ...(route.headers === undefined ? {} : { headers: withoutIds(route.headers) }),
    ...(route.body === undefined ? {} : { body: reference(route.body) }),
    ...(route.bodyType === 'bytes' ? { consumes: ['application/octet-stream'], body: rawBody } : {}),
    response: {
      ...Object.fromEntries(
        Object.entries(route.replies).map(([status, reply]) => [status, documentedReply(reply, reference)]),
      ),
      default: {
        description: 'a failure',
        content: {
          'application/json': {
            schema: reference(route.failures === 'pinning' ? PinFailure : ErrorReply),
          },
        },
      },
    },
  }
}

const optionalToken: Partial<Record<Access, object[]>> = {
  none: [],
  'read-unless-loopback': [{}, { token: [] }],
  'read-unless-public': [{}, { token: [] }],
}

const accessText: Record<Access, string> = {
  none: 'no token',
  'read-unless-loopback': 'no token on loopback, else the scope read',
  'read-unless-public': 'the scope read; no token on loopback where vault.publicRead is set',
  read: 'the scope read',
  write: 'the scope write',
  admin: 'the scope admin',
}

const rawBody = {
  type: 'string',
  contentMediaType: 'application/octet-stream',
  description: `at most ${MAX_UPLOAD_PART_BYTES} bytes`,
}

function documentedReply(reply: ReplyDefinition, reference: (schema: TSchema) => unknown): Json {
  if (reply.schema === undefined && reply.type === undefined)
    return { description: reply.description, type: 'null' }
  const type = reply.type ?? 'application/json'
  const schema =
    reply.schema === undefined
      ? type === 'application/json'
        ? { type: 'object' }
        : { type: 'string', contentMediaType: type }
      : reference(reply.schema)
  return { description: reply.description, content: { [type]: { schema } } }
}

/** HEAD tells the same statuses without bodies. */
const headReplies = (route: Route): Json =>
  Object.fromEntries(
    [...Object.entries(route.replies), ['default', { description: 'a failure' }] as const].map(
      ([status, reply]) => [status, { description: reply.description, type: 'null' }],
    ),
  )

/** The schema with every named one in it (`$id`) replaced by a reference; the named ones are gathered. */
function referenced(schema: unknown, named: Map<string, Json>): unknown {
  if (Array.isArray(schema)) return schema.map((item) => referenced(item, named))
  if (typeof schema !== 'object' || schema === null) return schema
  const { $id, ...members } = schema as Json
  if (typeof $id === 'string' && named.has($id)) return { $ref: `${$id}#` }
  if (typeof $id === 'string') named.set($id, {})
  const copy = Object.fromEntries(
    Object.entries(members).map(([key, value]) => [key, referenced(value, named)]),
  )
  if (typeof $id !== 'string') return copy
  named.set($id, { $id, ...copy })
  return { $ref: `${$id}#` }
}

/** The rest of a path, `*` for the router, is a parameter `path` in the document. */
function nameRests(document: Json): Json {
  const text = JSON.stringify(document)
    .replaceAll('/{*}"', '/{path}"')
    .replaceAll('"name":"*"', '"name":"path"')
  return JSON.parse(text) as Json
}

/** In the document schemas are named by their place; an `$id` would change the base of references below it. */
function withoutIds(value: object): Json {
  return JSON.parse(
    JSON.stringify(value, (key, member: unknown) => (key === '$id' ? undefined : member)),
  ) as Json
}
