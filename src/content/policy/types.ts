/** Pins what peers announce, while there is room. */
export interface AutoRule {
  kind: 'auto'
  /** Least score of the author, in [0, 1]. */
  minScore: number
  /** Bytes that the policy may keep in all. */
  budgetBytes: number
  /** Only of this author (text form of the peer id). */
  peer?: string
}

/** Keeps what was read lately; ends by itself. */
export interface RecentRule {
  kind: 'recent'
  /** From the last reading on. */
  windowMs: number
  /** Over it, what was read longest ago goes first. */
  budgetBytes: number
}

/** Has other nodes keep copies. */
export interface CopiesRule {
  kind: 'copies'
  /** Copies at other nodes, 1 to 16. */
  copies: number
  /** Least score of a node that keeps one. */
  minScore: number
  /** Of this content alone; without it, of everything that is pinned recursively here by a person. */
  cid?: string
}

export type PolicyRule = AutoRule | RecentRule | CopiesRule

export interface PolicyRecord {
  id: number
  rule: PolicyRule
  createdAtMs: number
}

/** A policy and what it does at the moment. */
export interface PolicyReport extends PolicyRecord {
  /** What it keeps, or (copies) the roots that it looks after. */
  items: number
  /** Bytes of its budget in use; 0 for copies. */
  usedBytes: number
  /** Copies: roots with fewer copies than wanted, and copies that were promised. */
  short?: number
  promised?: number
}

/** One copy of own content at another node. */
export interface CopyReport {
  cid: string
  peer: string
  untilMs: number
  /** When a block of it was last fetched from there; null: not yet. */
  provenMs: number | null
}

export interface PolicyStatistics {
  /** What this node keeps for others: promises, and their bytes. */
  promises: number
  promisedBytes: number
  /** Copies of own content at others. */
  copies: number
  /** Roots with fewer copies than a policy wants. */
  shortRoots: number
  /** Since start: copies that vanished, asks that were refused. */
  lostCopies: number
  refusedAsks: number
}

/** What people ask of policies. */
export interface PinPolicies {
  list(): PolicyReport[]
  /** @throws ERR_POLICY_INVALID, ERR_POLICY_FULL */
  add(rule: PolicyRule): Promise<PolicyRecord>
  /** Ends it: pins that it made are removed, promises of others are given back. @throws ERR_POLICY_NOT_FOUND */
  remove(id: number, options: { signal: AbortSignal }): Promise<PolicyRecord>
  /** Copies of own content elsewhere, at most `limit`. */
  copies(options?: { limit?: number }): CopyReport[]
  statistics(): PolicyStatistics
}
