/**
 * What every part of the daemon may assume about logging. The shape is pino's, so that a pino logger fits without
 * an adapter and tests can pass a small stand-in that writes nowhere.
 */
export interface Logger {
  trace(details: object | string, message?: string): void
  debug(details: object | string, message?: string): void
  info(details: object | string, message?: string): void
  warn(details: object | string, message?: string): void
  error(details: object | string, message?: string): void
  /** A logger that adds `bindings` (at least `{ part: 'storage' }`) to every line. */
  child(bindings: Record<string, unknown>): Logger
}
