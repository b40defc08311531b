import type { CID } from 'multiformats/cid'
import type { FetchStatistics, Helper } from '../../../protocols/content/types.ts'
import { LRUCache } from 'lru-cache'
import { keyOf } from '../../../protocols/content/hash.ts'
import { MAX_REMEMBERED_ROOTS } from './limits.ts'
import type { StepAnswer } from '../errors.ts'
import { contentPrivate } from '../errors.ts'
import { NOTHING_PRIVATE, type PrivateMark } from '../private/types.ts'
import type { Candidate, ContentFacts, SourceKind, SourceRouter } from '../router/types.ts'
import { overlap } from './overlap.ts'
import { Tally } from './tally.ts'
import type { OuterStep, Step, StepFigures, StepName, StepPlan, StepRun } from './types.ts'

const OUTER_STEPS: readonly OuterStep[] = ['ipfs', 'proxy', 'gateways']
const STEP_OF: Partial<Record<SourceKind, OuterStep>> = { ipfs: 'ipfs', proxy: 'proxy', gateway: 'gateways' }
/** What stands between a step and whom it got a block from, in the name of a source. */
const SEPARATOR = '/'

export interface DiscoveryStepsOptions {
  /** Those that are switched on, in any order. */
  steps: readonly Step[]
  privacy?: PrivateMark | undefined
  /** Says in which order they are asked, and hears how their sources do. */
  router?: Pick<SourceRouter, 'rank' | 'report'> | undefined
}

/** What the steps do for one fetch. */
export interface OuterSteps {
  /** For `Content.fetchDag`. */
  readonly helpers: readonly Helper[]
  /** What each of them had to say last, for the message of a failure. */
  answers(): StepAnswer[]
  close(): void
}

/**
 * The steps of the discovery flow that lie outside of this network, and what all of them have brought. They are asked in the
 * order of the router's list: a step stands where its best source does. None is ever asked for what is private.
 */
export class DiscoverySteps {
  readonly #steps: readonly Step[]
  readonly #privacy: PrivateMark
  readonly #router: DiscoveryStepsOptions['router']
  /** By root: the step that brought the last block of it, which is asked first when more of it is wanted. */
  readonly #leads = new LRUCache<string, OuterStep>({ max: MAX_REMEMBERED_ROOTS })
  readonly #figures: Record<StepName, StepFigures> = {
    local: noFigures(),
    peers: noFigures(),
    ipfs: noFigures(),
    proxy: noFigures(),
    gateways: noFigures(),
  }

  constructor({ steps, privacy = NOTHING_PRIVATE, router }: DiscoveryStepsOptions) {
    this.#steps = OUTER_STEPS.flatMap((name) => steps.filter((step) => step.name === name))
    this.#privacy = privacy
    this.#router = router
  }

  /** Whom the steps would ask now. */
  sources(): Candidate[] {
    return this.#steps.flatMap((step) => step.sources())
  }

  /** The names of the steps in the order in which a fetch of such content asks them. */
  order(root: CID, facts: ContentFacts = {}): OuterStep[] {
    return this.#ordered(root, this.#ranked(root, facts)).map(({ name }) => name)
  }

  open(plan: StepPlan, facts: ContentFacts = {}): OuterSteps {
    const answers = new Map<OuterStep, string>()
    const runs: StepRun[] = []
    const tallies: Tally[] = []
    const ranked = this.#ranked(plan.providersOf, facts)
    const helpers = this.#ordered(plan.providersOf, ranked).map((step): Helper => {
      const tally = new Tally(step.headStartMs)
      tallies.push(tally)
      const order = ranked.filter(({ kind }) => STEP_OF[kind] === step.name).map(({ id }) => id)
      const run = step.open(plan, { order, tally })
      runs.push(run)
      return {
        headStartMs: step.headStartMs,
        fetch: (cid, { signal }) => this.#ask(step, run, plan, cid, signal, answers),
      }
    })
    return {
      helpers,
      answers: () =>
        this.#steps.map(({ name }) => ({ step: name, answer: answers.get(name) ?? 'not asked' })),
      close: () => {
        // Before the runs: to be ended says nothing of anybody.
        for (const tally of tallies)
          for (const outcome of tally.end()) this.#router?.report(plan.providersOf, outcome)
        for (const run of runs) run.close()
      },
    }
  }

  /** A block by itself, from whichever step brings it first; undefined where none does. Not verified. */
  async block(cid: CID, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const outer = this.open({ dag: cid, providersOf: cid, scope: 'block' })
    try {
      const attempts = outer.helpers.map((helper) => ({
        headStartMs: helper.headStartMs,
        run: (own: AbortSignal) => helper.fetch(cid, { signal: own }),
      }))
      return (await overlap(attempts, signal))?.bytes
    } finally {
      outer.close()
    }
  }

  /** Counts what a fetch that has ended found in the own store and had from peers. */
  count({ heldBlocks, sources }: FetchStatistics, ms: number): void {
    const { local, peers } = this.#figures
    local.asked += 1
    local.answered += heldBlocks
    const delivered = Object.entries(sources).filter(([name]) => sourceOf(name).step === 'peers')
    if (delivered.length === 0) return
    peers.asked += 1
    peers.ms += ms
    for (const [, { blocks, bytes }] of delivered) {
      peers.answered += blocks
      peers.bytes += bytes
    }
  }

  figures(): Record<StepName, StepFigures> {
    return structuredClone(this.#figures)
  }

  #ranked(root: CID, facts: ContentFacts): readonly Candidate[] {
    return this.#router?.rank(root, this.sources(), facts) ?? []
  }

  /** By their best sources, those that have none at the end; first of all the one that brought the last block of this root. */
  #ordered(root: CID, ranked: readonly Candidate[]): Step[] {
    const lead = this.#leads.get(keyOf(root))
    const placeOf = ({ name }: Step): number => {
      if (name === lead) return -1
      const place = ranked.findIndex(({ kind }) => STEP_OF[kind] === name)
      return place === -1 ? ranked.length : place
    }
    return this.#steps.toSorted((a, b) => placeOf(a) - placeOf(b))
  }

  async #ask(
    step: Step,
    run: StepRun,
    plan: StepPlan,
    cid: CID,
    signal: AbortSignal,
    answers: Map<OuterStep, string>,
  ): ReturnType<Helper['fetch']> {
    const isPrivate = [cid, plan.dag, plan.providersOf].find((one) => this.#privacy.isPrivate(one))
    if (isPrivate !== undefined) {
      answers.set(step.name, 'not asked: the content is private')
      throw contentPrivate(isPrivate)
    }
    const figures = this.#figures[step.name]
    const startMs = performance.now()
    figures.asked += 1
    try {
      const { bytes, from } = await run.fetch(cid, { signal })
      this.#leads.set(keyOf(plan.providersOf), step.name)
      figures.answered += 1
      figures.bytes += bytes.length
      answers.set(step.name, 'had some of it')
      return { bytes, from: from === '' ? step.name : `${step.name}${SEPARATOR}${from}` }
    } catch (error) {
      if (!signal.aborted) answers.set(step.name, (error as Error).message)
      throw error
    } finally {
      figures.ms += performance.now() - startMs
    }
  }
}

/** What stands behind the name of a source in `FetchStatistics`: a peer by its id, another step by its name and its own. */
export function sourceOf(name: string): { step: StepName; peer: string } {
  const [first = '', ...rest] = name.split(SEPARATOR)
  const step = OUTER_STEPS.find((outer) => outer === first)
  if (step === undefined) return { step: 'peers', peer: name }
  return { step, peer: rest.length === 0 ? step : rest.join(SEPARATOR) }
}

function noFigures(): StepFigures {
  return { asked: 0, answered: 0, bytes: 0, ms: 0 }
}
