import type { SourceOutcome } from '../../../protocols/content/types.ts'
import type { Outcome } from '../router/types.ts'

/** What one source's part in a fetch says about it; undefined: nothing, since it was not asked, or not waited for. */
export function resultOf({ blocks, missing, lost }: SourceOutcome): Outcome['result'] | undefined {
  if (lost !== null) return lost
  if (blocks > 0) return 'served'
  return missing > 0 ? 'missing' : undefined
}
