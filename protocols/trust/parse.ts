import { peerIdFromMultihash } from '@libp2p/peer-id'
import type { PeerId } from '@libp2p/interface'
import { decode as decodeDigest } from 'multiformats/hashes/digest'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_PEER_BYTES } from './limits.ts'

/** @throws ProtocolViolationError */
export function decodePeer(bytes: Uint8Array): PeerId {
  if (bytes.length > MAX_PEER_BYTES)
    throw new ProtocolViolationError('oversize-peer', 'a peer id that is too long')
  return parsed(() => peerIdFromMultihash(decodeDigest(bytes)))
}

/** @throws ProtocolViolationError beyond 2^53 */
export function decodeTime(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new ProtocolViolationError('oversize-number', 'a time beyond all clocks')
  return Number(value)
}

/** What a decoder throws, as a violation. @throws ProtocolViolationError */
export function parsed<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof ProtocolViolationError) throw cause
    throw new ProtocolViolationError('malformed-message', 'bytes that are not a message', { cause })
  }
}
