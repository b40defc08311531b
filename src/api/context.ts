import type { ApiDependencies } from './dependencies.ts'
import type { ReadLog } from './read-log.ts'
import type { EventHub } from './events/hub.ts'
import type { Timeouts } from './limits.ts'
import type { RunningRequests } from './running-requests.ts'
import type { Tokens } from './tokens.ts'

/** What a handler may use: the dependencies, and the API's own parts. */
export interface ApiContext extends ApiDependencies {
  readonly timeouts: Timeouts
  readonly tokens: Tokens
  readonly events: EventHub
  /** What the last reads of private files got from whom. */
  readonly reads: ReadLog
  readonly requests: RunningRequests
  /** Aborts when the API begins to close: long polls end, the node is no longer ready. */
  readonly closing: AbortSignal
  /** The OpenAPI document; built at the first call. */
  document(): Promise<object>
}
