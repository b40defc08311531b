import { connect, type Socket } from 'node:net'
import { Compile } from 'typebox/compile'
import { routes } from '../../src/api/routes.ts'
import { ErrorReply } from '../../src/api/schemas/common.ts'
import { PinFailure } from '../../src/api/schemas/pinning.ts'
import type { ApiBench } from './api-server.ts'

export interface Answer {
  status: number
  headers: Headers
  text: string
  json: unknown
}

export interface CallOptions {
  token?: string | null
  body?: unknown
  headers?: Record<string, string>
}

/**
 * One request to the API, as any program would make it. Whatever comes back is held against the schema that the route
 * declares for the status, and failures against the one shape of failures.
 */
export async function call(
  bench: ApiBench,
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Answer> {
  const token = options.token === undefined ? bench.token : options.token
  const response = await fetch(`${bench.url}${path}`, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
  const json: unknown = isJson && text !== '' ? JSON.parse(text) : undefined
  checkAgainstSchema(method, path, response.status, json)
  return { status: response.status, headers: response.headers, text, json }
}

/** @throws where the answer is not as the table of routes says */
export function checkAgainstSchema(method: string, path: string, status: number, json: unknown): void {
  if (method === 'HEAD') return
  const plain = path.split('?', 1)[0] ?? ''
  const route = routes.find((one) => one.method === method && patternOf(one.path).test(plain))
  const declared = route?.replies[status]
  const failure = route?.failures === 'pinning' ? PinFailure : ErrorReply
  const schema = declared === undefined ? failure : declared.schema
  if (schema === undefined || (declared?.type ?? 'application/json') !== 'application/json') return
  const validator = Compile(schema)
  if (!validator.Check(json)) {
    const problems = JSON.stringify(validator.Errors(json).slice(0, 5))
    throw new Error(`${method} ${path} answered ${status}, not as declared: ${problems}`)
  }
}

const patternOf = (path: string): RegExp =>
  new RegExp(`^${path.replace(/\./g, '\\.').replace('/*', '/.+').replace(/:\w+/g, '[^/]+')}$`)

/** A bare connection, for what no proper client would send. */
export async function rawConnection(bench: ApiBench): Promise<RawConnection> {
  const socket = connect(bench.port, '127.0.0.1')
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return new RawConnection(socket)
}

export class RawConnection {
  readonly socket: Socket
  readonly closed: Promise<void>
  received = ''

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text)
  }

  /** Resolves once what came matches. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.received)) {
      if (this.socket.closed) throw new Error(`closed after: ${this.received}`)
      await new Promise((resolve) => {
        this.socket.once('data', resolve)
        this.socket.once('close', resolve)
      })
    }
    return this.received
  }
}
