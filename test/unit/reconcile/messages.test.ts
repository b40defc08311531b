import { readFile } from 'node:fs/promises'
import { createCipheriv } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  type RequestBody,
} from '../../../protocols/reconcile/messages.ts'
import { packTags, View } from '../../../protocols/reconcile/view.ts'
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'

const file = new URL('../../../protocols/reconcile/vectors/session.json', import.meta.url)
const vectors = JSON.parse(await readFile(file, 'utf8')) as {
  key: string
  ids: string[]
  tags: string[]
  fingerprint: string
  requests: Record<string, string>
  answers: Record<string, { asked: string; bytes: string }>
}
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex')
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex')
const requestOf = (name: string): RequestBody => decodeRequest(bytes(vectors.requests[name]!)).body
const nothing = new Uint8Array(0)

describe('messages that compare sets', () => {
  it.each(Object.entries(vectors.requests))('are as the vectors say: %s', (_, request) => {
    expect(hex(encodeRequest(decodeRequest(bytes(request))))).toBe(request)
  })

  it.each(Object.entries(vectors.answers))('are as the vectors say: %s', (_, { asked, bytes: answer }) => {
    expect(hex(encodeAnswer(decodeAnswer(bytes(answer), requestOf(asked))))).toBe(answer)
  })

  it('carry tags and fingerprints that anybody can compute', async () => {
    const key = bytes(vectors.key)
    const view = await View.of({ ids: bytes(vectors.ids.join('')), count: vectors.ids.length }, key)
    expect(view.tags(0, 4).map((tag) => hex(packTags([tag])))).toEqual(vectors.tags)
    expect(hex(packTags([view.fingerprint(0, 4)]))).toBe(vectors.fingerprint)
    // As the standard has it, one id at a time.
    for (const [index, id] of vectors.ids.entries()) {
      const mac = createCipheriv('aes-128-cbc', key, Buffer.alloc(16)).update(bytes(id)).subarray(16)
      expect(hex(mac.subarray(0, 8))).toBe(vectors.tags[index])
    }
  })

  it('name what they answer', () => {
    const asked: RequestBody = {
      kind: 'compare',
      cuts: [{ start: nothing, end: nothing, bounds: [bytes('80')], fingerprints: [1n, 2n] }],
    }
    const answers: [string, Parameters<typeof encodeAnswer>[0]['body']][] = [
      ['another question', { kind: 'entries', entries: [bytes('61')] }],
      ['no part', { kind: 'compared', parts: 0, differences: [] }],
      ['more parts than asked', { kind: 'compared', parts: 3, differences: [] }],
      [
        'a part that was not looked at',
        {
          kind: 'compared',
          parts: 1,
          differences: [{ part: 1, kind: 'tags', firstRank: 0, tags: [] }],
        },
      ],
      [
        'a part twice',
        {
          kind: 'compared',
          parts: 2,
          differences: [0, 0].map((part) => ({ part, kind: 'tags', firstRank: 0, tags: [] })),
        },
      ],
      [
        'a bound outside of the part',
        {
          kind: 'compared',
          parts: 2,
          differences: [{ part: 0, kind: 'cut', bounds: [bytes('90')], fingerprints: [1n, 2n] }],
        },
      ],
      [
        'a part in one',
        {
          kind: 'compared',
          parts: 2,
          differences: [{ part: 0, kind: 'cut', bounds: [], fingerprints: [1n] }],
        },
      ],
      [
        'a part in too many',
        {
          kind: 'compared',
          parts: 2,
          differences: [
            {
              part: 0,
              kind: 'cut',
              bounds: Array.from({ length: 64 }, (_, index) => Buffer.from([index + 1])),
              fingerprints: Array.from({ length: 65 }, () => 1n),
            },
          ],
        },
      ],
    ]
    for (const [what, body] of answers)
      expect(() => decodeAnswer(encodeAnswer({ status: 0, body: body! }), asked), what).toThrow(
        ProtocolViolationError,
      )
    const fetch: RequestBody = { kind: 'fetch', ranks: [1] }
    expect(() =>
      decodeAnswer(encodeAnswer({ status: 0, body: { kind: 'entries', entries: [] } }), fetch),
    ).toThrow(ProtocolViolationError)
    const offer: RequestBody = { kind: 'offer', tags: [1n] }
    expect(() =>
      decodeAnswer(encodeAnswer({ status: 0, body: { kind: 'wanted', offers: [1] } }), offer),
    ).toThrow(ProtocolViolationError)
    const give: RequestBody = { kind: 'give', entries: [bytes('61')] }
    expect(() =>
      decodeAnswer(encodeAnswer({ status: 0, body: { kind: 'taken', verdicts: [] } }), give),
    ).toThrow(ProtocolViolationError)
    expect(decodeAnswer(encodeAnswer({ status: 8 }), give)).toEqual({ status: 8 })
  })

  it.each<[string, RequestBody]>([
    ['no parts', { kind: 'compare', cuts: [] }],
    ['bounds that do not ascend', cutOf({ bounds: [bytes('20'), bytes('10')], fingerprints: [1n, 2n, 3n] })],
    ['a bound above the end', cutOf({ end: bytes('10'), bounds: [bytes('20')], fingerprints: [1n, 2n] })],
    ['a range that is empty', cutOf({ start: bytes('10'), end: bytes('10'), fingerprints: [1n] })],
    ['a bound longer than an id', cutOf({ start: Buffer.alloc(33, 1), fingerprints: [1n] })],
    ['a fingerprint too few', cutOf({ bounds: [bytes('20')], fingerprints: [1n] })],
    ['a list in parts', cutOf({ bounds: [bytes('20')] })],
    [
      'too many parts',
      {
        kind: 'compare',
        cuts: Array.from({ length: 1_025 }, () => ({
          start: nothing,
          end: nothing,
          bounds: [],
          fingerprints: [],
        })),
      },
    ],
    ['no ranks', { kind: 'fetch', ranks: [] }],
    ['ranks that do not ascend', { kind: 'fetch', ranks: [2, 2] }],
    ['too many ranks', { kind: 'fetch', ranks: Array.from({ length: 257 }, (_, index) => index) }],
    ['no tags', { kind: 'offer', tags: [] }],
    ['too many tags', { kind: 'offer', tags: Array.from({ length: 1_025 }, () => 1n) }],
    ['no entries', { kind: 'give', entries: [] }],
    ['an empty entry', { kind: 'give', entries: [nothing] }],
  ])('are refused: %s', (_, body) => {
    expect(() => decodeRequest(encodeRequest({ body }))).toThrow(ProtocolViolationError)
  })

  it('are refused: a key of another length, a request that asks nothing', () => {
    const open = { set: 'x', key: new Uint8Array(15) }
    expect(() => decodeRequest(encodeRequest({ open, body: { kind: 'fetch', ranks: [1] } }))).toThrow(
      ProtocolViolationError,
    )
    expect(() => decodeRequest(nothing)).toThrow(ProtocolViolationError)
  })

  it('are either read or refused as a violation, whatever the bytes', () => {
    const whole = Object.values(vectors.requests).map((request) => bytes(request))
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(fc.constantFrom(...whole), fc.nat(), fc.nat(255)).map(([request, at, value]) => {
        const changed = Buffer.from(request)
        changed[at % changed.length] = value
        return changed
      }),
    )
    fc.assert(
      fc.property(any, fc.constantFrom(...Object.keys(vectors.requests)), (data, asked) => {
        for (const read of [() => decodeRequest(data), () => decodeAnswer(data, requestOf(asked))]) {
          try {
            read()
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolViolationError)
          }
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

function cutOf(cut: {
  start?: Uint8Array
  end?: Uint8Array
  bounds?: Uint8Array[]
  fingerprints?: bigint[]
}): RequestBody {
  return {
    kind: 'compare',
    cuts: [{ start: nothing, end: nothing, bounds: [], fingerprints: [], ...cut }],
  }
}
