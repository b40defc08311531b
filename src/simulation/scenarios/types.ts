import type { Run } from '../run.ts'

/** One story of a network: what it does between the first start and the last stop. */
export interface Scenario {
  readonly name: string
  /** What it shows, in one line for `--help` and the documentation. */
  summary: string
  /** Nodes below which it shows nothing. */
  minNodes: number
  /**
   * Tells it through `run`, which notes what went well and what did not.
   * @throws the signal's reason, and what makes going on pointless
   */
  play(run: Run): Promise<void>
}
