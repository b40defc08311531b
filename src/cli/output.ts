import { styleText } from 'node:util'

/** What a command shows while it works: drawn as a bar on a terminal, as lines in a pipe, as JSON lines with `--json`. */
export interface Progress {
  /** What is going on: `adding`, `fetching`. */
  label: string
  done: number
  total?: number
  unit: 'bytes' | 'blocks' | 'items'
  note?: string
}

export interface OutputOptions {
  json: boolean
  quiet: boolean
  stdout: NodeJS.WriteStream
  stderr: NodeJS.WriteStream
}

/** A bar is redrawn at most so often: faster flickers, slower looks stuck. */
const REDRAW_MS = 100
/** In a pipe, progress is a line of a log. */
const LINE_MS = 5_000
/** With `--json`, a program reads it. */
const JSON_MS = 500
const BAR_CELLS = 24

/**
 * Where a command's words go. Results go to standard output and nothing else does; with `--json` that is exactly one
 * line. Progress, warnings and errors go to standard error.
 */
export class Output {
  readonly json: boolean
  readonly quiet: boolean
  readonly #stdout: NodeJS.WriteStream
  readonly #stderr: NodeJS.WriteStream
  #lastProgressAtMs = 0
  #barShown = false
  #rate: { atMs: number; done: number; perSecond: number } | undefined

  constructor(options: OutputOptions) {
    this.json = options.json
    this.quiet = options.quiet
    this.#stdout = options.stdout
    this.#stderr = options.stderr
  }

  /** Whether people watch: colour and bars make sense. */
  get interactive(): boolean {
    return this.#stderr.isTTY && !this.json
  }

  get columns(): number {
    return this.#stdout.columns ?? 80
  }

  style(format: Parameters<typeof styleText>[0], text: string): string {
    return this.#stdout.isTTY && !this.json ? styleText(format, text, { stream: this.#stdout }) : text
  }

  /** The command's result: `value` as one JSON line, or what `human` makes of it. */
  result(value: unknown, human: () => string): void {
    this.endProgress()
    if (this.json) this.#stdout.write(`${JSON.stringify(value)}\n`)
    else {
      const text = human()
      if (text !== '') this.#stdout.write(text.endsWith('\n') ? text : `${text}\n`)
    }
  }

  /** One line of a result that is a stream (`events`, `ls` of a large folder); with `--json` one JSON line each. */
  line(value: unknown, human: () => string): void {
    this.endProgress()
    this.#stdout.write(`${this.json ? JSON.stringify(value) : human()}\n`)
  }

  /** Bytes as they are; resolves when more may be written. */
  async raw(bytes: Uint8Array): Promise<void> {
    this.endProgress()
    if (this.#stdout.write(bytes)) return
    await new Promise<void>((resolve, reject) => {
      const onDrain = (): void => {
        this.#stdout.off('error', onError)
        resolve()
      }
      const onError = (error: Error): void => {
        this.#stdout.off('drain', onDrain)
        reject(error)
      }
      this.#stdout.once('drain', onDrain)
      this.#stdout.once('error', onError)
    })
  }

  /** A remark that is no result. */
  note(text: string): void {
    if (this.quiet) return
    this.endProgress()
    if (this.json) this.#stderr.write(`${JSON.stringify({ note: text })}\n`)
    else this.#stderr.write(`${text}\n`)
  }

  warn(text: string): void {
    this.endProgress()
    if (this.json) this.#stderr.write(`${JSON.stringify({ warning: text })}\n`)
    else this.#stderr.write(`${styleText('yellow', 'warning:', { stream: this.#stderr })} ${text}\n`)
  }

  error(text: string): void {
    this.endProgress()
    this.#stderr.write(`${styleText('red', 'error:', { stream: this.#stderr })} ${text}\n`)
  }

  progress(progress: Progress): void {
    if (this.quiet) return
    const nowMs = performance.now()
    const intervalMs = this.json ? JSON_MS : this.interactive ? REDRAW_MS : LINE_MS
    if (nowMs - this.#lastProgressAtMs < intervalMs) return
    const first = this.#lastProgressAtMs === 0
    this.#lastProgressAtMs = nowMs
    // A command that ends within the first interval should not leave a line of progress in a log.
    if (first && !this.interactive && !this.json) return
    this.#measure(progress.done, nowMs)
    if (this.json) this.#stderr.write(`${JSON.stringify({ progress })}\n`)
    else if (this.interactive) this.#drawBar(progress)
    else this.#stderr.write(`${this.#progressText(progress)}\n`)
  }

  /** Removes the bar, so that what follows starts on a clean line. */
  endProgress(): void {
    if (!this.#barShown) return
    this.#barShown = false
    this.#stderr.write('\r\u001B[2K')
  }

  #measure(done: number, nowMs: number): void {
    const last = this.#rate
    if (last === undefined || done < last.done) this.#rate = { atMs: nowMs, done, perSecond: 0 }
    else if (nowMs - last.atMs >= 1_000)
      this.#rate = { atMs: nowMs, done, perSecond: ((done - last.done) * 1_000) / (nowMs - last.atMs) }
  }

  #progressText(progress: Progress): string {
    const amount = (value: number): string =>
      progress.unit === 'bytes' ? formatBytes(value) : `${formatCount(value)} ${progress.unit}`
    const of = progress.total === undefined ? '' : ` of ${amount(progress.total)}`
    const percent =
      progress.total === undefined || progress.total === 0
        ? ''
        : ` ${Math.floor((100 * progress.done) / progress.total)} %`
    const perSecond = this.#rate?.perSecond ?? 0
    const rate = perSecond > 0 ? `, ${amount(perSecond)}/s` : ''
    return `${progress.label}${percent} ${amount(progress.done)}${of}${rate}${progress.note === undefined ? '' : ` (${progress.note})`}`
  }

  #drawBar(progress: Progress): void {
    const share =
      progress.total === undefined || progress.total === 0
        ? undefined
        : Math.min(1, progress.done / progress.total)
    const cells = share === undefined ? 0 : Math.round(share * BAR_CELLS)
    const bar =
      share === undefined
        ? ''
        : `${'━'.repeat(cells)}${styleText('gray', '━'.repeat(BAR_CELLS - cells), { stream: this.#stderr })} `
    const room = (this.#stderr.columns ?? 80) - (share === undefined ? 0 : BAR_CELLS + 1) - 1
    this.#barShown = true
    this.#stderr.write(`\r\u001B[2K${bar}${this.#progressText(progress).slice(0, Math.max(10, room))}`)
  }
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `1.5 MiB`; at most three digits before the unit changes. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? Math.round(value) : value.toFixed(value < 10 ? 2 : 1)} ${UNITS[power] ?? 'B'}`
}

export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US').replaceAll(',', ' ')
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
 * A text from elsewhere (a file's name, a peer's agent) as it may be shown: control characters would let it move the cursor,
 * change what was printed before, or worse.
 */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(
    /[\u0000-\u001F\u007F-\u009F\u200E\u200F\u202A-\u202E\u2066-\u2069]/g,
    (character) => {
      return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
    },
  )
}
