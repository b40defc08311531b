import type { Agent, ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { cancelled, connectionIdle, connectionLost, failureOfAnswer, noDaemon, urlInvalid } from './errors.ts'
import type { Endpoint } from './locate.ts'

/**
 * `import 'node:http'` reads every export of the module, and with them the lazy ones (WebSocket, fetch's classes): it
 * takes 100 ms where a client command has 120 in all (measured, Node 24). Taken as below it takes 2.
 */
const modules = {
  'http:': () => process.getBuiltinModule('node:http'),
  'https:': () => process.getBuiltinModule('node:https'),
}

/** A failure told in one answer; longer ones are no failures of ours. */
const MAX_ERROR_BYTES = 64 * 1024

/** A JSON answer: a thousand jobs with their results fit; a stream never goes this way. */
const MAX_JSON_BYTES = 64 * 1024 * 1024

/** Longer than the longest silence of a healthy daemon: a long poll (60 s), a fetch that stalls (server side). */
const IDLE_TIMEOUT_MS = 150_000

/** Connections to one daemon: a stream of parts, one of events, and calls beside them. */
const MAX_SOCKETS = 16

export interface RequestOptions {
  method: string
  /** Path and query. */
  path: string
  headers?: OutgoingHttpHeaders
  body?: string | AsyncIterable<Uint8Array>
  signal?: AbortSignal | undefined
  idleTimeoutMs?: number
}

/** Speaks HTTP with one daemon over kept connections. */
export class Transport {
  endpoint: Endpoint
  /** By protocol, made when first needed. */
  readonly #agents = new Map<string, Agent>()

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint
  }

  /** Ends kept connections; running requests fail. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
  }

  /** @throws the daemon's own error; ERR_NO_DAEMON, ERR_CONNECTION_LOST, ERR_CONNECTION_IDLE, ERR_CANCELLED */
  async json(options: RequestOptions): Promise<unknown> {
    const response = await this.open(options)
    const text = await readText(response, this.endpoint.url, MAX_JSON_BYTES)
    try {
      return text === '' ? undefined : JSON.parse(text)
    } catch {
      throw failureOfAnswer(this.endpoint.url, response.statusCode ?? 0, text)
    }
  }

  /**
   * Sends a request and resolves with a successful answer, whose body is then to be read. Reading fails where the
   * body ends before it is whole.
   */
  async open(options: RequestOptions): Promise<IncomingMessage> {
    const { url } = this.endpoint
    const response = await this.#request(options)
    const status = response.statusCode ?? 0
    if (status < 400) return response
    throw failureOfAnswer(url, status, await readText(response, url, MAX_ERROR_BYTES))
  }

  #agent(protocol: keyof typeof modules): Agent {
    const known = this.#agents.get(protocol)
    if (known !== undefined) return known
    const agent = new (modules[protocol]().Agent)({ keepAlive: true, maxSockets: MAX_SOCKETS })
    this.#agents.set(protocol, agent)
    return agent
  }

  async #request(options: RequestOptions): Promise<IncomingMessage> {
    for (;;) {
      const { url, token } = this.endpoint
      if (options.signal?.aborted === true) throw cancelled(options.signal.reason)
      const idleTimeoutMs = options.idleTimeoutMs ?? IDLE_TIMEOUT_MS
      const target = parseUrl(url)
      const request = modules[target.protocol]().request({
        agent: this.#agent(target.protocol),
        protocol: target.protocol,
        host: target.hostname.replace(/^\[|\]$/g, ''),
        ...(target.port === '' ? {} : { port: Number(target.port) }),
        method: options.method,
        path: target.prefix + options.path,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(typeof options.body === 'string'
            ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(options.body) }
            : {}),
          ...options.headers,
        },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      })
      request.setTimeout(idleTimeoutMs, () => request.destroy(connectionIdle(url, idleTimeoutMs)))
      try {
        return await answered(request, options.body)
      } catch (error) {
        // A kept connection may have been closed by the daemon in this very moment; a request without side effects goes again.
        if (request.reusedSocket && options.method === 'GET' && codeOf(error) === 'ECONNRESET') continue
        throw explained(error, url, options.signal)
      }
    }
  }
}

interface Target {
  protocol: keyof typeof modules
  hostname: string
  port: string
  prefix: string
}

/** @throws ERR_API_URL */
function parseUrl(url: string): Target {
  try {
    const { protocol, hostname, port, pathname } = new URL(url)
    if (protocol === 'http:' || protocol === 'https:') {
      return { protocol, hostname, port, prefix: pathname.replace(/\/+$/, '') }
    }
  } catch (cause) {
    throw urlInvalid(url, cause)
  }
  throw urlInvalid(url)
}

/** Sends the body and waits for the head of the answer, which may come before the body is sent. */
function answered(request: ClientRequest, body: RequestOptions['body']): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let answeredAlready = false
    request.once('response', (response) => {
      answeredAlready = true
      resolve(response)
    })
    // Errors after the head belong to whoever reads the body.
    request.on('error', reject)
    if (body === undefined || typeof body === 'string') {
      request.end(body)
      return
    }
    writeAll(request, body, () => answeredAlready).catch((error: unknown) => {
      reject(error)
      request.destroy()
    })
  })
}

/** Writes under back-pressure; stops quietly once the daemon answered or the connection ended. */
async function writeAll(
  request: ClientRequest,
  body: AsyncIterable<Uint8Array>,
  answeredAlready: () => boolean,
): Promise<void> {
  for await (const chunk of body) {
    if (answeredAlready() || request.destroyed) return
    if (request.write(chunk)) continue
    await new Promise<void>((resolve) => {
      const done = (): void => {
        request.off('drain', done).off('close', done).off('response', done)
        resolve()
      }
      request.on('drain', done).on('close', done).on('response', done)
    })
  }
  if (!request.destroyed) request.end()
}

async function readText(response: IncomingMessage, url: string, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of bodyOf(response, url)) {
    sizeBytes += chunk.byteLength
    if (sizeBytes > maxBytes) {
      response.destroy()
      throw failureOfAnswer(url, response.statusCode ?? 0, '')
    }
    chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The body of an answer; @throws ERR_CONNECTION_LOST where it ends before it is whole. */
export async function* bodyOf(
  response: IncomingMessage,
  url: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array
  } catch (error) {
    throw explained(error, url, signal, true)
  }
  // Node ends a body of unknown length without error where the connection ends between two chunks of it.
  if (!response.complete) throw connectionLost(url)
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code

/** Codes of connections that could not be made. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
])

/** An error of the connection as one of ours. */
function explained(error: unknown, url: string, signal: AbortSignal | undefined, midway = false): unknown {
  if (signal?.aborted === true || (error instanceof Error && error.name === 'AbortError'))
    return cancelled(error)
  if (error instanceof P2pnodeError) return error
  const code = codeOf(error)
  if (code === undefined) return error
  return !midway && UNREACHABLE.has(code) ? noDaemon(url, error) : connectionLost(url, error)
}
