import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { NOT_SHOWN } from '../shared/not-shown.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_ANNOUNCEMENT_BYTES, MAX_NAME_BYTES } from './limits.ts'
import { AnnouncementSchema } from './messages_pb.ts'
import { decodeCid } from '../shared/parse-ids.ts'
import { parsed, wholeNumber } from '../shared/parsed.ts'
import { type AnnouncedKind, type Announcement, KINDS } from './types.ts'

/** A name is cut to what may be told, at a whole character. */
export function encodeAnnouncement({ cid, name, sizeBytes, kind, atMs }: Announcement): Uint8Array {
  const message = create(AnnouncementSchema, {
    cid: cid.bytes,
    name: tellable(name),
    sizeBytes: BigInt(sizeBytes ?? 0),
    kind: KINDS[kind],
    atMs: BigInt(atMs),
  })
  return toBinary(AnnouncementSchema, message)
}

/** @throws ProtocolViolationError */
export function decodeAnnouncement(bytes: Uint8Array): Announcement {
  if (bytes.length > MAX_ANNOUNCEMENT_BYTES) {
    throw new ProtocolViolationError('oversize-announcement', 'an announcement that is too long')
  }
  const message = parsed(() => fromBinary(AnnouncementSchema, bytes, { readUnknownFields: false }))
  if (Buffer.byteLength(message.name) > MAX_NAME_BYTES || NOT_SHOWN.test(message.name)) {
    throw new ProtocolViolationError('bad-name', 'a name that is too long, or has control characters')
  }
  const sizeBytes = wholeNumber(message.sizeBytes)
  const kinds = Object.entries(KINDS) as [AnnouncedKind, number][]
  return {
    cid: decodeCid(message.cid),
    name: message.name,
    sizeBytes: sizeBytes === 0 ? null : sizeBytes,
    kind: kinds.find(([, value]) => value === message.kind)?.[0] ?? 'other',
    atMs: wholeNumber(message.atMs),
  }
}

function tellable(name: string): string {
  const plain = name.toWellFormed().replaceAll(new RegExp(NOT_SHOWN, 'gu'), ' ')
  let told = ''
  let bytes = 0
  for (const character of plain) {
    bytes += Buffer.byteLength(character)
    if (bytes > MAX_NAME_BYTES) break
    told += character
  }
  return told
}
