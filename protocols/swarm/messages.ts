import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_CONTACTS, MAX_WELCOME_STATEMENTS, NETWORK_KEY_BYTES, SECRET_BYTES } from './limits.ts'
import { KnockSchema, WelcomeSchema } from './messages_pb.ts'
import { addressOf } from './parse.ts'
import { parsed } from '../shared/parsed.ts'
import { isName, verifyStatement } from './statement.ts'
import type { Knock, Welcome } from './types.ts'

export function encodeKnock(knock: Knock): Uint8Array {
  return toBinary(KnockSchema, create(KnockSchema, knock))
}

/** @throws ProtocolViolationError */
export function decodeKnock(bytes: Uint8Array): Knock {
  const { secret, name } = parsed(() => fromBinary(KnockSchema, bytes))
  if (secret.length !== SECRET_BYTES)
    throw new ProtocolViolationError('bad-secret', 'a secret of another size')
  if (name !== '' && !isName(name)) throw new ProtocolViolationError('bad-name', 'a name of no form')
  return { secret, name }
}

export function encodeWelcome(status: number, welcome?: Welcome): Uint8Array {
  const message = create(WelcomeSchema, {
    status,
    statements: welcome?.statements.slice(0, MAX_WELCOME_STATEMENTS).map(({ bytes }) => bytes) ?? [],
    contacts: welcome?.contacts.slice(0, MAX_CONTACTS).map(({ bytes }) => bytes) ?? [],
    ...(welcome?.networkKey === undefined ? {} : { networkKey: welcome.networkKey }),
  })
  return toBinary(WelcomeSchema, message)
}

/**
 * The status, and what comes with a welcome: statements of that swarm whose signatures hold.
 *
 * @throws ProtocolViolationError
 */
export function decodeWelcome(swarm: Uint8Array, bytes: Uint8Array): { status: number; welcome?: Welcome } {
  const message = parsed(() => fromBinary(WelcomeSchema, bytes))
  const { status, statements, contacts, networkKey } = message
  if (status !== Status.ok) return { status }
  if (statements.length > MAX_WELCOME_STATEMENTS || contacts.length > MAX_CONTACTS)
    throw new ProtocolViolationError('oversize-welcome', 'more than a welcome holds')
  if (networkKey.length !== 0 && networkKey.length !== NETWORK_KEY_BYTES)
    throw new ProtocolViolationError('bad-network-key', 'a network key of another size')
  return {
    status,
    welcome: {
      statements: statements.map((statement) => verifyStatement(swarm, statement)),
      contacts: contacts.map(addressOf),
      ...(networkKey.length === 0 ? {} : { networkKey }),
    },
  }
}
