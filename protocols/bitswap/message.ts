import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { CID } from 'multiformats/cid'
import { readVarint, varintLength } from '../shared/varint.ts'
import { parsed } from '../shared/parsed.ts'
import { MAX_CID_BYTES } from './limits.ts'

export interface WantEntry {
  cid: CID
  /** Greater ones first. */
  priority: number
  isCancel: boolean
  /** The block itself; else only whether it is there. */
  wantsBlock: boolean
  /** "Not here" is to be said too. */
  sendDontHave: boolean
}

export type MessagePart =
  | ({ kind: 'want' } & WantEntry)
  /** Which block it is nobody says: its hash does. */
  | { kind: 'block'; hashCode: number; bytes: Uint8Array }
  | { kind: 'presence'; cid: CID; isHeld: boolean }

/** Field numbers of message.proto of Bitswap 1.2.0. */
const FIELD = { wantlist: 1, block: 3, presence: 4 } as const
const ENTRY = { cid: 1, priority: 2, cancel: 3, wantType: 4, sendDontHave: 5 } as const
const WANT_HAVE = 1
const DO_NOT_HAVE = 1

/**
 * The parts of a message one after the other, so that one with 100 000 wants does not keep the event loop busy. Bytes of blocks
 * are views of the message. What is not understood is passed over: unknown fields, hashes and CIDs that are too long.
 *
 * @throws ProtocolViolationError `malformed-message`
 */
export function* messageParts(message: Uint8Array): Generator<MessagePart> {
  const parts = partsOf(message)
  for (;;) {
    const next = parsed(() => parts.next())
    if (next.done === true) return
    yield next.value
  }
}

function* partsOf(message: Uint8Array): Generator<MessagePart> {
  for (const [field, reader] of fields(message)) {
    if (field === FIELD.wantlist) yield* wantsOf(reader.bytes())
    else if (field === FIELD.block) yield* blockOf(reader.bytes())
    else if (field === FIELD.presence) yield* presenceOf(reader.bytes())
    else reader.bytes()
  }
}

function* wantsOf(wantlist: Uint8Array): Generator<MessagePart> {
  // `full` is not asked for: @helia/bitswap sets it on the last of several messages that are a list only together.
  for (const [field, reader] of fields(wantlist)) {
    const bytes = reader.bytes()
    if (field !== 1) continue
    const entry = { priority: 1, isCancel: false, wantsBlock: true, sendDontHave: false }
    let cid: CID | undefined
    for (const [name, value] of fields(bytes, VARINTS)) {
      if (name === ENTRY.cid) cid = cidOf(value.bytes())
      else if (name === ENTRY.priority) entry.priority = value.int32()
      else if (name === ENTRY.cancel) entry.isCancel = value.bool()
      else if (name === ENTRY.wantType) entry.wantsBlock = value.int32() !== WANT_HAVE
      else if (name === ENTRY.sendDontHave) entry.sendDontHave = value.bool()
    }
    if (cid !== undefined) yield { kind: 'want', cid, ...entry }
  }
}

function* blockOf(block: Uint8Array): Generator<MessagePart> {
  let hashCode: number | undefined
  let bytes: Uint8Array = new Uint8Array(0)
  for (const [field, reader] of fields(block)) {
    if (field === 1) hashCode = hashCodeOf(reader.bytes())
    else if (field === 2) bytes = reader.bytes()
    else reader.bytes()
  }
  if (hashCode !== undefined) yield { kind: 'block', hashCode, bytes }
}

function* presenceOf(presence: Uint8Array): Generator<MessagePart> {
  let cid: CID | undefined
  let isHeld = true
  for (const [field, reader] of fields(presence, new Set([2]))) {
    if (field === 1) cid = cidOf(reader.bytes())
    else if (field === 2) isHeld = reader.int32() !== DO_NOT_HAVE
  }
  if (cid !== undefined) yield { kind: 'presence', cid, isHeld }
}

const VARINTS: ReadonlySet<number> = new Set([
  ENTRY.priority,
  ENTRY.cancel,
  ENTRY.wantType,
  ENTRY.sendDontHave,
])
const NO_VARINTS: ReadonlySet<number> = new Set()

/** The fields whose values are of the kind that the caller reads: bytes, or numbers for those that it names. Others are passed over. */
function* fields(
  bytes: Uint8Array,
  varints: ReadonlySet<number> = NO_VARINTS,
): Generator<[number, BinaryReader]> {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    const expected = varints.has(field) ? WireType.Varint : WireType.LengthDelimited
    if (wireType !== expected) {
      reader.skip(wireType, field)
      continue
    }
    const before = reader.pos
    yield [field, reader]
    // A caller that knows nothing of this field has not read it.
    if (reader.pos === before) reader.skip(wireType, field)
  }
}

function cidOf(bytes: Uint8Array): CID | undefined {
  // A copy: a want is kept for longer than the message that it came in.
  return bytes.length > MAX_CID_BYTES ? undefined : CID.decode(bytes.slice())
}

/** A prefix is a CID without its digest: version, codec, and the hash's code and length. */
function hashCodeOf(prefix: Uint8Array): number | undefined {
  const numbers: number[] = []
  for (let at = 0; at < prefix.length && numbers.length < 4; ) {
    const read = readVarint(prefix, at)
    if (read === undefined) throw new RangeError('no varint')
    numbers.push(read.value)
    at = read.next
  }
  return numbers.length < 4 ? undefined : numbers[2]
}

/** A message ready to be sent: bytes as they lie, so that blocks are not copied. */
export interface EncodedMessage {
  parts: Uint8Array[]
  byteLength: number
}

/** Puts a message together, behind its length. */
export class MessageBuilder {
  readonly #parts: Uint8Array[] = []
  #byteLength = 0

  get byteLength(): number {
    return this.#byteLength
  }

  wants(entries: readonly WantEntry[]): void {
    const list = new BinaryWriter()
    for (const { cid, priority, isCancel, wantsBlock, sendDontHave } of entries) {
      list.tag(1, WireType.LengthDelimited).fork()
      list.tag(ENTRY.cid, WireType.LengthDelimited).bytes(cid.bytes)
      list.tag(ENTRY.priority, WireType.Varint).int32(priority)
      if (isCancel) list.tag(ENTRY.cancel, WireType.Varint).bool(true)
      if (!wantsBlock) list.tag(ENTRY.wantType, WireType.Varint).int32(WANT_HAVE)
      if (sendDontHave) list.tag(ENTRY.sendDontHave, WireType.Varint).bool(true)
      list.join()
    }
    this.#add(field(FIELD.wantlist, list.finish()))
  }

  presence(cid: CID, isHeld: boolean): void {
    const presence = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(cid.bytes)
    if (!isHeld) presence.tag(2, WireType.Varint).int32(DO_NOT_HAVE)
    this.#add(field(FIELD.presence, presence.finish()))
  }

  block(cid: CID, bytes: Uint8Array): void {
    const { code, digest } = cid.multihash
    const prefix = new BinaryWriter()
    for (const number of [cid.version, cid.code, code, digest.length]) prefix.uint32(number)
    const head = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(prefix.finish())
    head.tag(2, WireType.LengthDelimited).uint32(bytes.length)
    const headBytes = head.finish()
    const opening = new BinaryWriter().tag(FIELD.block, WireType.LengthDelimited)
    opening.uint32(headBytes.length + bytes.length)
    this.#add(opening.finish())
    this.#add(headBytes)
    this.#add(bytes)
  }

  finish(): EncodedMessage {
    const length = new BinaryWriter().uint32(this.#byteLength).finish()
    return { parts: [length, ...this.#parts], byteLength: varintLength(this.#byteLength) + this.#byteLength }
  }

  #add(bytes: Uint8Array): void {
    this.#parts.push(bytes)
    this.#byteLength += bytes.length
  }
}

function field(number: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish()
}
