import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contentHeaders, matchesEntityTag, rangeAsked } from '../../../src/api/range.ts'

const TAG = '"bafy"'
const asked = (range: string | undefined, size: number, more: Record<string, string> = {}) =>
  rangeAsked({ ...(range === undefined ? {} : { range }), ...more }, size, TAG)

/** Whether the header is refused as it must be, or chooses bytes that exist. */
function isSound(header: string, size: number): boolean {
  try {
    const range = asked(header, size)
    return range === undefined || (range.start >= 0 && range.end >= range.start && range.end < size)
  } catch (error) {
    return (error as { code: unknown }).code === 'ERR_RANGE'
  }
}

describe('a Range header', () => {
  it.each([
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=0-', { start: 0, end: 9 }],
    ['bytes=3-5', { start: 3, end: 5 }],
    ['bytes=3-500', { start: 3, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-500', { start: 0, end: 9 }],
    ['BYTES=9-9', { start: 9, end: 9 }],
  ])('%s of ten bytes', (header, range) => {
    expect(asked(header, 10)).toEqual(range)
  })

  it.each([
    undefined,
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=5-3',
    'bytes=a-b',
    'bytes=0-1,3-4',
    'items=0-1',
    'bytes=0-1x',
    'bytes=1-99999999999999999999',
  ])('%s is ignored', (header) => {
    expect(asked(header, 10)).toBeUndefined()
  })

  it.each(['bytes=10-', 'bytes=10-20', 'bytes=-0'])('%s of ten bytes is not satisfiable', (header) => {
    expect(() => asked(header, 10)).toThrow(
      expect.objectContaining({ status: 416, headers: { 'content-range': 'bytes */10' } }),
    )
  })

  it('is never satisfiable for no bytes', () => {
    expect(() => asked('bytes=0-', 0)).toThrow(expect.objectContaining({ status: 416 }))
    expect(() => asked('bytes=-1', 0)).toThrow(expect.objectContaining({ status: 416 }))
  })

  it('is ignored where If-Range names other content', () => {
    expect(asked('bytes=0-0', 10, { 'if-range': '"other"' })).toBeUndefined()
    expect(asked('bytes=0-0', 10, { 'if-range': `W/${TAG}` })).toBeUndefined()
    expect(asked('bytes=0-0', 10, { 'if-range': TAG })).toEqual({ start: 0, end: 0 })
  })

  it('chooses bytes that exist, whatever it says', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 1000 }),
        (text, from, to, size) => {
          for (const header of [text, `bytes=${text}`, `bytes=${from}-${to}`, `bytes=-${to}`]) {
            expect(isSound(header, size)).toBe(true)
          }
        },
      ),
    )
  })
})

describe('If-None-Match', () => {
  it.each([TAG, `W/${TAG}`, '*', `"other", ${TAG}`])('%s matches', (header) => {
    expect(matchesEntityTag(header, TAG)).toBe(true)
  })
  it.each([undefined, '"other"', 'bafy'])('%s does not match', (header) => {
    expect(matchesEntityTag(header, TAG)).toBe(false)
  })
})

/** Any UTF-16, lone surrogates included. */
const names = fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units))

describe('the name of a download', () => {
  it('is always a header that can be sent, and holds the exact name', () => {
    fc.assert(
      fc.property(names, (name) => {
        const header = contentHeaders(name)['content-disposition'] ?? ''
        expect(header).toMatch(/^attachment; filename="[\x20-\x7e]*"; filename\*=UTF-8''[\w%.~!*-]*$/)
        const exact = /UTF-8''(.*)$/.exec(header)?.[1] ?? ''
        expect(decodeURIComponent(exact)).toBe(name.toWellFormed())
      }),
    )
  })

  it('cannot leave its quotes or its folder', () => {
    expect(contentHeaders('a"b\r\nc/../d')['content-disposition']).toMatch(/filename="a_b__c_.._d"/)
  })
})
