import { CID } from 'multiformats/cid'
import { cidInvalid } from './errors.ts'

/** @throws ERR_CID_INVALID */
export function parseCid(text: string): CID {
  try {
    return CID.parse(text)
  } catch {
    throw cidInvalid(text)
  }
}
