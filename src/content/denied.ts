import type { CID } from 'multiformats/cid'
import type { ContentPolicy, ContentUse } from '../trust/contract.ts'
import { contentDenied } from './errors.ts'
import { parseAddress } from './read/address.ts'

/** What a deny list keeps from being read, asked for, named and told. @throws ERR_CONTENT_DENIED */
export function assertMayRead(cid: CID, denied: ContentPolicy | undefined): void {
  if (denied?.decideContent('read', { cid }).allowed === false) throw contentDenied(cid.toString())
}

/**
 * For paths of names (`/ipns/NAME/a`) and of content (`/ipfs/CID/a`), as records hold them; what is neither is not denied.
 *
 * @throws ERR_CONTENT_DENIED
 */
export function assertNotDenied(denied: ContentPolicy | undefined, use: ContentUse, value: string): void {
  if (denied !== undefined && isDenied(denied, use, value)) throw contentDenied(value)
}

/** Whether it must not be told where the name leads. */
export function isDeniedRecord(denied: ContentPolicy | undefined, name: string, value: string): boolean {
  return denied !== undefined && [`/ipns/${name}`, value].some((each) => isDenied(denied, 'tell', each))
}

function isDenied(denied: ContentPolicy, use: ContentUse, value: string): boolean {
  const [, namespace, name = '', ...path] = value
    .split('/')
    .filter((part, index) => index === 0 || part !== '')
  if (namespace === 'ipns') return !denied.decideContent(use, { name, path }).allowed
  if (namespace !== 'ipfs') return false
  try {
    const { root: cid, path: names } = parseAddress(value)
    return !denied.decideContent(use, { cid, path: names }).allowed
  } catch {
    return false
  }
}
