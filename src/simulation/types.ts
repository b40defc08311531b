import type { HostileReport } from './hostile/types.ts'
import type { Scenario } from './scenarios/types.ts'

export interface SimulationProgress {
  /** What is going on: `starting nodes`, `fetching`. */
  label: string
  done: number
  total: number
}

export interface SimulationOptions {
  /** Nodes in all, from 2 to 200. */
  count: number
  /** A name of the table in `scenarios/`, or a scenario of the caller's. */
  scenario: string | Scenario
  signal: AbortSignal
  onProgress?: (progress: SimulationProgress) => void
}

/** How one kind of operation went; times are in milliseconds, null where none succeeded. */
export interface Timing {
  p50Ms: number | null
  p99Ms: number | null
  maxMs: number | null
}

/** What a simulation found. Times are in milliseconds, sizes in bytes. */
export interface SimulationReport {
  /** Whether all nodes were connected in time, every fetch gave the right bytes, and nothing failed. */
  ok: boolean
  scenario: string
  nodes: { count: number; master: number; worker: number; leecher: number }
  connected: {
    /** Nodes that one could walk to from the first one, over open connections. */
    nodes: number
    /** From the first start until all were, or null where they were not in time. */
    ms: number | null
    /** Open connections, each counted once. */
    connections: number
  }
  starts: Timing
  files: number
  fetches: {
    attempted: number
    /** The bytes that were stored, by SHA-256. */
    right: number
    wrong: number
    /** Not found, or not in time. */
    failed: number
    bytes: number
    timing: Timing
    /**
     * Open connections between the fetching node and the nearest one that had the file, just before: 1 is a neighbour.
     * Null where no fetch had a way, and for private files, whose parts lie on many.
     */
    hops: { p50: number | null; max: number | null }
  }
  memory: { peakRssBytes: number; rssPerNodeBytes: number }
  /** Of the whole process: user and system time. */
  cpuSeconds: number
  durationMs: number
  /** What else the scenario did: `stopped`, `returned`. */
  counts: Record<string, number>
  /** Round by round, where the scenario is an experiment. */
  experiment: HostileReport | null
  /** In words, at most 20; `failureCount` has them all. */
  failures: string[]
  failureCount: number
  /** Warnings and errors in the logs of all nodes, the most frequent messages first. */
  log: {
    warnings: number
    errors: number
    messages: { level: 'warn' | 'error'; message: string; count: number }[]
  }
}
