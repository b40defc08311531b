import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { hash, timingSafeEqual } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import { PUBLIC_KEY_BYTES } from '../shared/ed25519.ts'
import { invitationInvalid } from './errors.ts'
import { MAX_INVITATION_ADDRESSES, MAX_INVITATION_CHARACTERS, SECRET_BYTES } from './limits.ts'
import { InvitationSchema } from './messages_pb.ts'
import { addressOf } from './parse.ts'
import { wholeNumber } from '../shared/parsed.ts'
import type { Invitation } from './types.ts'

const PREFIX = 'p2pnode-swarm:'
const VERSION = 1
const CHECKSUM_BYTES = 4
/** As `network.name` of the configuration. */
const NETWORK_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/

/** The text that is handed to whoever is invited; whoever has it can come in, once. */
export function formatInvitation(invitation: Invitation): string {
  const { swarm, door, addresses, secret, expiresMs, network } = invitation
  const message = create(InvitationSchema, {
    swarm,
    door,
    addresses: addresses.slice(0, MAX_INVITATION_ADDRESSES).map(({ bytes }) => bytes),
    secret,
    expiresMs: BigInt(expiresMs),
    network,
  })
  const body = Buffer.concat([Buffer.of(VERSION), toBinary(InvitationSchema, message)])
  return PREFIX + base58btc.baseEncode(Buffer.concat([body, checksum(body)]))
}

/** @throws ERR_INVITATION_INVALID, which never repeats the text: it opens a door */
export function parseInvitation(text: string): Invitation {
  if (!text.startsWith(PREFIX)) throw invitationInvalid(`an invitation begins with ${PREFIX}`)
  if (text.length > MAX_INVITATION_CHARACTERS) throw invitationInvalid('this is too long to be an invitation')
  const bytes = decoded(text.slice(PREFIX.length))
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES))
  const given = bytes.subarray(body.length)
  if (given.length !== CHECKSUM_BYTES || !timingSafeEqual(checksum(body), given))
    throw invitationInvalid('its checksum is wrong: a part is missing, or a character is another')
  if (body[0] !== VERSION)
    throw invitationInvalid(`it is of version ${body[0]}, which a newer p2pnode may know`)
  try {
    return read(body.subarray(1))
  } catch {
    // Not the error's text: it may quote what is secret.
    throw invitationInvalid('it does not hold what an invitation holds')
  }
}

function read(bytes: Uint8Array): Invitation {
  const { swarm, door, addresses, secret, expiresMs, network } = fromBinary(InvitationSchema, bytes)
  const isWhole =
    swarm.length === PUBLIC_KEY_BYTES &&
    door.length === PUBLIC_KEY_BYTES &&
    secret.length === SECRET_BYTES &&
    addresses.length > 0 &&
    addresses.length <= MAX_INVITATION_ADDRESSES &&
    NETWORK_NAME.test(network)
  if (!isWhole) throw new Error('a part is missing')
  return {
    swarm,
    door,
    addresses: addresses.map(addressOf),
    secret,
    expiresMs: wholeNumber(expiresMs, 'malformed-message'),
    network,
  }
}

function decoded(text: string): Uint8Array {
  try {
    return base58btc.baseDecode(text)
  } catch {
    // Not the library's error: it quotes the text.
    throw invitationInvalid('it has a character that no invitation has')
  }
}

function checksum(body: Uint8Array): Uint8Array {
  return hash('sha256', body, 'buffer').subarray(0, CHECKSUM_BYTES)
}
