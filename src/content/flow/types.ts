import type { CID } from 'multiformats/cid'
import type { FetchPlan } from '../fetch/session.ts'
import type { Candidate } from '../router/types.ts'
import type { Tally } from './tally.ts'

/** The steps after the own store and the peers of this network, in the order in which they are asked where nothing speaks for another. */
export type OuterStep = 'ipfs' | 'proxy' | 'gateways'
export type StepName = 'local' | 'peers' | OuterStep

/** Of what a fetch asks: its DAG, whose providers are worth looking for, and how much of it is wanted. */
export type StepPlan = Pick<FetchPlan, 'dag' | 'providersOf' | 'scope' | 'range'>

export interface FoundBlock {
  bytes: Uint8Array
  /** Whom it came from, within its step: a peer, a gateway; empty where the step does not tell. */
  from: string
}

/** One way to get blocks from outside of this network. */
export interface Step {
  readonly name: OuterStep
  /** How long it has a block to itself before the next step is asked as well. */
  readonly headStartMs: number
  /** Whom it would ask now, for the router. */
  sources(): Candidate[]
  /** For one fetch, which ends with `close`. */
  open(plan: StepPlan, options?: StepOptions): StepRun
}

export interface StepOptions {
  /** Ids of its sources, the best first. */
  order?: readonly string[]
  /** Counts what each of them does. */
  tally?: Tally
}

export interface StepRun {
  /**
   * The bytes are not trusted: whoever takes them verifies them. Ends by itself, within the deadline of its step where nothing moves.
   * @throws where the block is not to be had; the message says what was answered
   */
  fetch(cid: CID, options: { signal: AbortSignal }): Promise<FoundBlock>
  close(): void
}

/** What a step was asked and what it brought, since start. */
export interface StepFigures {
  /** Blocks it was asked for; of peers, fetches in which they were asked. */
  asked: number
  /** Blocks it brought. */
  answered: number
  bytes: number
  /** Time in which it was waited for, ms; of several at once each counts. */
  ms: number
}
