/**
 * Durations, sizes and rates as an operator writes them, and back.
 *
 * Written: a whole number and one unit, without a space: `5s`, `64KiB`, `20MiB/s`. Inside: milliseconds, bytes, bytes a
 * second, as safe integers. `0` needs no unit. Only binary multiples exist, so that nobody has to guess whether a
 * gigabyte has 10⁹ or 2³⁰ bytes.
 *
 * Parsing what was printed gives the same number; printing takes the largest unit that divides it.
 */

interface Unit {
  readonly name: string
  readonly factor: number
}

/** Milliseconds a unit. A day is always 24 hours. */
const DURATION_UNITS: readonly Unit[] = [
  { name: 'd', factor: 86_400_000 },
  { name: 'h', factor: 3_600_000 },
  { name: 'm', factor: 60_000 },
  { name: 's', factor: 1000 },
  { name: 'ms', factor: 1 },
]

/** Bytes a unit (IEC 80000-13 prefixes). */
const SIZE_UNITS: readonly Unit[] = [
  { name: 'PiB', factor: 2 ** 50 },
  { name: 'TiB', factor: 2 ** 40 },
  { name: 'GiB', factor: 2 ** 30 },
  { name: 'MiB', factor: 2 ** 20 },
  { name: 'KiB', factor: 2 ** 10 },
  { name: 'B', factor: 1 },
]

/** A rate without a limit, as an operator writes it. */
export const UNLIMITED = 'unlimited'

/** Milliseconds, or undefined where the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  return parseQuantity(text, DURATION_UNITS)
}

/** Bytes, or undefined where the text is not a size. */
export function parseSize(text: string): number | undefined {
  return parseQuantity(text, SIZE_UNITS)
}

/** Bytes a second, `Infinity` for `unlimited`, or undefined where the text is not a rate. */
export function parseRate(text: string): number | undefined {
  if (text === UNLIMITED) return Number.POSITIVE_INFINITY
  if (text === '0') return 0
  return text.endsWith('/s') && text !== '0/s' ? parseSize(text.slice(0, -2)) : undefined
}

/** `5400000` → `90m`. @throws RangeError for what is not a whole number of milliseconds ≥ 0 */
export function formatDuration(durationMs: number): string {
  return formatQuantity(durationMs, DURATION_UNITS, '0s')
}

/** `65536` → `64KiB`. @throws RangeError for what is not a whole number of bytes ≥ 0 */
export function formatSize(sizeBytes: number): string {
  return formatQuantity(sizeBytes, SIZE_UNITS, '0B')
}

/** `20971520` → `20MiB/s`; `Infinity` → `unlimited`. @throws RangeError as for sizes */
export function formatRate(bytesPerSecond: number): string {
  return bytesPerSecond === Number.POSITIVE_INFINITY ? UNLIMITED : `${formatSize(bytesPerSecond)}/s`
}

function parseQuantity(text: string, units: readonly Unit[]): number | undefined {
  if (text === '0') return 0
  const match = /^(\d{1,16})([A-Za-z]+)$/.exec(text)
  const unit = units.find(({ name }) => name === match?.[2])
  if (match === null || unit === undefined) return undefined
  const value = Number(match[1]) * unit.factor
  return Number.isSafeInteger(value) ? value : undefined
}

function formatQuantity(value: number, units: readonly Unit[], zero: string): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a whole number ≥ 0: ${value}`)
  if (value === 0) return zero
  const unit = units.find(({ factor }) => value % factor === 0) as Unit
  return `${value / unit.factor}${unit.name}`
}
