/** Hooks of one node: each has a queue on the disk and at most one request under way. */
export const MAX_HOOKS = 32
/** Messages and bytes that wait for one hook, in state.db; when there are more the oldest go. */
export const MAX_QUEUED_MESSAGES = 10_000
export const MAX_QUEUED_BYTES = 8 * 1024 * 1024
/** Requests under way at once, over all hooks. */
export const MAX_REQUESTS = 8
/** From the first byte that is sent to the head of the answer; senders of webhooks wait 15 to 30 s. */
export const REQUEST_TIMEOUT_MS = 15_000
/** For the rest of the answer, which nobody reads: only so can the connection be used again. */
export const ANSWER_PATIENCE_MS = 1_000
export const MAX_ANSWER_BYTES = 64 * 1024
/** Between two attempts: doubled with each failure, between half of it and all. */
export const FIRST_PAUSE_MS = 1_000
export const LONGEST_PAUSE_MS = 300_000
/** A receiver may ask for a longer pause (`Retry-After`), up to this. */
export const LONGEST_ASKED_PAUSE_MS = 3_600_000
/** A message that was refused (4xx) so often is given up: it is the message, not the receiver. About a minute. */
export const MAX_REFUSALS = 6
/** A hook that takes nothing for so long is disabled. */
export const DISABLED_AFTER_MS = 24 * 3_600_000
export const MAX_URL_CHARACTERS = 2_048
/** Bytes of a secret, as the Standard Webhooks specification has it. */
export const MIN_SECRET_BYTES = 24
export const MAX_SECRET_BYTES = 64
export const OWN_SECRET_BYTES = 32
/** Characters of what went wrong that are kept. */
export const MAX_PROBLEM_CHARACTERS = 200
