/**
 * What a failure means to whoever asked, coarse enough for an exit code and an HTTP status. The exact failure is the
 * error's `code`.
 *
 * | kind | exit code | HTTP status |
 * |---|---|---|
 * | `usage` | 2 | 400 |
 * | `conflict` | 1 | 409 |
 * | `not-found` | 4 | 404 |
 * | `verification` | 5 | 422 |
 * | `denied` | 6 | 403 |
 * | `timeout` | 7 | 504 |
 * | `cancelled` | 7 | 499 |
 * | `no-space` | 1 | 507 |
 * | `too-large` | 1 | 413 |
 * | `busy` | 1 | 429 |
 * | `unavailable` | 1 | 503 |
 * | `failed` | 1 | 500 |
 */
export type ErrorKind =
  | 'usage'
  | 'conflict'
  | 'not-found'
  | 'verification'
  | 'denied'
  | 'timeout'
  | 'cancelled'
  | 'no-space'
  | 'too-large'
  | 'busy'
  | 'unavailable'
  | 'failed'

export interface P2pnodeErrorOptions {
  /** Facts a program can use: the key that was wrong, the bytes that were missing. Never a secret. */
  details?: Record<string, unknown>
  cause?: unknown
}

/**
 * The base of every error that the daemon raises on purpose.
 *
 * `code` is stable (`ERR_…`): programs compare it, people read `message`, which says what is wrong and, where it can,
 * what to do. A peer never receives `message`: it gets a status code of its protocol.
 */
export class P2pnodeError extends Error {
  readonly code: string
  readonly kind: ErrorKind
  readonly details: Record<string, unknown>

  constructor(code: string, kind: ErrorKind, message: string, options: P2pnodeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'P2pnodeError'
    this.code = code
    this.kind = kind
    this.details = options.details ?? {}
  }
}
