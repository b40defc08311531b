import {
  HASH_BYTES,
  MAX_COLUMNS,
  MAX_SEGMENTS,
  MAX_STATEMENT_PAYLOAD_BYTES,
  SIGNATURE_BYTES,
} from './format/limits.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import type { SignedBytes } from './types.ts'

/** Checks of single fields, in both directions. Each throws ProtocolViolationError. */

export function malformed(what: string): ProtocolViolationError {
  return new ProtocolViolationError('malformed-message', `a message with ${what}`)
}

export function hashField(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== HASH_BYTES) throw malformed('an id or a hash that is not 32 bytes')
  return bytes
}

export function columnField(column: number): number {
  if (column >= MAX_COLUMNS) throw malformed('a column beyond the last that there can be')
  return column
}

export function segmentField(segment: number): number {
  if (segment >= MAX_SEGMENTS) throw malformed('a segment beyond the last that there can be')
  return segment
}

/** A lease, a deletion or a receipt; what it says and who signed it is checked by whoever takes it. */
export function signedField(signed: SignedBytes | undefined): SignedBytes {
  if (signed === undefined) throw malformed('a statement left out')
  const { payload, signature } = signed
  const isBounded =
    payload.length > 0 &&
    payload.length <= MAX_STATEMENT_PAYLOAD_BYTES &&
    signature.length === SIGNATURE_BYTES
  if (!isBounded) throw malformed('a statement of the wrong size')
  return { payload, signature }
}

export function bounded<T>(list: T[], most: number): T[] {
  if (list.length > most) throw new ProtocolViolationError('oversize-list', 'more than a message may have')
  return list
}

export function textField(text: string, most: number): string {
  if (text.length === 0 || text.length > most) throw malformed('a text that is empty or too long')
  return text
}

/** Counters and times beyond 2^53 are nobody's: the largest number that can be counted stands for them. */
export function countField(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)
}
