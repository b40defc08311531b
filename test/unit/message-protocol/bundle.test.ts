import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeBundle, encodeBundle, MAX_BUNDLE_PAYLOADS } from '../../../protocols/message/index.ts'
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'

const file = new URL('../../../protocols/message/vectors/bundle.json', import.meta.url)
const vectors = JSON.parse(await readFile(file, 'utf8')) as {
  bundles: { sequence: string; timeMs: number; payloads: string[]; bytes: string }[]
  refused: Record<string, string>
}
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

describe('bundles on the wire', () => {
  it.each(vectors.bundles)('are as the vectors say: $bytes', ({ sequence, timeMs, payloads, bytes }) => {
    const bundle = { sequence: BigInt(sequence), timeMs, payloads: payloads.map(hex) }
    expect(Buffer.from(encodeBundle(bundle)).toString('hex')).toBe(bytes)
    expect(decodeBundle(hex(bytes))).toEqual(bundle)
  })

  it.each(Object.entries(vectors.refused))('are refused: %s', (_, bytes) => {
    expect(() => decodeBundle(hex(bytes))).toThrow(ProtocolViolationError)
  })

  it('come out as they went in, up to their bound, and are refused over it', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.nat(Number.MAX_SAFE_INTEGER),
        fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: MAX_BUNDLE_PAYLOADS }),
        (sequence, timeMs, payloads) => {
          const bundle = { sequence, timeMs, payloads }
          expect(decodeBundle(encodeBundle(bundle))).toEqual(bundle)
        },
      ),
    )
    const payloads = Array.from({ length: MAX_BUNDLE_PAYLOADS + 1 }, () => new Uint8Array(1))
    expect(() => decodeBundle(encodeBundle({ sequence: 1n, timeMs: 1, payloads }))).toThrow(
      ProtocolViolationError,
    )
  })

  it('are either read or refused as a violation, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeBundle(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolViolationError)
        }
      }),
    )
  })
})
