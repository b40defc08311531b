import type { ContentPolicy } from '../../trust/contract.ts'
import { addressInvalid, contentDenied } from '../errors.ts'
import type { NameResolver } from '../names/types.ts'
import type { Address } from './address.ts'
import { parseAddress, pathOf } from './address.ts'

const PATH_PREFIX = '/ipns/'
const URL_PREFIX = 'ipns://'

/** Whether the address begins with a name, which only a resolver can turn into a CID. */
export function isNamed(address: string): boolean {
  return address.startsWith(PATH_PREFIX) || address.startsWith(URL_PREFIX)
}

/**
 * The CID and path of any address of public content: of what `parseAddress` takes as it is, and of `/ipns/NAME/path` or
 * `ipns://NAME/path` by asking `names`.
 *
 * @throws ERR_ADDRESS_INVALID, ERR_CONTENT_DENIED, and what `NameResolver.resolve` throws
 */
export async function rootedAddress(
  address: string,
  names: NameResolver | undefined,
  options: { signal: AbortSignal; offline?: boolean; denied?: ContentPolicy | undefined },
): Promise<Address> {
  const { denied, ...query } = options
  if (!isNamed(address)) return permitted(parseAddress(address), address, denied)
  const isUrl = address.startsWith(URL_PREFIX)
  const rest = address.slice(isUrl ? URL_PREFIX.length : PATH_PREFIX.length)
  const { first: name, path } = pathOf(address, rest, isUrl)
  if (name === '') throw addressInvalid(address, 'it names nothing')
  if (names === undefined) throw addressInvalid(address, 'this node resolves no names')
  if (denied?.decideContent('read', { name, path }).allowed === false) throw contentDenied(address)
  const resolved = parseAddress((await names.resolve(name, query)).path)
  return permitted({ root: resolved.root, path: [...resolved.path, ...path] }, address, denied)
}

/** @throws ERR_CONTENT_DENIED */
function permitted(found: Address, address: string, denied: ContentPolicy | undefined): Address {
  const { root: cid, path } = found
  if (denied?.decideContent('read', { cid, path }).allowed === false) throw contentDenied(address)
  return found
}
