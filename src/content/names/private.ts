import type { CID } from 'multiformats/cid'
import type { PrivateMark } from '../private/types.ts'
import { parseAddress } from '../read/address.ts'

/** The content of which a record would tell although it must not be known outside; undefined: there is none. */
export function privateTarget(value: string, isPrivate: PrivateMark['isPrivate']): CID | undefined {
  if (!value.startsWith('/ipfs/')) return undefined
  try {
    const { root } = parseAddress(value)
    return isPrivate(root) ? root : undefined
  } catch {
    return undefined
  }
}
