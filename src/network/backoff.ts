/** Waiting times between attempts: doubled each time up to a bound, spread so that many nodes do not come at once. */
export interface BackoffOptions {
  firstMs: number
  maxMs: number
}

/** How long to wait after attempt `attempt` (from 0), between three quarters and five quarters of the doubled time. */
export function backoffMs(attempt: number, { firstMs, maxMs }: BackoffOptions, random = Math.random): number {
  const doubledMs = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30))
  return Math.round(doubledMs * (0.75 + random() / 2))
}
