import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** pino's level numbers. */
const LEVELS: Record<number, { name: string; style: Style }> = {
  10: { name: 'TRACE', style: 'dim' },
  20: { name: 'DEBUG', style: 'cyan' },
  30: { name: 'INFO ', style: 'green' },
  40: { name: 'WARN ', style: 'yellow' },
  50: { name: 'ERROR', style: 'red' },
  60: { name: 'FATAL', style: 'red' },
}

/** Errors that are raised on purpose say everything in code and message; only others are worth their stack. */
const PURPOSEFUL_CODE = /^ERR_/

/**
 * One JSON line of the logger as one line for a person: `12:00:00.000 INFO  storage: opened path=/x blocks=12`.
 *
 * Whatever was logged, no control character reaches the terminal, where one could move the cursor or worse.
 */
export function formatPretty(json: string, options: { color: boolean }): string {
  const { level, time, part, msg, ...fields } = JSON.parse(json) as Record<string, unknown>
  const paint = (style: Style, text: string) =>
    options.color ? styleText(style, text, { validateStream: false }) : text
  const { name, style } = LEVELS[level as number] ?? { name: String(level), style: 'reset' }
  const words = [
    paint('dim', clock(time as number)),
    paint(style, name),
    ...(part === undefined ? [] : [paint('bold', `${printable(String(part))}:`)]),
    ...(msg === undefined ? [] : [printable(String(msg))]),
    ...Object.entries(fields).map(([key, value]) => `${paint('dim', `${printable(key)}=`)}${field(value)}`),
  ]
  return `${words.join(' ')}\n`
}

function clock(timeMs: number): string {
  const date = new Date(timeMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two)
  return `${hours}:${minutes}:${seconds}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

function field(value: unknown): string {
  if (isLoggedError(value)) return errorField(value)
  if (typeof value !== 'string') return printable(JSON.stringify(value) ?? 'undefined')
  return /^[\w./:@%+,-]+$/.test(value) ? value : printable(JSON.stringify(value))
}

interface LoggedError {
  type: string
  message: string
  code?: unknown
  stack?: unknown
  cause?: unknown
}

function isLoggedError(value: unknown): value is LoggedError {
  return (
    typeof value === 'object' && value !== null && 'type' in value && 'message' in value && 'stack' in value
  )
}

function errorField(error: LoggedError): string {
  const words = [summary(error), ...frames(error)]
  // `redact` has bounded how deep causes go.
  for (let { cause } = error; isLoggedError(cause); cause = cause.cause)
    words.push(`caused by ${summary(cause)}`)
  return printable(words.join(' | '))
}

function summary({ type, message, code }: LoggedError): string {
  return `${typeof code === 'string' ? code : type}: ${message}`
}

function frames({ code, stack }: LoggedError): string[] {
  if (typeof code === 'string' && PURPOSEFUL_CODE.test(code)) return []
  return String(stack)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('at '))
}

/** Control characters (C0, DEL, C1) and line separators as their escapes. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) as number
    return code === 0x0a ? '\\n' : `\\u${code.toString(16).padStart(4, '0')}`
  })
}
