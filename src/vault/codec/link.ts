/** Capability links. docs/vault-format.md, "Link". */
import { hash } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import type { Link, Power } from '../types.ts'
import { linkChecksum, linkInvalid } from './errors.ts'
import { HASH_BYTES, KEY_BYTES, MAX_LINK_CHARS } from './limits.ts'

const LINK_PREFIX = 'p2pnode:'
const LINK_VERSION = 1
const CHECKSUM_BYTES = 4
const HEADER_BYTES = 2
const LINK_BYTES = HEADER_BYTES + HASH_BYTES + KEY_BYTES + CHECKSUM_BYTES

/** The second byte of a link. */
export const LinkKind = { read: 1, verify: 2 } as const satisfies Record<Power, number>

export function formatLink({ power, slab, key }: Link): string {
  if (slab.length !== HASH_BYTES || key.length !== KEY_BYTES) {
    throw new RangeError('slab id and key of a link have 32 bytes')
  }
  const body = Buffer.concat([Buffer.of(LINK_VERSION, LinkKind[power]), slab, key])
  return LINK_PREFIX + base58btc.baseEncode(Buffer.concat([body, checksum(body)]))
}

/**
 * The checksum is looked at before version and kind: a typing error is called one, and only a link that was made so is
 * called unknown.
 *
 * @throws ERR_LINK_INVALID, ERR_LINK_CHECKSUM
 */
export function parseLink(text: string): Link {
  if (!text.startsWith(LINK_PREFIX)) throw linkInvalid(`a link begins with ${LINK_PREFIX}`)
  if (text.length > MAX_LINK_CHARS) throw linkInvalid('this is too long to be a link')
  const bytes = decoded(text.slice(LINK_PREFIX.length))
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES))
  if (body.length < HEADER_BYTES || Buffer.compare(checksum(body), bytes.subarray(body.length)) !== 0) {
    throw linkChecksum()
  }
  const [version, kind] = body
  if (version !== LINK_VERSION) {
    throw linkInvalid(
      `this link is of version ${version}: this p2pnode knows version ${LINK_VERSION}, a newer one may know it`,
    )
  }
  const power = powerOf(kind)
  if (power === undefined) {
    throw linkInvalid(`this link is of the unknown kind ${kind}: a newer p2pnode may know it`)
  }
  if (bytes.length !== LINK_BYTES)
    throw linkInvalid(`this link has ${bytes.length} bytes and not ${LINK_BYTES}`)
  return {
    power,
    slab: body.slice(HEADER_BYTES, HEADER_BYTES + HASH_BYTES),
    key: body.slice(HEADER_BYTES + HASH_BYTES),
  }
}

function decoded(text: string): Uint8Array {
  try {
    return base58btc.baseDecode(text)
  } catch {
    // Not the library's error: it quotes the text, which holds a key.
    throw linkInvalid('this link has a character that no link has')
  }
}

function powerOf(kind: number | undefined): Power | undefined {
  return kind === LinkKind.read ? 'read' : kind === LinkKind.verify ? 'verify' : undefined
}

function checksum(body: Uint8Array): Uint8Array {
  return hash('sha256', body, 'buffer').subarray(0, CHECKSUM_BYTES)
}
