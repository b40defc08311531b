import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { parsed } from '../shared/parsed.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_ADDRESS_BYTES } from './limits.ts'

/** @throws ProtocolViolationError */
export function addressOf(bytes: Uint8Array): Multiaddr {
  if (bytes.length === 0 || bytes.length > MAX_ADDRESS_BYTES)
    throw new ProtocolViolationError('malformed-message', 'an address of the wrong size')
  return parsed(() => multiaddr(bytes))
}
