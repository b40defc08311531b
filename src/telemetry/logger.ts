import { pino } from 'pino'
import type { DestinationStream, LoggerOptions as PinoOptions } from 'pino'
import { formatPretty } from './pretty.ts'
import { redact, redactText } from './redact.ts'
import type { Logger } from './types.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface LoggerOptions {
  /** The least important lines that are written. */
  level: LogLevel
  /** One readable line each for a terminal; otherwise one line of JSON each. */
  pretty: boolean
  /** Colours in pretty lines; by default where standard error is a terminal that has them and NO_COLOR is not set. */
  color?: boolean | undefined
  /** Where lines go; standard error by default. */
  stream?: { write(line: string): unknown } | undefined
}

export interface RootLogger extends Logger {
  /** Writes what is buffered before it returns. Happens by itself when the process exits. */
  flush(): void
}

/**
 * Lines wait in memory while whoever reads standard error is slow, at most so many characters; further ones are dropped
 * and counted, since a log must neither stop the node nor fill its memory.
 */
const MAX_BUFFERED_CHARS = 4 * 1024 * 1024

/**
 * The node's logger. Every line and every binding of a child passes `redact`, so that secrets are hidden wherever they
 * stand.
 */
export function createLogger({ level, pretty, color, stream }: LoggerOptions): RootLogger {
  const inColor = color ?? (stream === undefined && process.stderr.isTTY && process.stderr.hasColors())
  const destination = stream ?? standardError()
  const output: DestinationStream = pretty
    ? { write: (line) => void destination.write(formatPretty(line, { color: inColor })) }
    : { write: (line) => void destination.write(line) }
  const options: PinoOptions = {
    level,
    // The process id and host name are known to whoever collects the lines.
    base: null,
    formatters: { log: redact },
    // Errors were turned into plain records by `redact` already.
    serializers: { err: (value: unknown) => value },
    hooks: {
      logMethod(args, method) {
        // Of a bare error pino would take the message as it is.
        const [first, ...rest] = args as unknown[]
        const whole =
          first instanceof Error ? [{ err: first }, ...(rest.length > 0 ? rest : [first.message])] : args
        const safe = whole.map((arg) => (typeof arg === 'string' ? redactText(arg) : arg))
        method.apply(this, safe as unknown as typeof args)
      },
    },
  }
  const root = pino(options, output)
  const { child } = root
  // pino has no hook for the bindings of children. They inherit from the root, and so does this.
  root.child = function redacted(this: typeof root, bindings: Record<string, unknown>, ...rest: [object?]) {
    return child.call(this, redact(bindings), ...rest)
  } as typeof child
  const flush = () => {
    if ('flushSync' in destination) (destination as { flushSync(): void }).flushSync()
  }
  if (stream === undefined) reportDrops(destination as ReturnType<typeof standardError>, root)
  return Object.assign(root as Logger, { flush })
}

/** Asynchronous, so that a slow reader never blocks the loop; pino writes the rest synchronously at exit. */
function standardError() {
  return pino.destination({ fd: 2, sync: false, maxLength: MAX_BUFFERED_CHARS })
}

/** A log that lost lines says so, once there is room again. */
function reportDrops(destination: ReturnType<typeof standardError>, log: Logger): void {
  let droppedLines = 0
  destination.on('drop', () => {
    droppedLines++
  })
  destination.on('drain', () => {
    if (droppedLines === 0) return
    const lines = droppedLines
    droppedLines = 0
    log.warn({ droppedLines: lines }, 'lines were lost because the log was read too slowly')
  })
}
