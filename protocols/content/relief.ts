import type { HelperSet } from './helpers.ts'
import type { RootQuestion } from './root-question.ts'
import type { Source } from './source.ts'

/** A source that has delivered no whole block in so many idle periods gives way to one that has nothing to do. */
const SLOW_AFTER_IDLE_PERIODS = 4

/** A source with more than this before it, at its own speed, is relieved of what it has not begun. */
const RELIEVE_ABOVE_MS = 1_000

export interface ReliefInit {
  sources: Source[]
  question: RootQuestion | undefined
  helpers: HelperSet
  /** Whether something waits for a source. */
  isQueued: boolean
  sourceIdleMs: number
}

/** Where somebody has nothing to do, it takes over from sources with much before them. */
export function relieveSlow({ sources, question, helpers, isQueued, sourceIdleMs }: ReliefInit): void {
  const busy = (source: Source): boolean => source.outstanding > 0 || question?.source === source
  const isFree = (source: Source): boolean => !busy(source) && question?.canAlsoBeAsked(source) === true
  if (question !== undefined && question.ageMs > RELIEVE_ABOVE_MS) {
    const canHelp = !question.hasBegun && helpers.hasRoom && helpers.canBring(question.root)
    if (canHelp || sources.some(isFree)) question.cancel()
  }
  const tooSlowMs = sourceIdleMs * SLOW_AFTER_IDLE_PERIODS
  // A byte now and then is no silence, and nobody else is asked while the question is open.
  if (question !== undefined && question.overdueMs > tooSlowMs) question.source.stream.giveUp('slow')
  if (isQueued || sources.every(busy)) return
  const now = performance.now()
  for (const source of sources.filter(busy)) {
    const silentMs = now - Math.max(source.lastBlockMs, source.askedMs)
    if (silentMs > tooSlowMs) source.stream.giveUp('slow')
    else if (source.backlogMs > RELIEVE_ABOVE_MS) source.cancelLast()
  }
}
