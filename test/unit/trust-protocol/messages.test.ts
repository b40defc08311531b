import { generateKeyPair, privateKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  MAX_BUNDLE,
  MAX_BUNDLE_BYTES,
  MAX_PAGE,
  MAX_PAYLOAD_BYTES,
  MAX_REQUEST_BYTES,
  MAX_RESPONSE_BYTES,
  MAX_SUBJECTS,
} from '../../../protocols/trust/limits.ts'
import {
  decodeBundle,
  decodeRequest,
  decodeResponse,
  encodeBundle,
  encodeRequest,
  encodeResponse,
} from '../../../protocols/trust/messages.ts'
import {
  decodeRecommendation,
  signRecommendation,
  verifyRecommendation,
} from '../../../protocols/trust/statements.ts'
import type { Recommendation, SignedBytes } from '../../../protocols/trust/types.ts'
import vectors from '../../../protocols/trust/vectors/messages.json' with { type: 'json' }
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const joined = (parts: string[][]): string => parts.map(([part]) => part).join('')
const key = privateKeyFromRaw(Buffer.from(vectors.privateKey, 'hex'))
const by = peerIdFromPrivateKey(key)
const subject = peerIdFromString(vectors.subject)
const { message, payload, signature } = vectors.recommendation
const said: Recommendation = {
  by,
  subject,
  view: 'honesty',
  score: message.score,
  evidence: message.evidence,
  atMs: message.atMs,
  sequence: BigInt(message.sequence),
}
const signed: SignedBytes = {
  payload: Buffer.from(joined(payload), 'hex'),
  signature: Buffer.from(signature, 'hex'),
}

describe('vectors', () => {
  it('of a recommendation, which its peer has signed for one network', async () => {
    expect(by.toString()).toBe(vectors.by)
    const made = await signRecommendation(key, vectors.network, said)
    expect(hex(made.payload)).toBe(joined(payload))
    expect(hex(made.signature)).toBe(signature)
    const read = decodeRecommendation(signed)
    expect(read).toEqual({ ...said, signed })
    if (read === undefined) throw new Error('not read')
    await verifyRecommendation('main', read)
    await expect(verifyRecommendation('other', read)).rejects.toMatchObject({ rule: 'bad-signature' })
  })

  it('of requests, answers and bundles', () => {
    const { first, later, about, answer, bundle, refused } = vectors
    expect(hex(encodeRequest({ since: 0n, subjects: [] }))).toBe(joined(first.bytes))
    expect(hex(encodeRequest({ since: 300n, subjects: [] }))).toBe(joined(later.bytes))
    expect(hex(encodeRequest({ since: 0n, subjects: [subject] }))).toBe(joined(about.bytes))
    expect(decodeRequest(Buffer.from(joined(about.bytes), 'hex')).subjects.map(String)).toEqual([
      vectors.subject,
    ])
    const whole = answer.signedBefore + joined(payload) + answer.signatureBefore + signature
    const page = { status: 0, recommendations: [signed], next: BigInt(answer.next), more: answer.more }
    const bytes = answer.before + whole + joined(answer.after)
    expect(hex(encodeResponse(page))).toBe(bytes)
    expect(decodeResponse(Buffer.from(bytes, 'hex'))).toEqual({
      ...page,
      recommendations: [
        { payload: new Uint8Array(signed.payload), signature: new Uint8Array(signed.signature) },
      ],
    })
    expect(hex(encodeBundle([signed]))).toBe(bundle.before + whole)
    expect(decodeResponse(Buffer.from(joined(refused.bytes), 'hex')).status).toBe(3)
  })
})

describe('what is said', () => {
  const recommendation = fc.record({
    view: fc.constantFrom('honesty' as const, 'reliability' as const),
    score: fc.integer({ min: 0, max: 1_000_000 }).map((ppm) => ppm / 1_000_000),
    evidence: fc.integer({ min: 0, max: 1_000_000 }),
    atMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    sequence: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  })

  it('comes out as it went in, within its bound', async () => {
    await fc.assert(
      fc.asyncProperty(recommendation, async (fields) => {
        const made = await signRecommendation(key, 'main', { by, subject, ...fields })
        expect(made.payload.length).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES)
        expect(decodeRecommendation(made)).toMatchObject(fields)
      }),
      { numRuns: 50 },
    )
  })

  it('is nothing of itself, of no possible score, and of no view that is not known', async () => {
    const sign = async (changes: Partial<Recommendation>): Promise<SignedBytes> =>
      signRecommendation(key, 'main', { ...said, ...changes })
    const rule = (bytes: SignedBytes): string => {
      try {
        decodeRecommendation(bytes)
        return 'none'
      } catch (error) {
        return (error as ProtocolViolationError).rule
      }
    }
    expect(rule(await sign({ subject: by }))).toBe('own-praise')
    expect(rule(await sign({ score: 1.1 }))).toBe('out-of-range')
    expect(rule(await sign({ evidence: 1_000_001 }))).toBe('out-of-range')
    expect(rule({ ...signed, signature: new Uint8Array(63) })).toBe('bad-size')
    expect(rule({ ...signed, payload: new Uint8Array(0) })).toBe('bad-size')
    expect(rule({ ...signed, payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1) })).toBe('bad-size')
    // Field 3 (view) with the value 7, in front of what is there.
    const later = Buffer.concat([Buffer.from('1807', 'hex'), signed.payload])
    expect(decodeRecommendation({ ...signed, payload: later })).toBeUndefined()
  })

  it('is believed of nobody else: any byte that is changed ends it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: signed.payload.length + 63 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          const changed = {
            payload: Uint8Array.from(signed.payload),
            signature: Uint8Array.from(signed.signature),
          }
          const [bytes, index] =
            at < changed.payload.length
              ? [changed.payload, at]
              : [changed.signature, at - changed.payload.length]
          bytes[index] = (bytes[index] ?? 0) ^ flip
          const outcome = async (): Promise<string> => {
            const read = decodeRecommendation(changed)
            if (read === undefined) return 'left out'
            await verifyRecommendation('main', read)
            return 'believed'
          }
          await expect(
            outcome().catch((error: unknown) => {
              expect(error).toBeInstanceOf(ProtocolViolationError)
              return 'refused'
            }),
          ).resolves.not.toBe('believed')
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('decoders', () => {
  it('take any bytes, and throw nothing but violations', () => {
    const read = (work: () => unknown): void => {
      try {
        work()
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolViolationError)
      }
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 512 }), fc.uint8Array({ maxLength: 70 }), (bytes, other) => {
        read(() => decodeRequest(bytes))
        read(() => decodeResponse(bytes))
        read(() => decodeBundle(bytes))
        read(() => decodeRecommendation({ payload: bytes, signature: new Uint8Array(64) }))
        read(() => decodeRecommendation({ payload: signed.payload, signature: other }))
      }),
    )
  })

  it('keep the most that may be sent within its bytes, and refuse one more', async () => {
    const longest = await signRecommendation(await generateKeyPair('Ed25519'), 'main', {
      ...said,
      view: 'reliability',
      score: 1,
      evidence: 1_000_000,
      atMs: Number.MAX_SAFE_INTEGER,
      sequence: 2n ** 64n - 1n,
    })
    const times = (count: number): SignedBytes[] => Array.from({ length: count }, () => longest)
    const answer = { status: 9, next: 2n ** 64n - 1n, more: true }
    const full = encodeResponse({ ...answer, recommendations: times(MAX_PAGE) })
    expect(full.length).toBeLessThanOrEqual(MAX_RESPONSE_BYTES)
    expect(decodeResponse(full).recommendations).toHaveLength(MAX_PAGE)
    const over = encodeResponse({ ...answer, recommendations: times(MAX_PAGE + 1) })
    expect(() => decodeResponse(over)).toThrow(ProtocolViolationError)
    expect(encodeBundle(times(MAX_BUNDLE)).length).toBeLessThanOrEqual(MAX_BUNDLE_BYTES)
    expect(() => decodeBundle(encodeBundle(times(MAX_BUNDLE + 1)))).toThrow(ProtocolViolationError)
    expect(() => decodeBundle(new Uint8Array(0))).toThrow(ProtocolViolationError)
    const subjects = Array.from({ length: MAX_SUBJECTS }, () => subject)
    expect(encodeRequest({ since: 2n ** 64n - 1n, subjects }).length).toBeLessThanOrEqual(MAX_REQUEST_BYTES)
    expect(() => decodeRequest(encodeRequest({ since: 0n, subjects: [...subjects, subject] }))).toThrow(
      ProtocolViolationError,
    )
  })
})
