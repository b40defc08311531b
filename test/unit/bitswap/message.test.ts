import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { describe, expect, it } from 'vitest'
import { MAX_CID_BYTES, MAX_MESSAGE_BYTES } from '../../../protocols/bitswap/limits.ts'
import { MessageBuilder, type MessagePart, messageParts } from '../../../protocols/bitswap/message.ts'
import { MessageReader } from '../../../protocols/bitswap/message-reader.ts'
import { keyOfBlock } from '../../../protocols/bitswap/verify.ts'
import { multihashKey } from '../../../protocols/bitswap/ledger.ts'
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'
import { joined } from '../../support/bitswap.ts'
import { rawCid } from '../../support/content-protocol.ts'

interface Vectors {
  vectors: { name: string; parts: Record<string, unknown>[]; frame: [string, string][]; isReadOnly?: true }[]
}
const { vectors } = JSON.parse(
  readFileSync(new URL('../../../protocols/bitswap/vectors/messages.json', import.meta.url), 'utf8'),
) as Vectors

const framesOf = (bytes: Uint8Array): Uint8Array[] => [...new MessageReader().push(bytes)]
const partsOf = (bytes: Uint8Array): MessagePart[] =>
  framesOf(bytes).flatMap((message) => [...messageParts(message)])

/** A part as a vector holds it. */
function written(part: MessagePart): Record<string, unknown> {
  if (part.kind === 'block') return { ...part, bytes: Buffer.from(part.bytes).toString('hex') }
  return { ...part, cid: part.cid.toString() }
}

const arbitraryCid = fc.oneof(
  fc.uint8Array({ maxLength: 64 }).map(rawCid),
  fc
    .uint8Array({ maxLength: 64 })
    .map((bytes) => CID.createV0(Digest.create(0x12, createHash('sha256').update(bytes).digest()))),
)
const arbitraryWant = fc.record({
  cid: arbitraryCid,
  priority: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  isCancel: fc.boolean(),
  wantsBlock: fc.boolean(),
  sendDontHave: fc.boolean(),
})

describe('a message of Bitswap', () => {
  it.each(vectors)('$name has these bytes', ({ parts, frame, isReadOnly }) => {
    const bytes = Buffer.from(frame.map(([hex]) => hex).join(''), 'hex')
    expect(partsOf(bytes).map(written)).toEqual(parts)
    const message = new MessageBuilder()
    const read = partsOf(bytes)
    const wants = read.filter((part) => part.kind === 'want')
    if (wants.length > 0) message.wants(wants)
    for (const part of read) {
      if (part.kind === 'presence') message.presence(part.cid, part.isHeld)
      // Vectors hold one block: its CID is made of what the message says.
      if (part.kind === 'block') message.block(rawCid(part.bytes), part.bytes)
    }
    if (isReadOnly !== true) expect(Buffer.from(joined(message.finish()))).toEqual(bytes)
  })

  it('says what it was built of', () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryWant, { maxLength: 20 }),
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
        fc.array(fc.tuple(arbitraryCid, fc.boolean()), { maxLength: 5 }),
        (wants, blocks, presences) => {
          const message = new MessageBuilder()
          message.wants(wants)
          for (const bytes of blocks) message.block(rawCid(bytes), bytes)
          for (const [cid, isHeld] of presences) message.presence(cid, isHeld)
          const encoded = message.finish()
          expect(joined(encoded).length).toBe(encoded.byteLength)
          const expected = [
            ...wants.map((want) => ({ kind: 'want' as const, ...want })),
            ...blocks.map((bytes) => ({ kind: 'block' as const, hashCode: 0x12, bytes })),
            ...presences.map(([cid, isHeld]) => ({ kind: 'presence' as const, cid, isHeld })),
          ]
          expect(partsOf(joined(encoded)).map(written)).toEqual(expected.map(written))
        },
      ),
    )
  })

  it('is read the same however its bytes are cut', () => {
    const message = new MessageBuilder()
    message.wants([1, 2, 3].map((byte) => ({ ...want(rawCid(Uint8Array.of(byte))) })))
    const one = joined(message.finish())
    const two = Buffer.concat([one, one])
    fc.assert(
      fc.property(fc.array(fc.nat(two.length)), (cuts) => {
        const reader = new MessageReader()
        const at = [0, ...cuts.toSorted((a, b) => a - b), two.length]
        const frames = at.flatMap((from, index) => [...reader.push(two.subarray(from, at[index + 1]))])
        expect(frames.map((bytes) => Buffer.from(bytes))).toEqual(framesOf(two).map((b) => Buffer.from(b)))
        expect(reader.bufferedBytes).toBe(0)
      }),
    )
  })

  it('may be any garbage, which is a violation or passed over', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          for (const part of messageParts(bytes)) expect(['want', 'block', 'presence']).toContain(part.kind)
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolViolationError)
        }
      }),
    )
  })

  it('may be a broken one', () => {
    const message = new MessageBuilder()
    message.wants([want(rawCid(Uint8Array.of(1)))])
    message.block(rawCid(Uint8Array.of(2)), Uint8Array.of(2))
    const whole = framesOf(joined(message.finish()))[0]!
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const broken = whole.slice()
        broken[at] = broken[at]! ^ change
        try {
          for (const _ of messageParts(broken)) continue
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolViolationError)
        }
      }),
    )
  })

  it('is refused over its bound before it is there, and with a length that no message has', () => {
    const over = Uint8Array.of(0x81, 0x80, 0x80, 0x02)
    expect(() => framesOf(over)).toThrow(expect.objectContaining({ rule: 'oversize-message' }))
    expect(() => framesOf(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x01))).toThrow(ProtocolViolationError)
    // The largest is only waited for.
    const reader = new MessageReader()
    expect([...reader.push(Uint8Array.of(0x80, 0x80, 0x80, 0x02))]).toEqual([])
    expect(MAX_MESSAGE_BYTES).toBe(0x02 * 2 ** 21)
    expect(framesOf(Uint8Array.of(0))).toEqual([])
  })

  it('passes over CIDs that carry their block in themselves', () => {
    const inline = CID.createV1(0x55, Digest.create(0x00, new Uint8Array(MAX_CID_BYTES)))
    const message = new MessageBuilder()
    message.wants([want(inline), want(rawCid(Uint8Array.of(1)))])
    expect(partsOf(joined(message.finish()))).toHaveLength(1)
  })

  it('names its blocks by their hash, and none of a hash that is not known here', () => {
    const bytes = Buffer.from('a block')
    expect(keyOfBlock(0x12, bytes)).toBe(multihashKey(rawCid(bytes).multihash.bytes))
    expect(keyOfBlock(0x1e, bytes)).toBeUndefined()
    expect(keyOfBlock(0x12, new Uint8Array(2 * 1024 * 1024 + 1))).toBeUndefined()
  })
})

function want(cid: CID) {
  return { cid, priority: 1, isCancel: false, wantsBlock: true, sendDontHave: false }
}
