import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { ApiError, STATUS_OF_KIND } from '../errors.ts'
import { MAX_LABEL_CHARACTERS, RETRY_AFTER_SECONDS } from './limits.ts'

/** An answer of the gateway that is a failure: its status is told by the specification, its text is for people. */
export class GatewayError extends ApiError {}

const later = { 'retry-after': String(RETRY_AFTER_SECONDS) }

const failure = (
  status: number,
  code: string,
  kind: P2pnodeError['kind'],
  message: string,
  options: { headers?: Record<string, string>; cause?: unknown } = {},
): GatewayError => new GatewayError(code, kind, message, { status, ...options })

export const badRequest = (message: string): GatewayError =>
  failure(400, 'ERR_REQUEST_INVALID', 'usage', message)

export const invalidPath = (path: string, reason: string): GatewayError =>
  failure(
    400,
    'ERR_ADDRESS_INVALID',
    'usage',
    `invalid path ${JSON.stringify(path.slice(0, 256))}: ${reason}`,
  )

export const labelTooLong = (): GatewayError =>
  badRequest(
    `CID incompatible with DNS label length limit of ${MAX_LABEL_CHARACTERS}: ask for it by its path, from a host without subdomains`,
  )

export const notAcceptable = (message: string): GatewayError =>
  failure(406, 'ERR_NOT_ACCEPTABLE', 'usage', message)

export const notImplemented = (message: string): GatewayError =>
  failure(501, 'ERR_NOT_IMPLEMENTED', 'failed', message)

export const methodNotAllowed = (): GatewayError =>
  failure(405, 'ERR_METHOD_NOT_ALLOWED', 'usage', 'only GET, HEAD and OPTIONS are answered', {
    headers: { allow: 'GET, HEAD, OPTIONS' },
  })

export const notFound = (message: string): GatewayError => failure(404, 'ERR_NOT_FOUND', 'not-found', message)

export const notCached = (): GatewayError =>
  failure(412, 'ERR_NOT_CACHED', 'not-found', 'not held here, and the request allows no other source')

export const gone = (what: string): GatewayError =>
  failure(410, 'ERR_DENIED', 'denied', `${what} is not served: it is on a denylist of this node`)

export const addressRefused = (): GatewayError =>
  failure(403, 'ERR_ADDRESS_REFUSED', 'denied', 'requests from this address are refused')

export const tooManyRequests = (): GatewayError =>
  failure(429, 'ERR_TOO_MANY_REQUESTS', 'busy', 'as many requests are answered as this gateway can', {
    headers: later,
  })

export const tooManyOfOne = (): GatewayError =>
  failure(429, 'ERR_TOO_MANY_REQUESTS', 'busy', 'this address has as many requests answered as one may', {
    headers: later,
  })

export const timedOut = (timeoutMs: number): GatewayError =>
  failure(504, 'ERR_TIMEOUT', 'timeout', `nothing could be had within ${timeoutMs / 1000} s`, {
    headers: later,
  })

export const rangeUnsatisfiable = (sizeBytes: number): GatewayError =>
  failure(416, 'ERR_RANGE', 'usage', 'the range lies outside of the content', {
    headers: { 'content-range': `bytes */${sizeBytes}` },
  })

export const redirectsInvalid = (reason: string): GatewayError =>
  failure(500, 'ERR_REDIRECTS_INVALID', 'verification', `could not parse _redirects: ${reason}`)

export const nameUnresolved = (name: string, cause: unknown): GatewayError =>
  failure(
    502,
    'ERR_NAME_UNRESOLVED',
    'unavailable',
    `${name} could not be resolved: ${(cause as Error).message}`,
    {
      headers: later,
      cause,
    },
  )

export interface Failure {
  status: number
  headers: Readonly<Record<string, string>>
  message: string
}

/** What a client is told of an error: what the daemon raised on purpose, of anything else nothing from inside. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ApiError) {
    return { status: error.status, headers: error.headers, message: error.message }
  }
  if (error instanceof P2pnodeError) {
    const { kind, code, details } = error
    // Who was asked for a block and what they said is this node's own affair.
    const isUnavailable = Object.hasOwn(details, 'steps')
    const message = isUnavailable ? `${String(details['cid'])} could not be had` : error.message
    const status = code === 'ERR_DAG_INVALID' ? 400 : STATUS_OF_KIND[kind]
    const mayRetry = kind === 'timeout' || kind === 'busy' || kind === 'unavailable'
    return { status: kind === 'cancelled' ? 504 : status, headers: mayRetry ? later : {}, message }
  }
  return { status: 500, headers: {}, message: 'the gateway failed; its log says more' }
}
