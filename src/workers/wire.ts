import { type ErrorKind, P2pnodeError } from '../../protocols/shared/errors.ts'

/** An error on its way between threads: structured cloning keeps no class and no code. */
export interface WireError {
  code: string
  kind: ErrorKind
  message: string
  details: Record<string, unknown>
}

/** What a thread answers with: a result, or an error that was raised on purpose. Other errors travel as piscina sends them. */
export type WireAnswer = { value: unknown } | { error: WireError }

export function toWire(error: P2pnodeError): WireError {
  return { code: error.code, kind: error.kind, message: error.message, details: error.details }
}

export function fromWire(error: WireError): P2pnodeError {
  return new P2pnodeError(error.code, error.kind, error.message, { details: error.details })
}
