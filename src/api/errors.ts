import type { Static } from 'typebox'
import { type ErrorKind, P2pnodeError, type P2pnodeErrorOptions } from '../../protocols/shared/errors.ts'
import type { ErrorReply } from './schemas/common.ts'
import type { PinFailure } from './schemas/pinning.ts'

/** The HTTP status of each kind of error: the one table behind every answer (see `ErrorKind`). */
export const STATUS_OF_KIND: Readonly<Record<ErrorKind, number>> = {
  usage: 400,
  conflict: 409,
  'not-found': 404,
  verification: 422,
  denied: 403,
  timeout: 504,
  cancelled: 499,
  'no-space': 507,
  'too-large': 413,
  busy: 429,
  unavailable: 503,
  failed: 500,
}

/** A failure of HTTP itself, where the kind alone does not say the status: 401, 405, 408, 415, 416. */
export class ApiError extends P2pnodeError {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: string,
    kind: ErrorKind,
    message: string,
    options: P2pnodeErrorOptions & { status?: number; headers?: Record<string, string> } = {},
  ) {
    super(code, kind, message, options)
    this.name = 'ApiError'
    this.status = options.status ?? STATUS_OF_KIND[kind]
    this.headers = options.headers ?? {}
  }
}

export const unauthorized = (message: string): ApiError =>
  new ApiError('ERR_UNAUTHORIZED', 'denied', message, {
    status: 401,
    headers: { 'www-authenticate': 'Bearer realm="p2pnode"' },
  })

export const tooManyFailures = (retryAfterSeconds: number): ApiError =>
  new ApiError('ERR_TOO_MANY_FAILED_ATTEMPTS', 'busy', 'Too many failed authentications from this address', {
    details: { retryAfterSeconds },
    headers: { 'retry-after': String(retryAfterSeconds) },
  })

export const scopeMissing = (needed: string, held: string): ApiError =>
  new ApiError(
    'ERR_SCOPE',
    'denied',
    `This needs a token with the scope ${needed}; the one given has ${held}`,
    {
      details: { needed, held },
    },
  )

export const hostRefused = (host: string): ApiError =>
  new ApiError('ERR_HOST_REFUSED', 'denied', 'The Host header does not name this node', {
    details: { host: host.slice(0, 256) },
  })

export const originRefused = (): ApiError =>
  new ApiError('ERR_ORIGIN_REFUSED', 'denied', 'Requests from pages of other sites are refused')

export const invalidRequest = (message: string, details: Record<string, unknown>): ApiError =>
  new ApiError('ERR_REQUEST_INVALID', 'usage', message, { details })

export const routeUnknown = (method: string, path: string): ApiError =>
  new ApiError('ERR_ROUTE_UNKNOWN', 'not-found', `There is no ${method} ${path}`)

export const methodNotAllowed = (method: string, allowed: string[]): ApiError =>
  new ApiError('ERR_METHOD_NOT_ALLOWED', 'usage', `${method} is not among ${allowed.join(', ')}`, {
    status: 405,
    details: { allowed },
    headers: { allow: allowed.join(', ') },
  })

export const bodyTooLarge = (limitBytes: number): ApiError =>
  new ApiError('ERR_BODY_TOO_LARGE', 'too-large', `The body is larger than ${limitBytes} bytes`, {
    details: { limitBytes },
    headers: { connection: 'close' },
  })

export const bodyLate = (timeoutMs: number): ApiError =>
  new ApiError('ERR_REQUEST_TIMEOUT', 'timeout', `The body did not arrive within ${timeoutMs} ms`, {
    status: 408,
    headers: { connection: 'close' },
  })

export const mediaTypeUnsupported = (wanted: string): ApiError =>
  new ApiError('ERR_MEDIA_TYPE', 'usage', `The body must be ${wanted}`, { status: 415, details: { wanted } })

export const rangeUnsatisfiable = (sizeBytes: number): ApiError =>
  new ApiError('ERR_RANGE', 'usage', 'The range lies outside of the content', {
    status: 416,
    details: { sizeBytes },
    headers: { 'content-range': `bytes */${sizeBytes}` },
  })

export const notFound = (what: string, id: string): ApiError =>
  new ApiError(`ERR_${what.toUpperCase()}_NOT_FOUND`, 'not-found', `There is no ${what} ${id}`, {
    details: { id },
  })

export const cidInvalid = (text: string): ApiError =>
  new ApiError('ERR_CID_INVALID', 'usage', 'This is not a CID', { details: { cid: text.slice(0, 128) } })

export const notAFile = (address: string, type: string): ApiError =>
  new ApiError('ERR_NOT_A_FILE', 'usage', `${address} is a ${type}, not a file`, { details: { type } })

/** Of a path within a tree; the link is a secret and not repeated. */
export const notAVaultFile = (path: string | undefined, type: string): ApiError =>
  new ApiError(
    'ERR_NOT_A_FILE',
    'usage',
    path === undefined ? 'The link leads to a tree, not a file' : `${path} is a ${type}, not a file`,
    { details: { type } },
  )

export const policiesUnavailable = (): ApiError =>
  new ApiError('ERR_POLICIES_ABSENT', 'unavailable', 'This node runs without pin policies')

export const messagesAbsent = (): ApiError =>
  new ApiError('ERR_MESSAGES_ABSENT', 'unavailable', 'This node carries no messages')

export const swarmAbsent = (): ApiError =>
  new ApiError('ERR_SWARM_ABSENT', 'unavailable', 'This node takes part in no private networks')

export const catalogAbsent = (): ApiError =>
  new ApiError('ERR_CATALOG_ABSENT', 'unavailable', 'This node runs without a catalogue')

export const recommendationsAbsent = (): ApiError =>
  new ApiError('ERR_RECOMMENDATIONS_ABSENT', 'unavailable', 'This node tells nothing of others')

export const messageEncoding = (): ApiError =>
  new ApiError('ERR_MESSAGE_ENCODING', 'usage', 'The data of a message is standard base64 with its padding')

export const vaultAbsent = (): ApiError =>
  new ApiError('ERR_VAULT_ABSENT', 'unavailable', 'This node runs without a vault')

export const uploadAborted = (cause?: unknown): ApiError =>
  new ApiError('ERR_UPLOAD_ABORTED', 'cancelled', 'The connection ended before the part was whole', { cause })

export const stopping = (): ApiError =>
  new ApiError('ERR_STOPPING', 'unavailable', 'The node is stopping', { headers: { connection: 'close' } })

export const tooManyEventClients = (limit: number): ApiError =>
  new ApiError('ERR_TOO_MANY_EVENT_STREAMS', 'busy', `More than ${limit} event streams are open`)

export const tooManyTokens = (limit: number): ApiError =>
  new ApiError('ERR_TOO_MANY_TOKENS', 'conflict', `There are ${limit} tokens; revoke one first`)

export const tokenFileUnusable = (path: string, problem: string): ApiError =>
  new ApiError('ERR_TOKEN_FILE', 'failed', `${path}: ${problem}`, { details: { path } })

export interface ErrorAnswer {
  status: number
  headers: Readonly<Record<string, string>>
  body: Static<typeof ErrorReply>
}

/** What a client gets for an error that the daemon raised on purpose, and for any other: nothing from inside. */
export function answerOf(error: unknown): ErrorAnswer {
  if (error instanceof P2pnodeError) {
    return {
      status: error instanceof ApiError ? error.status : STATUS_OF_KIND[error.kind],
      headers: error instanceof ApiError ? error.headers : {},
      body: {
        error: { code: error.code, kind: error.kind, message: error.message, details: error.details },
      },
    }
  }
  return {
    status: 500,
    headers: {},
    body: {
      error: {
        code: 'ERR_INTERNAL',
        kind: 'failed',
        message: 'The node failed; its log says more under the request id',
        details: {},
      },
    },
  }
}

/** Names that the Pinning Service API's own examples give to statuses; other failures keep their code. */
const PIN_REASONS: Readonly<Record<number, string>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  404: 'NOT_FOUND',
  500: 'INTERNAL_SERVER_ERROR',
}

/** The same failure in the shape of the Pinning Service API. */
export function asPinFailure({ status, body }: ErrorAnswer): Static<typeof PinFailure> {
  const { code, message } = body.error
  return { error: { reason: PIN_REASONS[status] ?? code.replace(/^ERR_/, ''), details: message } }
}
