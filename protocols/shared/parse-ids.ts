import type { PeerId } from '@libp2p/interface'
import { peerIdFromMultihash } from '@libp2p/peer-id'
import { CID } from 'multiformats/cid'
import { decode as decodeDigest } from 'multiformats/hashes/digest'
import { MAX_CID_BYTES, MAX_PEER_BYTES } from './limits.ts'
import { parsed } from './parsed.ts'
import { ProtocolViolationError } from './violation.ts'

/** @throws ProtocolViolationError */
export function decodeCid(bytes: Uint8Array): CID {
  if (bytes.length > MAX_CID_BYTES) throw new ProtocolViolationError('oversize-cid', 'a CID that is too long')
  return parsed(() => CID.decode(bytes))
}

/** From a multihash. @throws ProtocolViolationError */
export function decodePeer(bytes: Uint8Array): PeerId {
  if (bytes.length > MAX_PEER_BYTES)
    throw new ProtocolViolationError('oversize-peer', 'a peer id that is too long')
  return parsed(() => peerIdFromMultihash(decodeDigest(bytes)))
}
