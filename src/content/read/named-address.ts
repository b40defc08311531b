import { addressInvalid } from '../errors.ts'
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
 * @throws ERR_ADDRESS_INVALID, and what `NameResolver.resolve` throws
 */
export async function rootedAddress(
  address: string,
  names: NameResolver | undefined,
  options: { signal: AbortSignal; offline?: boolean },
): Promise<Address> {
  if (!isNamed(address)) return parseAddress(address)
  const isUrl = address.startsWith(URL_PREFIX)
  const rest = address.slice(isUrl ? URL_PREFIX.length : PATH_PREFIX.length)
  const { first: name, path } = pathOf(address, rest, isUrl)
  if (name === '') throw addressInvalid(address, 'it names nothing')
  if (names === undefined) throw addressInvalid(address, 'this node resolves no names')
  const resolved = parseAddress((await names.resolve(name, options)).path)
  return { root: resolved.root, path: [...resolved.path, ...path] }
}
