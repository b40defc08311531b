import { ProtocolViolationError } from './violation.ts'

/** What a decoder of bytes throws, as a violation; one that is a violation already stays what it is. @throws ProtocolViolationError */
export function parsed<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof ProtocolViolationError) throw cause
    throw new ProtocolViolationError('malformed-message', 'bytes that are not a message', { cause })
  }
}

/** @throws ProtocolViolationError beyond 2^53 */
export function wholeNumber(value: bigint, rule = 'oversize-number'): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new ProtocolViolationError(rule, 'a number that is too large')
  return Number(value)
}
