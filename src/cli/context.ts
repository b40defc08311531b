import type { Flags } from '../../config/index.ts'
import type { Output } from './output.ts'

/** What the executable's other half does: parts of the daemon that the command line starts but never imports. */
export interface DaemonHandlers {
  /** Runs a node until it is stopped; resolves to the exit code. */
  start(options: StartOptions): Promise<number>
  /** Puts a backup back into a home that no daemon uses. */
  restore(options: {
    home: string
    file: string
    signal: AbortSignal
  }): Promise<{ files: number; bytes: number }>
}

export interface StartOptions {
  home: string
  /** The strongest layer of the configuration. */
  flags: Flags
  env: Readonly<Record<string, string | undefined>>
  json: boolean
  quiet: boolean
  /** Asks for the passphrase of the identity on the terminal; undefined where there is none to ask. */
  askPassphrase?: (() => Promise<string | undefined>) | undefined
}

export interface GlobalOptions {
  home?: string
  api?: string
  token?: string
  json?: boolean
  quiet?: boolean
}

/** What every command gets: where to write, where the node is, and when to give up. */
export interface CliContext {
  readonly output: Output
  readonly home: string
  readonly api: string | undefined
  readonly token: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts at the first Ctrl-C. */
  readonly signal: AbortSignal
  readonly handlers: DaemonHandlers
}
