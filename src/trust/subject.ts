import { isIP } from 'node:net'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { base58btc } from 'multiformats/bases/base58'
import { contentRule } from './denylist/rules.ts'
import { subjectInvalid } from './errors.ts'

/** Multicodec of an Ed25519 public key (0xed) as a varint, the first bytes below every `did:key:z6Mk…`. */
const ED25519_PREFIX = [0xed, 0x01] as const
const ED25519_KEY_BYTES = 32

/** A range of network addresses; a single address has the full prefix length. */
export interface AddressRange {
  address: string
  prefixBits: number
  family: 'ipv4' | 'ipv6'
}

export type ListSubject =
  | { type: 'peer'; text: string }
  /** `text` is the range as it is shown: `203.0.113.0/24`. */
  | { type: 'range'; text: string; range: AddressRange }
  /** `text` is a rule of a denylist: `/ipfs/CID`, `/ipfs/CID/path*`, `/ipns/NAME`. */
  | { type: 'content'; text: string }

/**
 * The peer id, in its text form, that a peer id or a `did:key` names. Other spellings of the same peer id (a CID) come
 * out alike, so that a peer cannot be on a list twice or slip past it.
 *
 * @throws ERR_PEER_INVALID
 */
export function parsePeer(text: string): string {
  try {
    return text.startsWith('did:key:') ? peerOfDid(text) : peerIdFromString(text).toString()
  } catch (cause) {
    throw subjectInvalid(text, 'a peer id or a did:key', cause)
  }
}

/**
 * What an entry of the block list names: a peer (id or `did:key`), an address (`203.0.113.7`), a range (`203.0.113.0/24`), or content
 * (a CID of version 1, `/ipfs/CID`, or another rule of a denylist).
 *
 * @throws ERR_PEER_INVALID
 */
export function parseListSubject(text: string): ListSubject {
  const rule = contentRule(text)
  if (rule !== undefined) return { type: 'content', text: rule }
  const range = parseRange(text)
  if (range !== undefined) {
    return { type: 'range', text: `${range.address}/${range.prefixBits}`, range }
  }
  try {
    return { type: 'peer', text: parsePeer(text) }
  } catch (cause) {
    throw subjectInvalid(
      text,
      'a peer id, a did:key, an IP address, a range such as 203.0.113.0/24, or content such as /ipfs/CID',
      cause,
    )
  }
}

function parseRange(text: string): AddressRange | undefined {
  const slash = text.indexOf('/')
  const address = slash === -1 ? text : text.slice(0, slash)
  const version = isIP(address)
  // A zone (fe80::1%eth0) belongs to one machine's interface and means nothing in a list.
  if (version === 0 || address.includes('%')) {
    return undefined
  }
  const maxBits = version === 4 ? 32 : 128
  const bitsText = slash === -1 ? String(maxBits) : text.slice(slash + 1)
  const prefixBits = Number(bitsText)
  if (!/^\d{1,3}$/.test(bitsText) || prefixBits > maxBits) {
    throw subjectInvalid(text, `an address with a prefix of 0 to ${maxBits} bits`)
  }
  return { address, prefixBits, family: version === 4 ? 'ipv4' : 'ipv6' }
}

/** did:key method specification, section 3: multibase base58btc of the multicodec prefix and the raw key. */
function peerOfDid(did: string): string {
  const bytes = base58btc.decode(did.slice('did:key:'.length))
  if (
    bytes.length !== ED25519_PREFIX.length + ED25519_KEY_BYTES ||
    bytes[0] !== ED25519_PREFIX[0] ||
    bytes[1] !== ED25519_PREFIX[1]
  ) {
    throw new Error('only did:key of an Ed25519 key names a peer')
  }
  return peerIdFromPublicKey(publicKeyFromRaw(bytes.subarray(ED25519_PREFIX.length))).toString()
}
