import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Socket } from 'node:net'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import type { ApiContext } from './context.ts'
import {
  answerOf,
  asPinFailure,
  ApiError,
  bodyLate,
  bodyTooLarge,
  mediaTypeUnsupported,
  methodNotAllowed,
  invalidRequest,
  routeUnknown,
  scopeMissing,
  stopping,
  tooManyFailures,
  unauthorized,
} from './errors.ts'
import { HostGuard, isLoopback } from './guard.ts'
import {
  MAX_CONNECTIONS,
  MAX_FAILED_AUTH_PER_MINUTE,
  MAX_HEADER_BYTES,
  MAX_JSON_BODY_BYTES,
  MAX_PARAM_LENGTH,
} from './limits.ts'
import { registerRoute } from './register.ts'
import type { Access, Route } from './route.ts'
import { includes, type Scope } from './tokens.ts'

const MINUTE_MS = 60_000

/** Buckets of request durations in seconds: from a cached answer to a long download. */
const DURATION_BUCKETS_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300]

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    failures?: NonNullable<Route['failures']>
  }
  interface FastifyRequest {
    /** Runs while a JSON body is on its way. */
    bodyTimer: NodeJS.Timeout | undefined
    /** What the token of the request allows; undefined where none was needed. */
    scope: Scope | undefined
  }
}

/** The HTTP server over a table of routes: transport, guards and errors; what the routes do is in the table. */
export async function createServer(context: ApiContext, routes: readonly Route[]): Promise<FastifyInstance> {
  const { timeouts } = context
  const app = fastify({
    bodyLimit: MAX_JSON_BODY_BYTES,
    exposeHeadRoutes: false,
    // Ours are answered in our shape, see the first hook.
    return503OnClosing: false,
    forceCloseConnections: false,
    genReqId: requestIds(),
    keepAliveTimeout: timeouts.keepAliveMs,
    // A whole request has no limit of time, since an upload's part may be taken slowly; JSON bodies have their own.
    requestTimeout: 0,
    http: {
      headersTimeout: timeouts.headersMs,
      connectionsCheckingInterval: timeouts.checkingIntervalMs,
      maxHeaderSize: MAX_HEADER_BYTES,
      // Tells connections whose other end vanished without a word from those that are only quiet.
      keepAlive: true,
      keepAliveInitialDelay: timeouts.keepAliveMs,
    },
    clientErrorHandler: refuseGarbage,
    frameworkErrors: (error, request, reply) => answerError(context, error, request, reply),
    // CIDs with an identity hash hold their content.
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH, ignoreTrailingSlash: true },
    // Validation is our own and compiled at first use, and nothing needs a compiled serialiser: neither compiler is loaded.
    schemaController: {
      compilersFactory: {
        // Typed for ajv alone; nothing is ever compiled by it.
        buildValidator: (() => () => () => true) as never,
        buildSerializer: () => () => JSON.stringify,
      },
    },
  })
  app.server.maxConnections = MAX_CONNECTIONS
  app.decorateRequest('bodyTimer', undefined)
  app.decorateRequest('scope', undefined)
  acceptBodies(app)

  const guard = new HostGuard(context.listen.host, context.listen.names)
  app.addHook('onRequest', async (request, reply) => {
    reply.raw.setHeader('x-request-id', request.id)
    if (context.closing.aborted && request.routeOptions.config.access !== 'none') throw stopping()
    guard.check(request.raw)
  })
  await app.register(helmet, {
    // An API answers data; the page of the documentation sets its own policy.
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    // Plain HTTP on loopback: a promise of HTTPS would be for whoever puts a proxy in front.
    strictTransportSecurity: false,
  })
  await app.register(rateLimit, { global: false, max: MAX_FAILED_AUTH_PER_MINUTE, timeWindow: MINUTE_MS })
  const countFailure = app.createRateLimit()
  app.addHook('onRequest', async (request) => authorize(context, request, countFailure))
  limitBodyTime(app, timeouts.jsonBodyMs)
  measure(app, context)

  app.setErrorHandler((error, request, reply) => answerError(context, error, request, reply))
  const allowedMethods = methodFinder(routes)
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0] ?? '/'
    const allowed = allowedMethods(path)
    if (allowed.length > 0) throw methodNotAllowed(request.method, allowed)
    throw routeUnknown(request.method, path.slice(0, 256))
  })
  for (const route of routes) registerRoute(app, route, context)
  return app
}

/** JSON is read whole, an upload's part not at all; any other type is refused, which keeps forms of other sites out. */
function acceptBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, text, done) => {
    // Clients that always send the type, also with requests that have no body.
    if (text === '') done(null, undefined)
    else void parse(request, text, done)
  })
  app.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null, undefined))
}

type CountFailure = ReturnType<FastifyInstance['createRateLimit']>

/** @throws ERR_UNAUTHORIZED, ERR_SCOPE, ERR_TOO_MANY_FAILED_ATTEMPTS */
async function authorize(
  context: ApiContext,
  request: FastifyRequest,
  countFailure: CountFailure,
): Promise<void> {
  const access = request.routeOptions.config.access ?? 'none'
  if (access === 'none') return
  const open = access === 'read-unless-loopback' || (access === 'read-unless-public' && context.publicRead)
  if (open && isLoopback(request.raw.socket.remoteAddress)) return
  const needed: Scope = access === 'write' || access === 'admin' ? access : 'read'
  const held = scopeOf(context, request.headers.authorization)
  if (held !== undefined && includes(held, needed)) {
    request.scope = held
    return
  }
  if (held !== undefined) throw scopeMissing(needed, held)
  if (request.headers.authorization === undefined)
    throw unauthorized('This needs a token: Authorization: Bearer TOKEN')
  // Only wrong tokens are counted, and only they are refused: nobody can lock out whoever has a right one.
  const attempts = await countFailure(request)
  if (!attempts.isAllowed && attempts.isExceeded) throw tooManyFailures(attempts.ttlInSeconds)
  throw unauthorized('The token is not known to this node')
}

function scopeOf(context: ApiContext, header: string | undefined): Scope | undefined {
  const token = /^Bearer +([^\s]+) *$/i.exec(header ?? '')?.[1]
  return token === undefined ? undefined : context.tokens.authenticate(token)
}

/** Ends requests whose JSON body trickles in: parsing holds what came so far. */
function limitBodyTime(app: FastifyInstance, timeoutMs: number): void {
  app.addHook('preParsing', async (request, reply, payload) => {
    if (request.headers['content-type'] !== 'application/octet-stream') {
      request.bodyTimer = setTimeout(() => void reply.send(bodyLate(timeoutMs)), timeoutMs)
      reply.raw.once('close', () => clearTimeout(request.bodyTimer))
    }
    return payload
  })
  app.addHook('preValidation', async (request) => {
    clearTimeout(request.bodyTimer)
  })
}

function measure(app: FastifyInstance, context: ApiContext): void {
  const durations = context.metrics.histogram({
    name: 'p2pnode_api_request_duration_seconds',
    help: 'Duration of requests of the HTTP API, streams included.',
    labels: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS_SECONDS,
  })
  context.metrics.observedGauge(
    { name: 'p2pnode_api_event_clients', help: 'Open event streams.' },
    () => context.events.clients,
  )
  app.addHook('onRequest', async (request, reply) => {
    // Who asked went away while the token was looked at: nothing tells of the end a second time.
    if (reply.raw.closed) return
    context.requests.begin()
    // The event of the socket, since hooks do not run for streams.
    reply.raw.once('close', () => {
      context.requests.end()
      // Nothing follows on this connection that would be answered.
      if (context.closing.aborted) setImmediate(() => app.server.closeIdleConnections())
      const route = request.routeOptions.url ?? 'unknown'
      const status = reply.raw.headersSent ? reply.raw.statusCode : 499
      durations.observe({ method: request.method, route, status: String(status) }, reply.elapsedTime / 1000)
      context.log.trace({ requestId: request.id, method: request.method, route, status }, 'answered')
    })
  })
}

function answerError(
  context: ApiContext,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  clearTimeout(request.bodyTimer)
  const told = explained(error)
  const answer = answerOf(told)
  const details = { requestId: request.id, method: request.method, route: request.routeOptions.url }
  if (answer.status === 500) context.log.error({ ...details, err: error }, 'a request failed')
  else context.log.debug({ ...details, code: answer.body.error.code }, 'a request was refused')
  // What is left of the body is not read, so nothing can follow it on this connection.
  if (!request.raw.complete) reply.header('connection', 'close')
  void reply
    .code(answer.status)
    .headers(answer.headers)
    .type('application/json; charset=utf-8')
    .send(request.routeOptions.config.failures === 'pinning' ? asPinFailure(answer) : answer.body)
}

/** Errors of the HTTP library as ours; all others as they are. */
function explained(error: unknown): unknown {
  if (error instanceof P2pnodeError || !(error instanceof Error)) return error
  const { code, statusCode } = error as Error & { code?: string; statusCode?: number }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return bodyTooLarge(MAX_JSON_BODY_BYTES)
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return mediaTypeUnsupported('application/json or application/octet-stream')
  if (error instanceof SyntaxError && statusCode === 400)
    return invalidRequest('The body is not JSON', { part: 'body' })
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError('ERR_REQUEST_INVALID', 'usage', error.message, { status: statusCode })
  }
  return error
}

/** What cannot be read as HTTP is answered in the same shape, where there is still somebody to answer. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  // After a first answer the bytes could land in the middle of another one.
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy()
    return
  }
  const [status, code, message] = GARBAGE[error.code ?? ''] ?? [
    400,
    'ERR_REQUEST_INVALID',
    'This is not HTTP',
  ]
  const body = JSON.stringify({
    error: { code, kind: status === 408 ? 'timeout' : 'usage', message, details: {} },
  })
  socket.end(
    `HTTP/1.1 ${status} ${code}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

const GARBAGE: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'ERR_HEADERS_TOO_LARGE', `Headers are larger than ${MAX_HEADER_BYTES} bytes`],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'ERR_REQUEST_TIMEOUT', 'The head of the request took too long'],
}

/** Which methods a path has: only asked after the router found none for the one that was used. */
function methodFinder(routes: readonly Route[]): (path: string) => string[] {
  let patterns: { pattern: RegExp; methods: string[] }[] | undefined
  return (path) => {
    patterns ??= routes.map(({ path: of, method, head }) => ({
      pattern: new RegExp(`^${of.replace(/\./g, '\\.').replace('/*', '/.+').replace(/:\w+/g, '[^/]+')}/?$`),
      methods: head === true ? [method, 'HEAD'] : [method],
    }))
    return patterns.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods)
  }
}

function requestIds(): () => string {
  const prefix = Math.random().toString(36).slice(2, 8)
  let count = 0
  return () => `${prefix}-${(count += 1)}`
}
