const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `1.50 MiB`, `12.3 GiB`: about three digits. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? Math.round(value) : value.toFixed(value < 10 ? 2 : 1)} ${UNITS[power] ?? 'B'}`
}

/** `1 234 567`. */
export function formatCount(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ' ')
}

/** `3 d 4 h`, `12 min`, `850 ms`: the two largest units. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1_000) return `${Math.round(durationMs)} ms`
  const parts: [number, string][] = [
    [Math.floor(durationMs / 86_400_000), 'd'],
    [Math.floor(durationMs / 3_600_000) % 24, 'h'],
    [Math.floor(durationMs / 60_000) % 60, 'min'],
    [Math.floor(durationMs / 1_000) % 60, 's'],
  ]
  const from = parts.findIndex(([value]) => value > 0)
  return parts
    .slice(from, from + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ')
}

/** `2026-11-21 14:03:20` in the machine's own time. */
export function formatTime(atMs: number): string {
  const date = new Date(atMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/**
 * What a terminal would act upon in place of showing it: C0 and C1 controls, marks and overrides of writing direction,
 * and the two line separators that are no line feeds.
 */
const UNPRINTABLE = /[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/**
 * A text from elsewhere (a file's name, a peer's agent) as it may be shown: control characters would let it move the cursor,
 * change what was printed before, or worse.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped)
}

/** As `printable`, for a message of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** A text as one word of a command line, quoted where it must be. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
