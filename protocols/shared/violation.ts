import { P2pnodeError } from './errors.ts'

/**
 * The peer broke a rule of a protocol. Whoever catches it aborts the stream and reports `rule` as evidence; the text is
 * for this node's log alone.
 */
export class ProtocolViolationError extends P2pnodeError {
  /** Short and stable: `oversize-frame`, `credit-exceeded`. */
  readonly rule: string

  constructor(rule: string, message: string, options: { cause?: unknown } = {}) {
    super('ERR_PROTOCOL_VIOLATION', 'verification', message, { ...options, details: { rule } })
    this.name = 'ProtocolViolationError'
    this.rule = rule
  }
}
