import { CID } from 'multiformats/cid'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_CID_BYTES } from './limits.ts'

/** @throws ProtocolViolationError */
export function decodeCid(bytes: Uint8Array): CID {
  if (bytes.length > MAX_CID_BYTES) throw new ProtocolViolationError('oversize-cid', 'a CID that is too long')
  return parse(() => CID.decode(bytes))
}

/** What a decoder throws, as a violation. @throws ProtocolViolationError */
export function parse<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof ProtocolViolationError) throw cause
    throw new ProtocolViolationError('malformed-message', 'bytes that are not a message', { cause })
  }
}
