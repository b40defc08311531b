import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { hash } from 'node:crypto'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES, type Signer, verifyEd25519 } from '../shared/ed25519.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_ADMIN_NUMBER, MAX_NAME_CHARACTERS, MAX_NUMBER, MAX_STATEMENT_BYTES } from './limits.ts'
import { StatementSchema } from './messages_pb.ts'
import { parsed, wholeNumber } from '../shared/parsed.ts'
import type { SignedStatement, Standing, Statement } from './types.ts'

const DOMAIN = 'p2pnode/swarm/1/statement\0'
const STANDINGS: Readonly<Record<Standing, number>> = { member: 1, admin: 2, out: 3 }

/** `domain ‖ swarm ‖ payload`: a statement holds in one swarm only. */
function signedInput(swarm: Uint8Array, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(DOMAIN), swarm, payload])
}

/** The caller has checked the name with `isName`. */
export function signStatement(
  swarm: Uint8Array,
  signer: Signer,
  statement: Omit<Statement, 'signer'>,
): SignedStatement {
  const whole: Statement = { ...statement, signer: signer.publicKey }
  const payload = toBinary(
    StatementSchema,
    create(StatementSchema, {
      subject: whole.subject,
      signer: whole.signer,
      standing: STANDINGS[whole.standing],
      number: BigInt(whole.number),
      under: BigInt(whole.under),
      timeMs: BigInt(whole.timeMs),
      name: whole.name,
    }),
  )
  return signed(whole, Buffer.concat([signer.sign(signedInput(swarm, payload)), payload]))
}

/**
 * Reads a statement and checks its signature; whether its signer may say so is for whoever knows the admins.
 *
 * @throws ProtocolViolationError `bad-size`, `malformed-message`, `bad-statement`, `bad-signature`
 */
export function verifyStatement(swarm: Uint8Array, bytes: Uint8Array): SignedStatement {
  const statement = decodeStatement(bytes)
  const payload = bytes.subarray(SIGNATURE_BYTES)
  if (!verifyEd25519(statement.signer, signedInput(swarm, payload), bytes.subarray(0, SIGNATURE_BYTES)))
    throw new ProtocolViolationError('bad-signature', 'a statement that its signer did not sign')
  const isOwner = Buffer.compare(statement.signer, swarm) === 0
  if (isOwner !== (statement.under === 0) || (!isOwner && !isForAdmins(statement)))
    throw new ProtocolViolationError('bad-statement', 'a statement that its signer may not make')
  return statement
}

/**
 * Whether an admin may say such a thing at all: nothing of itself, nobody an admin, and never with a number that leaves the owner
 * none above it. By the statement alone, so that everybody judges the same.
 */
export function isForAdmins({ subject, signer, standing, number }: Statement): boolean {
  return standing !== 'admin' && number <= MAX_ADMIN_NUMBER && Buffer.compare(subject, signer) !== 0
}

/**
 * Reads a statement of which it is known that its signature was checked before: a row of the own database.
 *
 * @throws ProtocolViolationError `bad-size`, `malformed-message`, `bad-statement`
 */
export function decodeStatement(bytes: Uint8Array): SignedStatement {
  if (bytes.length <= SIGNATURE_BYTES || bytes.length > MAX_STATEMENT_BYTES)
    throw new ProtocolViolationError('bad-size', 'a statement of the wrong size')
  const message = parsed(() => fromBinary(StatementSchema, bytes.subarray(SIGNATURE_BYTES)))
  const { subject, signer, name } = message
  const standing = (Object.keys(STANDINGS) as Standing[]).find(
    (known) => STANDINGS[known] === message.standing,
  )
  const number = wholeNumber(message.number, 'malformed-message')
  if (
    subject.length !== PUBLIC_KEY_BYTES ||
    signer.length !== PUBLIC_KEY_BYTES ||
    standing === undefined ||
    number === 0
  )
    throw new ProtocolViolationError('bad-statement', 'a statement without one of its parts')
  if (name !== '' && !isName(name)) throw new ProtocolViolationError('bad-statement', 'a name of no form')
  return signed(
    {
      subject,
      signer,
      standing,
      number,
      under: wholeNumber(message.under, 'malformed-message'),
      timeMs: wholeNumber(message.timeMs, 'malformed-message'),
      name,
    },
    bytes,
  )
}

/** Something that people can read and type: one line, no control characters. */
export function isName(name: string): boolean {
  return (
    name.length > 0 &&
    name.length <= MAX_NAME_CHARACTERS &&
    Buffer.byteLength(name) <= 4 * MAX_NAME_CHARACTERS &&
    name.isWellFormed() &&
    name.trim() === name &&
    !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)
  )
}

/** Whether there is a number left for one more statement, of the owner or of an admin. */
export function hasNumberAfter(number: number, speaker: 'owner' | 'admin'): boolean {
  return number < (speaker === 'owner' ? MAX_NUMBER : MAX_ADMIN_NUMBER)
}

function signed(statement: Statement, bytes: Uint8Array): SignedStatement {
  return { ...statement, bytes, id: hash('sha256', bytes, 'buffer') }
}
