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
  /** Plays a scenario with many nodes in this process. */
  simulate(options: {
    count: number
    scenario: string
    signal: AbortSignal
    onProgress: (progress: { label: string; done: number; total: number }) => void
  }): Promise<SimulationReport>
}

/** What `simulate` prints; see `src/simulation/types.ts` for what each figure means. */
export interface SimulationReport {
  ok: boolean
  scenario: string
  nodes: { count: number; master: number; worker: number; leecher: number }
  connected: { nodes: number; ms: number | null; connections: number }
  starts: SimulationTiming
  files: number
  fetches: {
    attempted: number
    right: number
    wrong: number
    failed: number
    bytes: number
    timing: SimulationTiming
    hops: { p50: number | null; max: number | null }
  }
  memory: { peakRssBytes: number; rssPerNodeBytes: number }
  cpuSeconds: number
  durationMs: number
  counts: Record<string, number>
  experiment: SimulationExperiment | null
  failures: string[]
  failureCount: number
  log: { warnings: number; errors: number; messages: { level: string; message: string; count: number }[] }
}

/** Of what `hostile` prints the part that people read. */
export interface SimulationExperiment {
  ways: readonly string[]
  hostile: number
  holders: number
  losers: number
  rounds: {
    round: number
    reads: SimulationReads
    publicReads: SimulationReads
    placed: number
    placedHostile: number
    falseBytes: number
    lostBytes: number
    repairedBytes: number
    scores: { honest: number | null; hostile: number | null }
  }[]
  firstFiles: SimulationReads & { bound: number }
  holds: { name: string; value: number; hold: { atLeast: number } | { atMost: number }; holds: boolean }[]
}

export interface SimulationReads {
  attempted: number
  right: number
}

export interface SimulationTiming {
  p50Ms: number | null
  p99Ms: number | null
  maxMs: number | null
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
