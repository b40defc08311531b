/** What one author may announce: a person adds a few things; a collection is announced by its root. */
export const ANNOUNCEMENT_RATE = { perSecond: 1, burst: 32 }

/** Own announcements that wait for that rate; over it the oldest are not announced. */
export const MAX_WAITING = 256

/** Announcements remembered, so that one that comes again is not passed on: 2 MB. */
export const MAX_REMEMBERED = 10_000

/** Listeners of one node: events, policies. */
export const MAX_LISTENERS = 16

/** The time in which the budget for what is fetched by itself counts. */
export const BUDGET_PERIOD_MS = 86_400_000
