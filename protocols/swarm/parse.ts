import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_ADDRESS_BYTES } from './limits.ts'

/** @throws ProtocolViolationError beyond 2^53 */
export function numberOf(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new ProtocolViolationError('malformed-message', 'a number that is too large')
  return Number(value)
}

/** @throws ProtocolViolationError */
export function addressOf(bytes: Uint8Array): Multiaddr {
  if (bytes.length === 0 || bytes.length > MAX_ADDRESS_BYTES)
    throw new ProtocolViolationError('malformed-message', 'an address of the wrong size')
  return parsed(() => multiaddr(bytes))
}

/** What a decoder throws, as a violation. @throws ProtocolViolationError */
export function parsed<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new ProtocolViolationError('malformed-message', 'bytes that are not a message', { cause })
  }
}
