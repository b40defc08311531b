import type { Evidence } from '../../src/trust/contract.ts'
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

/** Reads what a peer has said; what it should not have said is reported as evidence. @throws as `read` */
export async function blamed<T>(
  { trust, protocol, peer }: { trust: Evidence; protocol: string; peer: string },
  read: () => T | Promise<T>,
): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof ProtocolViolationError)
      trust.report(peer, 'protocol-violation', { protocol, rule: error.rule })
    throw error
  }
}
