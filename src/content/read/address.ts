import { base36 } from 'multiformats/bases/base36'
import { base32 } from 'multiformats/bases/base32'
import { base58btc } from 'multiformats/bases/base58'
import { base64url } from 'multiformats/bases/base64'
import { CID } from 'multiformats/cid'
import { addressInvalid } from '../errors.ts'

/** A path of more names than any real tree has costs a block read each. */
const MAX_PATH_NAMES = 1024
/** Longer ones only come from somebody who tries what happens. */
const MAX_ADDRESS_CHARACTERS = 64 * 1024

const anyBase = base32.decoder.or(base36.decoder).or(base58btc.decoder).or(base64url.decoder)

export interface Address {
  root: CID
  path: string[]
}

/**
 * Reads `CID`, `CID/path`, `/ipfs/CID/path` or `ipfs://CID/path`. Only in the last, which is a URL, are names percent-
 * encoded. Empty names mean nothing, so that a trailing slash does no harm. Addresses that begin with a name are for
 * `rootedAddress`, which can ask somebody.
 *
 * @throws ERR_ADDRESS_INVALID
 */
export function parseAddress(address: string): Address {
  const isUrl = address.startsWith('ipfs://')
  const isPath = address.startsWith('/ipfs/')
  const rest = isUrl ? address.slice('ipfs://'.length) : isPath ? address.slice('/ipfs/'.length) : address
  const { first, path } = pathOf(address, rest, isUrl)
  return { root: parseRoot(address, first), path }
}

/** What stands first, and the names after it. @throws ERR_ADDRESS_INVALID for what is too long, or malformed as a URL */
export function pathOf(address: string, rest: string, isUrl: boolean): { first: string; path: string[] } {
  if (address.length > MAX_ADDRESS_CHARACTERS)
    throw addressInvalid(`${address.slice(0, 60)}…`, 'it is too long')
  const [first = '', ...names] = rest.split('/')
  const path = names
    .filter((name) => name !== '')
    .map((name) => (isUrl ? percentDecoded(address, name) : name))
  if (path.length > MAX_PATH_NAMES)
    throw addressInvalid(address, `its path has more than ${MAX_PATH_NAMES} names`)
  return { first, path }
}

function parseRoot(address: string, text: string): CID {
  try {
    // Only version 0 is written without a multibase prefix.
    return text.startsWith('Qm') && text.length === 46 ? CID.parse(text) : CID.parse(text, anyBase)
  } catch {
    throw addressInvalid(
      address,
      'expected a CID, CID/path, /ipfs/CID/path, /ipns/NAME/path, ipfs://CID/path or ipns://NAME/path',
    )
  }
}

function percentDecoded(address: string, name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    throw addressInvalid(address, 'its percent-encoding is malformed')
  }
}
