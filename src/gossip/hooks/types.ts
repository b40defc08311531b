/** Where messages of a topic are sent by HTTP. */
export interface Hook {
  id: number
  topic: string
  url: string
  createdAtMs: number
}

export interface HookReport extends Hook {
  /** `failing`: nothing was taken lately, and it goes on trying; `disabled`: it has given up. */
  state: 'ok' | 'failing' | 'disabled'
  /** Since when nothing was taken; null where all is well. */
  failingSinceMs: number | null
  /** What went wrong last; null where all is well. */
  problem: string | null
  lastDeliveredMs: number | null
  queued: number
  delivered: number
  /** That there was no room for: the oldest that waited. */
  dropped: number
  /** That the receiver refused until they were given up. */
  refused: number
}

export interface NewHook {
  topic: string
  url: string
  /** `whsec_` and base64 of 24 to 64 bytes; one is made where none is given. */
  secret?: string | undefined
}

/** Webhooks: what is said under a topic, sent to a program that listens by HTTP. */
export interface Hooks {
  /**
   * From now on, and over restarts. The secret is shown this once.
   *
   * @throws ERR_MESSAGE_TOPIC, ERR_HOOK_URL, ERR_HOOK_SECRET, ERR_HOOK_LIMIT
   */
  add(hook: NewHook): Promise<HookReport & { secret: string }>
  /** Oldest first. */
  list(): HookReport[]
  /** What waits for it is given up, what is under way is broken off. @throws ERR_HOOK_NOT_FOUND */
  remove(id: number): Promise<HookReport>
  /** Tries again, with what had been waiting; of one that is not disabled, at once. @throws ERR_HOOK_NOT_FOUND */
  enable(id: number): Promise<HookReport>
  statistics(): HookStatistics
}

/** Since start, over all hooks; `queued` is now. */
export interface HookStatistics {
  delivered: number
  failed: number
  dropped: number
  refused: number
  queued: number
}
