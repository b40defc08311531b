import type { PrivateMark } from '../private/types.ts'
import { parseAddress } from '../read/address.ts'

/** Whether what a record holds would tell of content that must not be known outside. */
export function tellsPrivate(value: string, isPrivate: PrivateMark['isPrivate']): boolean {
  if (!value.startsWith('/ipfs/')) return false
  try {
    return isPrivate(parseAddress(value).root)
  } catch {
    return false
  }
}
