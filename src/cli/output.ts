import { once } from 'node:events'
import { styleText } from 'node:util'
import { formatBytes, formatCount, printable, printableLines } from './format.ts'

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
 * line. Progress, warnings and errors go to standard error. Where standard output carries the bytes of a file, the
 * result goes to standard error too.
 */
export class Output {
  readonly json: boolean
  readonly quiet: boolean
  readonly #stdout: NodeJS.WriteStream
  readonly #stderr: NodeJS.WriteStream
  readonly #closed = new AbortController()
  #carriesBytes = false
  #lastProgressAtMs: number | undefined
  #barShown = false
  #rate: { atMs: number; done: number; perSecond: number } | undefined

  constructor(options: OutputOptions) {
    this.json = options.json
    this.quiet = options.quiet
    this.#stdout = options.stdout
    this.#stderr = options.stderr
    this.#stdout.on('error', (error) => this.#closed.abort(error))
    // Where not even an error can be told, the exit code still tells it.
    this.#stderr.on('error', () => {})
  }

  /** Aborts when standard output takes no more: its reader went away (EPIPE), or its disk is full. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  /** Whether people watch: colour and bars make sense. */
  get interactive(): boolean {
    return this.#stderr.isTTY && !this.json && process.env.TERM !== 'dumb'
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
    const stream = this.#carriesBytes ? this.#stderr : this.#stdout
    const text = this.json ? JSON.stringify(value) : human()
    if (text !== '') stream.write(text.endsWith('\n') ? text : `${text}\n`)
  }

  /** One line of a result that is a stream (`events`, `ls` of a large folder); with `--json` one JSON line each. */
  line(value: unknown, human: () => string): void {
    this.closed.throwIfAborted()
    this.endProgress()
    this.#stdout.write(`${this.json ? JSON.stringify(value) : human()}\n`)
  }

  /** From now on standard output belongs to the bytes of a file. */
  startBytes(): void {
    this.endProgress()
    this.#carriesBytes = true
  }

  /** Bytes as they are; resolves when more may be written. */
  async raw(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    this.startBytes()
    this.closed.throwIfAborted()
    if (!this.#stdout.write(bytes))
      await once(this.#stdout, 'drain', { signal: AbortSignal.any([signal, this.closed]) })
  }

  /** Resolves once standard output has taken everything, or failed to; see `closed`. */
  async flush(): Promise<void> {
    if (!this.closed.aborted) await new Promise((resolve) => this.#stdout.write('', resolve))
  }

  /** A remark that is no result. */
  note(text: string): void {
    if (this.quiet) return
    this.endProgress()
    if (this.json) this.#stderr.write(`${JSON.stringify({ note: text })}\n`)
    else this.#stderr.write(`${printableLines(text)}\n`)
  }

  warn(text: string): void {
    this.endProgress()
    if (this.json) this.#stderr.write(`${JSON.stringify({ warning: text })}\n`)
    else
      this.#stderr.write(
        `${styleText('yellow', 'warning:', { stream: this.#stderr })} ${printableLines(text)}\n`,
      )
  }

  error(text: string): void {
    this.endProgress()
    this.#stderr.write(`${styleText('red', 'error:', { stream: this.#stderr })} ${printableLines(text)}\n`)
  }

  progress(progress: Progress): void {
    if (this.quiet) return
    const nowMs = performance.now()
    const intervalMs = this.json ? JSON_MS : this.interactive ? REDRAW_MS : LINE_MS
    const first = this.#lastProgressAtMs === undefined
    if (this.#lastProgressAtMs !== undefined && nowMs - this.#lastProgressAtMs < intervalMs) return
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
    const note = progress.note === undefined ? '' : ` (${progress.note})`
    return printable(`${progress.label}${percent} ${amount(progress.done)}${of}${rate}${note}`)
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
