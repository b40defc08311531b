import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatDuration,
  formatRate,
  formatSize,
  parseDuration,
  parseRate,
  parseSize,
} from '../../../config/units.ts'

const quantity = fc.maxSafeNat()

describe('durations, sizes and rates', () => {
  it.each([
    ['5s', 5000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
    ['250ms', 250],
    ['0', 0],
  ])('reads %s as %d ms', (text, durationMs) => expect(parseDuration(text)).toBe(durationMs))

  it.each([
    ['512B', 512],
    ['64KiB', 65_536],
    ['10GiB', 10 * 1024 ** 3],
    ['3TiB', 3 * 1024 ** 4],
    ['0', 0],
  ])('reads %s as %d bytes', (text, sizeBytes) => expect(parseSize(text)).toBe(sizeBytes))

  it('reads rates a second, and none', () => {
    expect(parseRate('20MiB/s')).toBe(20 * 1024 ** 2)
    expect(parseRate('unlimited')).toBe(Number.POSITIVE_INFINITY)
  })

  it.each([
    '',
    '5',
    '-5s',
    '1.5h',
    '5 s',
    's',
    '5S',
    '5sec',
    '1h30m',
    ' 5s',
    '5s\n',
    '９s',
    '9007199254740993s',
    'Infinity',
  ])('refuses %j as a duration', (text) => expect(parseDuration(text)).toBeUndefined())

  it.each(['10GB', '10gib', '10', '1e3KiB', '0x10B', '99999999999999999999B', '8192PiB', '10GiB/s'])(
    'refuses %j as a size',
    (text) => expect(parseSize(text)).toBeUndefined(),
  )

  it.each(['20MiB', '20MiB/m', '20MiBs', '/s', '0/s', 'Unlimited'])('refuses %j as a rate', (text) =>
    expect(parseRate(text)).toBeUndefined(),
  )

  it('gives back the number that was printed', () => {
    fc.assert(
      fc.property(quantity, (value) => {
        expect(parseDuration(formatDuration(value))).toBe(value)
        expect(parseSize(formatSize(value))).toBe(value)
        expect(parseRate(formatRate(value))).toBe(value)
      }),
    )
    expect(parseRate(formatRate(Number.POSITIVE_INFINITY))).toBe(Number.POSITIVE_INFINITY)
  })

  it('prints what was read in one canonical form', () => {
    const written = fc
      .tuple(fc.nat(100_000), fc.constantFrom('ms', 's', 'm', 'h', 'd'))
      .map(([n, unit]) => `${n}${unit}`)
    fc.assert(
      fc.property(written, (text) => {
        const printed = formatDuration(parseDuration(text) as number)
        expect(parseDuration(printed)).toBe(parseDuration(text))
        expect(formatDuration(parseDuration(printed) as number)).toBe(printed)
        expect(printed.length).toBeLessThanOrEqual(text.length + 1)
      }),
    )
  })

  it('reads nothing but the form from arbitrary text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(parseDuration(text) === undefined || /^(0|\d+(ms|[smhd]))$/.test(text)).toBe(true)
        expect(parseSize(text) === undefined || /^(0|\d+([KMGTP]i)?B)$/.test(text)).toBe(true)
      }),
    )
  })

  it('refuses to print what is not a quantity', () => {
    for (const value of [-1, 1.5, Number.NaN, 2 ** 53]) expect(() => formatSize(value)).toThrow(RangeError)
  })
})
