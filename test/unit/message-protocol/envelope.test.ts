import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeEnvelope,
  decodeReceipt,
  encodeEnvelope,
  encodeReceipt,
  isTopic,
} from '../../../protocols/message/envelope.ts'
import { MAX_PAYLOAD_BYTES } from '../../../protocols/message/limits.ts'
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'

interface Vector {
  topic: string
  sequence: string
  timeMs: number
  payload: string
  bytes: string
}

const file = new URL('../../../protocols/message/vectors/envelope.json', import.meta.url)
const vectors = JSON.parse(await readFile(file, 'utf8')) as {
  envelopes: Vector[]
  refused: Record<string, string>
}
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

describe('messages on the wire', () => {
  it.each(vectors.envelopes)(
    'are as the vectors say: $topic',
    ({ topic, sequence, timeMs, payload, bytes }) => {
      const envelope = { topic, sequence: BigInt(sequence), timeMs, payload: hex(payload) }
      expect(Buffer.from(encodeEnvelope(envelope)).toString('hex')).toBe(bytes)
      expect(decodeEnvelope(hex(bytes))).toEqual(envelope)
    },
  )

  it.each(Object.entries(vectors.refused))('are refused: %s', (_, bytes) => {
    expect(() => decodeEnvelope(hex(bytes))).toThrow(ProtocolViolationError)
  })

  it('come out as they went in', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(isTopic),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.nat(Number.MAX_SAFE_INTEGER),
        fc.uint8Array({ maxLength: 300 }),
        (topic, sequence, timeMs, payload) => {
          const envelope = { topic, sequence, timeMs, payload }
          expect(decodeEnvelope(encodeEnvelope(envelope))).toEqual(envelope)
        },
      ),
    )
  })

  it('are either read or refused as a violation, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        for (const decode of [decodeEnvelope, decodeReceipt]) {
          try {
            decode(bytes)
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolViolationError)
          }
        }
      }),
    )
  })

  it('have a bound', () => {
    const of = (bytes: number): Uint8Array =>
      encodeEnvelope({ topic: 'a', sequence: 1n, timeMs: 1, payload: new Uint8Array(bytes) })
    expect(decodeEnvelope(of(MAX_PAYLOAD_BYTES)).payload).toHaveLength(MAX_PAYLOAD_BYTES)
    expect(() => decodeEnvelope(of(MAX_PAYLOAD_BYTES + 1))).toThrow(ProtocolViolationError)
  })

  it('have topics of one line', () => {
    for (const topic of ['', 'a\nb', 'a\0', '\u0085', 'x'.repeat(129), '\ud800', '😀'.repeat(65)])
      expect(isTopic(topic), JSON.stringify(topic)).toBe(false)
    for (const topic of ['a', 'weather/Köln', 'x'.repeat(128), '😀'.repeat(64)])
      expect(isTopic(topic)).toBe(true)
  })

  it('have receipts whose numbers are kept', () => {
    for (const status of [0, 3, 7, 8, 200]) {
      const receipt = { status, sequence: 2n ** 64n - 1n }
      expect(decodeReceipt(encodeReceipt(receipt))).toEqual(receipt)
    }
  })
})
