import { base32 } from 'multiformats/bases/base32'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { base64url } from 'multiformats/bases/base64'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import type { MultihashDigest } from 'multiformats/hashes/interface'
import { nameInvalid } from './errors.ts'
import { MAX_DOMAIN_CHARACTERS, MAX_NAME_CHARACTERS } from './limits.ts'

/** Multicodec codes: a public key, and the two hashes that a key's id is made with. */
const LIBP2P_KEY = 0x72
const IDENTITY = 0x00
const SHA2_256 = 0x12

/** The hash of a public key; `text` is its canonical form. */
export interface KeyName {
  kind: 'key'
  text: string
  digest: MultihashDigest
}

export interface DomainName {
  kind: 'domain'
  text: string
}

export type Name = KeyName | DomainName

const anyBase = base36.decoder.or(base32.decoder).or(base58btc.decoder).or(base64url.decoder)

/** An underscore begins labels such as `_dnslink`. */
const DOMAIN = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * Reads a name: a peer id (`12D3Koo…`, `Qm…`), the CID of a key in any base (`k51…`, `bafz…`), or a domain.
 *
 * @throws ERR_NAME_INVALID
 */
export function parseName(text: string): Name {
  if (text.length > MAX_NAME_CHARACTERS) throw nameInvalid(text, 'it is too long')
  const digest = digestOf(text)
  if (digest !== undefined) return keyName(text, digest)
  const domain = text.toLowerCase().replace(/\.$/, '')
  if (domain.length <= MAX_DOMAIN_CHARACTERS && DOMAIN.test(domain)) return { kind: 'domain', text: domain }
  throw nameInvalid(text, 'expected a peer id, the CID of a key (k51…), or a domain')
}

/** The name of a key. */
export function nameOfKey(digest: MultihashDigest): KeyName {
  return { kind: 'key', text: CID.createV1(LIBP2P_KEY, digest).toString(base36), digest }
}

function keyName(text: string, digest: MultihashDigest): KeyName {
  if (digest.code !== IDENTITY && digest.code !== SHA2_256)
    throw nameInvalid(text, 'a key is named by itself or by its SHA-256')
  return nameOfKey(digest)
}

/** Undefined for what is no peer id and no CID. @throws ERR_NAME_INVALID for the CID of something else */
function digestOf(text: string): MultihashDigest | undefined {
  if (/^(?:Qm|1)[1-9A-HJ-NP-Za-km-z]{40,}$/.test(text)) {
    try {
      return Digest.decode(base58btc.baseDecode(text))
    } catch {
      return undefined
    }
  }
  let cid: CID
  try {
    cid = CID.parse(text, anyBase)
  } catch {
    return undefined
  }
  if (cid.code !== LIBP2P_KEY)
    throw nameInvalid(text, 'this is the CID of content, not of a key; its path is /ipfs/CID')
  return cid.multihash
}
