import type { MessageInitShape } from '@bufbuild/protobuf'
import { ProtocolViolationError } from '../shared/violation.ts'
import { isSupportedHash } from './hash.ts'
import {
  MAX_ADDRESS_CHARACTERS,
  MAX_CAPABILITY_ADDRESSES,
  MAX_DID_CHARACTERS,
  MAX_FILTER_BYTES,
  MAX_NAME_CHARACTERS,
  MAX_URL_CHARACTERS,
  MAX_VERSIONS,
} from './limits.ts'
import type { Capabilities as CapabilitiesMessage, CapabilitiesSchema } from './messages_pb.ts'
import { decodeCid } from '../shared/parse-ids.ts'
import type { Capabilities, IpfsSide } from './types.ts'

/** Sides to IPFS on the wire; the table of SPEC.md. */
const IPFS_SIDES = { none: 0, 'gateway-only': 1, helia: 2, kubo: 3 } as const satisfies Record<
  IpfsSide,
  number
>

/** Printable, and without anything that a log or a terminal would act upon. */
const PLAIN_TEXT = /^[\x20-\x7e]*$/

export function encodeCapabilities(own: Capabilities): MessageInitShape<typeof CapabilitiesSchema> {
  const { filter } = own
  return {
    did: own.did,
    role: own.role,
    versions: Object.entries(own.versions).map(([name, version]) => ({ name, version })),
    ipfs: IPFS_SIDES[own.ipfs],
    gateway: own.gatewayUrl ?? '',
    addresses: own.addresses.slice(0, MAX_CAPABILITY_ADDRESSES),
    bandwidth: BigInt(own.bandwidthBytesPerSecond ?? 0),
    freeBytes: BigInt(own.freeBytes),
    ...(filter === null ? {} : { filter: { cid: filter.cid.bytes, bytes: filter.bytes } }),
  }
}

/** @throws ProtocolViolationError for what is too much, too long, or not what its name says */
export function decodeCapabilities(message: CapabilitiesMessage): Capabilities {
  const { versions, addresses, filter } = message
  if (versions.length > MAX_VERSIONS) throw oversize('versions')
  if (addresses.length > MAX_CAPABILITY_ADDRESSES) throw oversize('addresses')
  return {
    did: text(message.did, MAX_DID_CHARACTERS),
    role: text(message.role, MAX_NAME_CHARACTERS),
    versions: Object.fromEntries(
      versions.map(({ name, version }) => [
        text(name, MAX_NAME_CHARACTERS),
        text(version, MAX_NAME_CHARACTERS),
      ]),
    ),
    ipfs: ipfsSide(message.ipfs),
    gatewayUrl: gatewayUrl(message.gateway),
    addresses: addresses.map(multiaddrText),
    bandwidthBytesPerSecond: message.bandwidth === 0n ? null : safeNumber(message.bandwidth),
    freeBytes: safeNumber(message.freeBytes),
    filter: filter === undefined ? null : filterReference(filter),
  }
}

function filterReference(filter: NonNullable<CapabilitiesMessage['filter']>): Capabilities['filter'] {
  if (filter.bytes > MAX_FILTER_BYTES) throw oversize('filter')
  const cid = decodeCid(filter.cid)
  if (!isSupportedHash(cid)) throw malformed('a filter that cannot be verified')
  return { cid, bytes: filter.bytes }
}

/** A number that this version does not know is a side that it cannot use. */
function ipfsSide(value: number): IpfsSide {
  return (Object.keys(IPFS_SIDES) as IpfsSide[]).find((side) => IPFS_SIDES[side] === value) ?? 'none'
}

function gatewayUrl(value: string): string | null {
  if (value === '') return null
  const address = text(value, MAX_URL_CHARACTERS)
  const url = URL.parse(address)
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username + url.password !== '')
    throw malformed('a gateway that is no HTTP URL')
  return address
}

function multiaddrText(value: string): string {
  if (!value.startsWith('/')) throw malformed('an address that is no multiaddr')
  return text(value, MAX_ADDRESS_CHARACTERS)
}

function text(value: string, most: number): string {
  if (value.length > most) throw oversize('text')
  if (!PLAIN_TEXT.test(value)) throw malformed('text with other characters')
  return value
}

function safeNumber(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)
}

function oversize(what: string): ProtocolViolationError {
  return new ProtocolViolationError('oversize-capabilities', `more than capabilities may have: ${what}`)
}

function malformed(what: string): ProtocolViolationError {
  return new ProtocolViolationError('malformed-capabilities', `capabilities with ${what}`)
}
