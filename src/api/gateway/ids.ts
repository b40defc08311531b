import { base32 } from 'multiformats/bases/base32'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { base64, base64url } from 'multiformats/bases/base64'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { MAX_IDENTITY_BYTES, MAX_LABEL_CHARACTERS } from './limits.ts'
import { badRequest, labelTooLong } from './errors.ts'

/** Multicodec of the hash of a key: what an IPNS name is. */
const LIBP2P_KEY = 0x72
const IDENTITY = 0x00

const anyBase = base32.decoder
  .or(base36.decoder)
  .or(base58btc.decoder)
  .or(base64.decoder)
  .or(base64url.decoder)

/** A CID in any of its text forms, or undefined. */
export function readCid(text: string): CID | undefined {
  try {
    // Only version 0 is written without a multibase prefix.
    return /^Qm.{44}$/.test(text) ? CID.parse(text) : CID.parse(text, anyBase)
  } catch {
    return undefined
  }
}

/**
 * A root of public content.
 * @throws ERR_REQUEST_INVALID where it holds more content itself than an address should
 */
export function checkRoot(cid: CID): CID {
  if (cid.multihash.code === IDENTITY && cid.multihash.digest.length > MAX_IDENTITY_BYTES) {
    throw badRequest(`an identity CID may hold ${MAX_IDENTITY_BYTES} bytes at most`)
  }
  return cid
}

/**
 * The key behind an IPNS name in any of its text forms: a peer id in base58, a CID of any version and codec. Undefined
 * for a DNS name.
 */
export function readKey(text: string): CID | undefined {
  try {
    // Peer ids of old are a bare multihash in base58: Qm… for RSA, 12D3… and 16U… for keys that fit in.
    if (/^(?:Qm|1)/.test(text)) return CID.createV1(LIBP2P_KEY, Digest.decode(base58btc.decode(`z${text}`)))
  } catch {
    return undefined
  }
  // A DNS name has a dot, which no base has.
  if (text.includes('.')) return undefined
  const cid = readCid(text)
  return cid === undefined ? undefined : CID.createV1(LIBP2P_KEY, cid.multihash)
}

/** An IPNS name as it fits into a DNS label. */
export function keyText(key: CID): string {
  return key.toString(base36)
}

/**
 * A root as a DNS label.
 * @throws ERR_REQUEST_INVALID where it is longer than a label may be
 */
export function cidLabel(cid: CID): string {
  const v1 = cid.toV1()
  const text = v1.toString(base32)
  const short = text.length <= MAX_LABEL_CHARACTERS ? text : v1.toString(base36)
  if (short.length > MAX_LABEL_CHARACTERS) throw labelTooLong()
  return short
}

/** A DNS name as one label: `-` is written `--`, and `.` is written `-`. @throws ERR_REQUEST_INVALID */
export function inlineDns(name: string): string {
  const label = name.replaceAll('-', '--').replaceAll('.', '-')
  if (label.length > MAX_LABEL_CHARACTERS) throw badRequest('the name is too long for a DNS label')
  return label
}

export function uninlineDns(label: string): string {
  return label.replaceAll('--', '@').replaceAll('-', '.').replaceAll('@', '-')
}

/** Whether it can be a DNS name at all (RFC 1123), as names with a DNSLink are. */
export function isDnsName(text: string): boolean {
  return (
    text.length <= 253 &&
    text.includes('.') &&
    text.split('.').every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label))
  )
}
