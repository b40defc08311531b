import { P2pnodeError } from '../../../protocols/shared/errors.ts'

/** Longest piece of a wrong name that a message repeats. */
const MAX_SHOWN_CHARACTERS = 120

const shown = (text: string): string =>
  text.length <= MAX_SHOWN_CHARACTERS ? text : `${text.slice(0, MAX_SHOWN_CHARACTERS)}…`

export const nameInvalid = (name: string, reason: string): P2pnodeError =>
  new P2pnodeError('ERR_NAME_INVALID', 'usage', `"${shown(name)}" is not a name: ${reason}`, {
    details: { name: shown(name) },
  })

export const nameNotFound = (name: string, reason: string): P2pnodeError =>
  new P2pnodeError('ERR_NAME_NOT_FOUND', 'not-found', `/ipns/${shown(name)} leads nowhere: ${reason}`, {
    details: { name: shown(name) },
  })

export const nameLoop = (name: string, reason: string): P2pnodeError =>
  new P2pnodeError('ERR_NAME_LOOP', 'failed', `/ipns/${shown(name)} ${reason}`, {
    details: { name: shown(name) },
  })

/** The record is good, but what it says leads to nothing that this node can read. */
export const targetInvalid = (name: string, value: string): P2pnodeError =>
  new P2pnodeError(
    'ERR_NAME_TARGET',
    'failed',
    `/ipns/${shown(name)} points at "${shown(value)}", which is neither /ipfs/CID nor a name`,
    { details: { name: shown(name), value: shown(value) } },
  )

export const namesBusy = (limit: number): P2pnodeError =>
  new P2pnodeError('ERR_NAMES_BUSY', 'busy', `${limit} names are being looked for already; try again`)

export const recordInvalid = (reason: string, cause?: unknown): P2pnodeError =>
  new P2pnodeError('ERR_RECORD_INVALID', 'verification', `the IPNS record is not valid: ${reason}`, { cause })

export const recordTooLarge = (sizeBytes: number, limitBytes: number): P2pnodeError =>
  new P2pnodeError(
    'ERR_RECORD_INVALID',
    'verification',
    `the IPNS record is not valid: it has ${sizeBytes} bytes where ${limitBytes} are allowed`,
    { details: { sizeBytes, limitBytes } },
  )

export const recordExpired = (validUntilMs: number): P2pnodeError =>
  new P2pnodeError(
    'ERR_RECORD_EXPIRED',
    'verification',
    `the IPNS record expired at ${new Date(validUntilMs).toISOString()}`,
    { details: { validUntilMs } },
  )

export const recordOutdated = (given: bigint, known: bigint): P2pnodeError =>
  new P2pnodeError(
    'ERR_RECORD_OUTDATED',
    'conflict',
    `the IPNS record has the number ${given}, and one with the number ${known} is known`,
    { details: { sequence: given.toString(), known: known.toString() } },
  )

export const tooManyRecords = (limit: number): P2pnodeError =>
  new P2pnodeError('ERR_TOO_MANY_RECORDS', 'conflict', `${limit} imported records are kept already`)

export const sequenceExhausted = (name: string): P2pnodeError =>
  new P2pnodeError(
    'ERR_SEQUENCE_EXHAUSTED',
    'failed',
    `/ipns/${name} has a record with the highest number there is: nothing can be published after it`,
    { details: { name } },
  )

export const lifetimeInvalid = (reason: string): P2pnodeError =>
  new P2pnodeError('ERR_LIFETIME_INVALID', 'usage', reason)

export const keyNotFound = (key: string): P2pnodeError =>
  new P2pnodeError(
    'ERR_KEY_NOT_FOUND',
    'not-found',
    `there is no key "${shown(key)}"; p2pnode name keys ls`,
    {
      details: { key: shown(key) },
    },
  )

export const keyExists = (key: string): P2pnodeError =>
  new P2pnodeError('ERR_KEY_EXISTS', 'conflict', `there is a key "${key}" already`, { details: { key } })

export const keyNameInvalid = (key: string, reason: string): P2pnodeError =>
  new P2pnodeError('ERR_KEY_NAME_INVALID', 'usage', `"${shown(key)}": ${reason}`, {
    details: { key: shown(key) },
  })

export const tooManyKeys = (limit: number): P2pnodeError =>
  new P2pnodeError('ERR_TOO_MANY_KEYS', 'conflict', `there are ${limit} keys; remove one first`)

/** Keys are sealed under the identity: another identity cannot open them. */
export const keyUnreadable = (cause?: unknown): P2pnodeError =>
  new P2pnodeError(
    'ERR_KEY_UNREADABLE',
    'failed',
    'the key cannot be opened: it was sealed under another identity, or state.db was altered',
    { cause },
  )
