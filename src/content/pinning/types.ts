export type PinRequestStatus = 'queued' | 'pinning' | 'pinned' | 'failed'

/** What somebody wants to have pinned. */
export interface NewPin {
  /** In the text form in which it was given. */
  cid: string
  name?: string | null
  /** Multiaddrs of who has it; each ends in /p2p/PEER. */
  origins?: readonly string[] | null
  meta?: Readonly<Record<string, string>> | null
}

/** One request, and what became of it so far. */
export interface PinRequest {
  id: string
  cid: string
  name: string | null
  origins: readonly string[]
  meta: Readonly<Record<string, string>> | null
  status: PinRequestStatus
  /** Why it is not pinned yet, or not at all. */
  reason: string | null
  /** Milliseconds since the Unix epoch; no two requests have the same. */
  createdMs: number
}

export type NameMatch = 'exact' | 'iexact' | 'partial' | 'ipartial'

/** Requests that fit all of it. */
export interface PinRequestQuery {
  /** Any of these CIDs, whatever their version. */
  cids?: readonly string[]
  name?: string
  match?: NameMatch
  statuses: readonly PinRequestStatus[]
  /** Created before and after, exclusive, in milliseconds. */
  beforeMs?: number
  afterMs?: number
  /** All of these keys with these values. */
  meta?: Readonly<Record<string, string>>
  limit: number
}

/** Pins on behalf of others: each request is worked on in the background, over restarts, until it is pinned or has failed. */
export interface PinningService {
  /**
   * Resolves once the request is durable.
   * @throws ERR_PIN_CID, ERR_PIN_ORIGINS, ERR_PIN_META, ERR_TOO_MANY_PIN_REQUESTS
   */
  add(pin: NewPin): Promise<PinRequest>
  get(id: string): PinRequest | undefined
  /** The newest first; `count` is of all that fit, beyond the limit. */
  list(query: PinRequestQuery): { count: number; requests: PinRequest[] }
  /** The new one takes the place of the old one; blocks of both are kept meanwhile. @throws as `add`; ERR_PIN_REQUEST_NOT_FOUND */
  replace(id: string, pin: NewPin): Promise<PinRequest>
  /** Ends what is under way and lets go of what was pinned. @throws ERR_PIN_REQUEST_NOT_FOUND */
  remove(id: string, options: { signal: AbortSignal }): Promise<void>
}
