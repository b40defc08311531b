import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { IncomingMessage } from 'node:http'
import { isIPv6, type Socket } from 'node:net'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../telemetry/types.ts'
import { clientGone, sendStream, StreamAnswer } from '../streaming.ts'
import { RunningRequests } from '../running-requests.ts'
import { addressOf, Clients } from './clients.ts'
import { GatewayBlocks } from './blocks.ts'
import { GatewayContent, type OpenAnswer } from './content.ts'
import {
  addressRefused,
  failureOf,
  methodNotAllowed,
  notFound,
  timedOut,
  tooManyOfOne,
  tooManyRequests,
} from './errors.ts'
import type { Answer, Route } from './exchange.ts'
import { readCid } from './ids.ts'
import { IDLE_CONNECTIONS, MAX_BODY_BYTES, MAX_HEADER_BYTES, TIMEOUTS } from './limits.ts'
import { GatewayMetrics } from './metrics.ts'
import { paced } from './paced.ts'
import { decide, type Decision, hostName, type RequestLine } from './target.ts'
import type { GatewayDependencies, GatewayTimeouts } from './types.ts'

/** The one route of all content: its paths are taken apart by the gateway, not by the router. */
const CONTENT_ROUTE = '/content'
/** Where nothing is: what asks for the route above by its own name. */
const NO_ROUTE = '/-'

const CORS_HEADERS: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, HEAD, OPTIONS',
  'access-control-allow-headers': 'Content-Type, Range, User-Agent, X-Requested-With',
  'access-control-expose-headers':
    'Content-Length, Content-Range, X-Chunked-Output, X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output',
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What kind of answer the gateway gave, for metrics. */
    gatewayRoute: Route
  }
}

export interface Ending {
  /** Aborts when no more requests are taken. */
  closing: AbortSignal
  /** Aborts when those under way have had their time. */
  ended: AbortSignal
}

export interface GatewayServer {
  app: FastifyInstance
  requests: RunningRequests
}

/** The gateway's HTTP server: transport, bounds and errors. What is answered is told by `GatewayContent`. */
export async function createGatewayServer(
  dependencies: GatewayDependencies,
  log: Logger,
  { closing, ended }: Ending,
): Promise<GatewayServer> {
  const { settings } = dependencies
  const timeouts = { ...TIMEOUTS, ...dependencies.timeouts }
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: false,
    keepAliveTimeout: timeouts.keepAliveMs,
    requestTimeout: timeouts.headersMs + settings.timeoutMs,
    http: {
      headersTimeout: timeouts.headersMs,
      connectionsCheckingInterval: timeouts.checkingIntervalMs,
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAlive: true,
      keepAliveInitialDelay: timeouts.keepAliveMs,
    },
    clientErrorHandler: refuseGarbage,
    frameworkErrors: (error, request, reply) => sendFailure(error, request, reply, log),
    rewriteUrl: (raw) => routeOf(raw, settings.hosts),
    schemaController: {
      compilersFactory: {
        // Typed for ajv alone; nothing is ever compiled by it.
        buildValidator: (() => () => () => true) as never,
        buildSerializer: () => () => JSON.stringify,
      },
    },
  })
  app.server.maxConnections = settings.maxRequests + IDLE_CONNECTIONS
  const clients = new Clients(settings.maxRequestsPerAddress, dependencies.isCounted)
  boundConnections(app, clients)
  acceptTunnels(app)
  app.decorateRequest('gatewayRoute', 'other')

  const requests = new RunningRequests()
  let open = 0
  const metrics = new GatewayMetrics(dependencies.metrics, () => open)
  const onRequest = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    for (const [name, value] of Object.entries(CORS_HEADERS)) reply.raw.setHeader(name, value)
    reply.raw.setHeader('x-content-type-options', 'nosniff')
    const address = addressOf(request.raw.socket)
    if (!dependencies.decideAddress(address, isIPv6(address) ? 'ipv6' : 'ipv4').allowed)
      throw addressRefused()
    if (open >= settings.maxRequests || closing.aborted) throw tooManyRequests()
    if (reply.raw.closed) return
    const leave = clients.beginRequest(address)
    if (leave === undefined) throw tooManyOfOne()
    open += 1
    requests.begin()
    reply.raw.once('close', () => {
      leave()
      open -= 1
      requests.end()
      if (closing.aborted) setImmediate(() => app.server.closeIdleConnections())
      const status = reply.raw.headersSent ? reply.raw.statusCode : 499
      metrics.answered(request.gatewayRoute, status, reply.elapsedTime / 1000)
    })
  }
  app.addHook('onRequest', onRequest)
  app.setErrorHandler((error, request, reply) => sendFailure(error, request, reply, log))
  app.setNotFoundHandler((request) => {
    if (request.method === 'OPTIONS') return ''
    throw notFound('there is nothing here; content is below /ipfs/ and /ipns/')
  })

  const content = contentOf(dependencies)
  const service: ContentRoute = { dependencies, content, metrics, timeouts, log, ended }
  app.all(CONTENT_ROUTE, { bodyLimit: 1 }, (request, reply) => answerContent(service, request, reply))
  for (const routes of dependencies.routes ?? []) {
    await app.register(async (scope) => {
      routes(scope)
    })
  }
  return { app, requests }
}

function contentOf(dependencies: GatewayDependencies): GatewayContent {
  const { settings, content, names, privateMark, contentPolicy } = dependencies
  const denied = settings.denied.map(readCid).filter((cid): cid is CID => cid !== undefined)
  const blocks = new GatewayBlocks({ content, privateMark, denied, contentPolicy, mayFetch: settings.fetch })
  const { fetch: mayFetch, deserialized: isDeserialized } = settings
  return new GatewayContent({ blocks, names, contentPolicy, mayFetch, isDeserialized })
}

interface ContentRoute {
  dependencies: GatewayDependencies
  content: GatewayContent
  metrics: GatewayMetrics
  timeouts: GatewayTimeouts
  log: Logger
  ended: AbortSignal
}

async function answerContent(
  service: ContentRoute,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const { dependencies, content, metrics, timeouts, log, ended } = service
  const { settings, bandwidth } = dependencies
  if (request.method === 'OPTIONS') {
    request.gatewayRoute = 'options'
    return reply.header('access-control-max-age', '86400').code(204).send()
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed()
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(clientGone())
  })
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(timedOut(settings.timeoutMs)), settings.timeoutMs)
  const signal = AbortSignal.any([gone.signal, late.signal, ended])
  let opened: OpenAnswer | undefined
  try {
    opened = await serve(content, request, settings.hosts, signal)
    const { answer } = opened
    request.gatewayRoute = answer.route
    const flow = {
      direction: 'out',
      peer: `http:${addressOf(request.raw.socket)}`,
      protocol: 'gateway',
    } as const
    const chunks = paced(answer.chunks, {
      bandwidth,
      flow,
      signal: gone.signal,
      onSent: (bytes) => metrics.sent(answer.route, bytes),
    })
    await sendStream(reply.raw, new StreamAnswer(answer.status, answer.headers, chunks), {
      signal,
      stallTimeoutMs: timeouts.downloadStallMs,
      bodyless: request.method === 'HEAD' || answer.status === 304,
      onCommitted() {
        clearTimeout(timer)
        metrics.began(answer.route, answer.status, reply.elapsedTime / 1000)
        reply.hijack()
      },
    })
  } catch (error) {
    if (!reply.raw.headersSent) throw late.signal.aborted ? late.signal.reason : error
    // The status is sent; the destroyed connection is what tells the client.
    const details = { route: request.gatewayRoute, err: error }
    if (gone.signal.aborted || ended.aborted) log.debug(details, 'a client left a stream')
    else log.info(details, 'a stream of the gateway ended before its end')
  } finally {
    clearTimeout(timer)
    await opened?.close()
  }
  return reply
}

async function serve(
  content: GatewayContent,
  request: FastifyRequest,
  hosts: readonly string[],
  signal: AbortSignal,
): Promise<OpenAnswer> {
  let decision = decide(lineOf(request.raw), hosts)
  if (decision.kind === 'maybe-dnslink') {
    const { root } = decision.target
    const isSite = root.namespace === 'ipns' && (await content.hasName(root.name, signal))
    decision = isSite ? { kind: 'target', target: decision.target } : decision.otherwise
  }
  if (decision.kind === 'other') throw notFound('there is nothing here; content is below /ipfs/ and /ipns/')
  if (decision.kind === 'redirect') return { answer: redirection(decision), close: async () => {} }
  const { headers, method } = request
  return content.serve({ target: decision.target, headers, isHead: method === 'HEAD', signal })
}

function redirection({ status, location }: Extract<Decision, { kind: 'redirect' }>): Answer {
  return { status, headers: { location, 'content-length': 0 }, chunks: [], route: 'redirect' }
}

/** Everything that may be content goes to one route, with its URL as it came; the rest is for the router. */
function routeOf(raw: IncomingMessage, hosts: readonly string[]): string {
  const { url, authority } = lineOf(raw)
  const host = hostName(authority)
  const path = url.split('?', 1)[0] ?? '/'
  const isSubdomain = hosts.some(
    (name) => host.endsWith(`.${name}`) && /\.ip[fn]s$/.test(host.slice(0, -name.length - 1)),
  )
  if (isSubdomain || /^\/ip[fn]s(?:\/|$)/.test(path)) return CONTENT_ROUTE
  // Any other name may be a website's, but for what other services have under the gateway's own names.
  const isOwn = hosts.includes(host) || !host.includes('.') || /^[\d.]+$/.test(host) || host.startsWith('[')
  if (!isOwn && !path.startsWith('/routing/')) return CONTENT_ROUTE
  return path === CONTENT_ROUTE ? NO_ROUTE : url
}

/** What the client asked for, also where it took this server for a proxy and named the whole URL (RFC 9112, section 3.2.2). */
function lineOf(raw: IncomingMessage): RequestLine {
  const { headers } = raw
  const asked = (raw as IncomingMessage & { originalUrl?: string }).originalUrl ?? raw.url ?? '/'
  const [, authority, url] = /^http:\/\/([^/?#]+)(.*)$/i.exec(asked) ?? []
  const forwardedHost = first(headers['x-forwarded-host'])
  const isHttps = first(headers['x-forwarded-proto'])?.toLowerCase() === 'https'
  const path = authority === undefined ? asked : (url ?? '')
  return {
    url: path.startsWith('/') ? path : `/${path}`,
    authority: safeAuthority(forwardedHost ?? authority ?? headers.host ?? ''),
    scheme: isHttps ? 'https' : 'http',
  }
}

/** It stands in redirects and pages: what no host looks like is none. */
function safeAuthority(text: string): string {
  return /^(?:[a-z0-9._-]{1,512}|\[[0-9a-f:.]{2,64}\])(?::\d{1,5})?$/i.test(text) ? text.toLowerCase() : ''
}

function first(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header
  const value = text?.split(',', 1)[0]?.trim()
  return value === '' ? undefined : value
}

function sendFailure(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): void {
  const own = error as { code?: string; statusCode?: number; message?: string }
  const isFramework =
    typeof own.code === 'string' && own.code.startsWith('FST_') && own.statusCode !== undefined
  const { status, headers, message } = isFramework
    ? { status: own.statusCode ?? 400, headers: {}, message: own.message ?? '' }
    : failureOf(error)
  if (status === 500)
    log.error({ err: error, route: request.gatewayRoute }, 'a request of the gateway failed')
  else log.debug({ status, code: own.code }, 'a request of the gateway was refused')
  if (!request.raw.complete) reply.header('connection', 'close')
  void reply
    .code(status)
    .headers({ ...headers, 'cache-control': 'no-store' })
    .type('text/plain; charset=utf-8')
    .send(`${message}\n`)
}

/** What cannot be read as HTTP is answered shortly, where there is still somebody to answer. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy()
    return
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
  socket.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}

/** A client with too many connections has the next one closed before it is read. */
function boundConnections(app: FastifyInstance, clients: Clients): void {
  const counted = new WeakSet<Socket>()
  app.server.prependListener('connection', (socket) => {
    // A tunnel comes as a connection again.
    if (counted.has(socket)) return
    counted.add(socket)
    const leave = clients.connect(addressOf(socket))
    if (leave === undefined) socket.destroy()
    else socket.once('close', leave)
  })
}

/**
 * Clients that take the gateway for their HTTP proxy open a tunnel first. It leads back here and nowhere else, whatever host
 * they name, and there is one a connection.
 */
function acceptTunnels(app: FastifyInstance): void {
  const tunnelled = new WeakSet<Socket>()
  app.server.on('connect', (_request, duplex, head: Buffer) => {
    const socket = duplex as Socket
    if (tunnelled.has(socket)) {
      socket.destroy()
      return
    }
    tunnelled.add(socket)
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    if (head.length > 0) socket.unshift(head)
    app.server.emit('connection', socket)
  })
}
