import { setImmediate as yieldToLoop } from 'node:timers/promises'
import type { StateDatabase } from '../storage/state/index.ts'
import { MAX_ENDED_JOBS, RETENTION_STEP_JOBS } from './limits.ts'
import type { JobStore } from './store.ts'

interface Options {
  state: StateDatabase
  store: JobStore
  /** Jobs that ended before this time go. */
  endedBeforeMs: number
  signal: AbortSignal
}

/** Deletes old records of ended jobs, by age and by number, in steps short enough for the event loop. */
export async function pruneEndedJobs({ state, store, endedBeforeMs, signal }: Options): Promise<number> {
  let deleted = 0
  while (!signal.aborted) {
    const step = state.writeRelaxed(() => {
      const old = store.deleteEndedBefore(endedBeforeMs, RETENTION_STEP_JOBS)
      if (old > 0) return old
      const surplus = store.endedCount() - MAX_ENDED_JOBS
      return surplus > 0 ? store.deleteOldestEnded(Math.min(surplus, RETENTION_STEP_JOBS)) : 0
    })
    if (step === 0) break
    deleted += step
    await yieldToLoop()
  }
  return deleted
}
