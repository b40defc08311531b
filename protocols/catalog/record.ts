import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { Signer } from '../shared/ed25519.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import {
  ID_BYTES,
  MAX_BATCH_BYTES,
  MAX_BATCH_RECORDS,
  MAX_LIFETIME_MS,
  MAX_PAYLOAD_BYTES,
  MAX_RECORD_BYTES,
  MAX_WITHDRAWN,
} from './limits.ts'
import {
  BatchSchema,
  type Entry as EntryMessage,
  EntrySchema,
  RecordSchema,
  SignedSchema,
  WithdrawalSchema,
} from './messages_pb.ts'
import { parsed, wholeNumber } from '../shared/parsed.ts'
import { checkKey, checkSizes, idOf, isSigned, sign } from './signed.ts'
import { entryProblem } from './text.ts'
import {
  type CatalogRecord,
  ENTRY_KINDS,
  type Entry,
  type EntryKind,
  type RecordBody,
  type RecordFields,
  type SignedBytes,
} from './types.ts'

/** Signs a record whose entry `entryProblem` has found nothing wrong with. @throws ProtocolViolationError for numbers out of bounds */
export function signRecord(
  signer: Signer,
  networkName: string,
  fields: RecordFields & RecordBody,
): CatalogRecord {
  const { sequence, previous, atMs, untilMs, entry, withdraws } = fields
  const message = create(RecordSchema, {
    publisher: signer.publicKey,
    sequence: BigInt(sequence),
    previous: previous ?? new Uint8Array(0),
    atMs: BigInt(atMs),
    untilMs: BigInt(untilMs),
    body:
      entry === undefined
        ? {
            case: 'withdrawal',
            value: create(WithdrawalSchema, { sequences: withdraws.map(BigInt) }),
          }
        : { case: 'entry', value: encodeEntry(entry) },
  })
  // Read again: what this node publishes is what others will see, or nothing.
  return decodeRecord(sign(signer, 'record', networkName, toBinary(RecordSchema, message)))
}

/**
 * Reads what a record says; who signed it is another question (`isRecordSigned`), which costs more.
 *
 * @throws ProtocolViolationError
 */
export function decodeRecord(signed: SignedBytes): CatalogRecord {
  checkSizes(signed, MAX_PAYLOAD_BYTES)
  const message = parsed(() => fromBinary(RecordSchema, signed.payload, { readUnknownFields: false }))
  checkKey(message.publisher)
  const sequence = wholeNumber(message.sequence)
  const atMs = wholeNumber(message.atMs)
  const untilMs = wholeNumber(message.untilMs)
  if (sequence === 0) throw new ProtocolViolationError('bad-sequence', 'a record without a number')
  if (message.previous.length !== (sequence === 1 ? 0 : ID_BYTES))
    throw new ProtocolViolationError('bad-previous', 'a record that follows nothing')
  if (untilMs <= atMs || untilMs - atMs > MAX_LIFETIME_MS)
    throw new ProtocolViolationError('bad-lifetime', 'a record that ends before it begins, or too late')
  return {
    publisher: message.publisher,
    sequence,
    previous: sequence === 1 ? undefined : message.previous,
    atMs,
    untilMs,
    ...decodeBody(message.body, sequence),
    id: idOf(signed.payload),
    signed: { payload: signed.payload, signature: signed.signature },
  }
}

/** Whether the publisher that it names has signed it in this network. */
export function isRecordSigned(record: CatalogRecord, networkName: string): boolean {
  return isSigned(record.publisher, 'record', networkName, record.signed)
}

/** A signed record as it travels one at a time. @throws ProtocolViolationError */
export function decodeSignedRecord(bytes: Uint8Array): CatalogRecord {
  if (bytes.length > MAX_RECORD_BYTES)
    throw new ProtocolViolationError('oversize-record', 'a record that is too long')
  return decodeRecord(parsed(() => fromBinary(SignedSchema, bytes, { readUnknownFields: false })))
}

/** Messages of gossip, as many as these records need, in their order. */
export function encodeBatches(records: readonly SignedBytes[]): Uint8Array[] {
  const batches: SignedBytes[][] = []
  let bytes = 0
  for (const signed of records) {
    const last = batches.at(-1)
    const size = signed.payload.length + signed.signature.length + MAX_RECORD_BYTES - MAX_PAYLOAD_BYTES
    if (last === undefined || last.length === MAX_BATCH_RECORDS || bytes + size > MAX_BATCH_BYTES) {
      batches.push([signed])
      bytes = size
    } else {
      last.push(signed)
      bytes += size
    }
  }
  return batches.map((batch) => toBinary(BatchSchema, create(BatchSchema, { records: batch })))
}

/** @throws ProtocolViolationError */
export function decodeBatch(bytes: Uint8Array): CatalogRecord[] {
  if (bytes.length > MAX_BATCH_BYTES)
    throw new ProtocolViolationError('oversize-batch', 'a message that is too long')
  const { records } = parsed(() => fromBinary(BatchSchema, bytes, { readUnknownFields: false }))
  if (records.length === 0 || records.length > MAX_BATCH_RECORDS)
    throw new ProtocolViolationError('bad-batch', 'no records, or too many')
  return records.map(decodeRecord)
}

function encodeEntry(entry: Entry): EntryMessage {
  return create(EntrySchema, {
    kind: ENTRY_KINDS[entry.kind],
    title: entry.title,
    description: entry.description,
    tags: [...entry.tags],
    mime: entry.mime,
    sizeBytes: BigInt(entry.sizeBytes ?? 0),
    address: entry.address,
  })
}

function decodeBody(
  body: { case: 'entry'; value: EntryMessage } | { case: string | undefined; value?: unknown },
  sequence: number,
): RecordBody {
  if (body.case === 'entry') return { entry: decodeEntry(body.value as EntryMessage) }
  if (body.case === 'withdrawal')
    return { withdraws: decodeWithdrawn((body.value as { sequences: bigint[] }).sequences, sequence) }
  throw new ProtocolViolationError('empty-record', 'a record that says nothing')
}

function decodeEntry(message: EntryMessage): Entry {
  const sizeBytes = wholeNumber(message.sizeBytes)
  const kinds = Object.entries(ENTRY_KINDS) as [EntryKind, number][]
  const entry: Entry = {
    kind: kinds.find(([, value]) => value === message.kind)?.[0] ?? 'other',
    title: message.title,
    description: message.description,
    tags: message.tags,
    mime: message.mime,
    sizeBytes: sizeBytes === 0 ? null : sizeBytes,
    address: message.address,
  }
  const problem = entryProblem(entry)
  if (problem !== undefined) throw new ProtocolViolationError('bad-entry', problem)
  return entry
}

function decodeWithdrawn(sequences: readonly bigint[], own: number): number[] {
  if (sequences.length === 0 || sequences.length > MAX_WITHDRAWN)
    throw new ProtocolViolationError('bad-withdrawal', 'nothing is withdrawn, or too much at once')
  const numbers = sequences.map((sequence) => wholeNumber(sequence))
  const isAscending = numbers.every((number, index) => number > (numbers[index - 1] ?? 0))
  if (!isAscending || (numbers.at(-1) ?? 0) >= own)
    throw new ProtocolViolationError('bad-withdrawal', 'not earlier numbers in ascending order')
  return numbers
}
