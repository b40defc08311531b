import type { Entry, EntryKind } from '../../protocols/catalog/types.ts'

/** An entry as it is shown. */
export interface CatalogEntry extends Entry {
  /** Text form of the peer id whose key signed it. */
  publisher: string
  sequence: number
  /** SHA-256 of what was signed, in hexadecimal. */
  id: string
  /** By the publisher's clock. */
  atMs: number
  untilMs: number
  /** Published by this node. */
  isOwn: boolean
}

/** What is to be published. */
export interface Draft {
  /** By default the name of what the address leads to, where that is known here. */
  title?: string
  /** A CID, `CID/path`, `/ipfs/…`, `/ipns/…`, or a capability link. */
  address: string
  description?: string
  tags?: readonly string[]
  kind?: EntryKind
  mime?: string
  sizeBytes?: number | null
  /** By default what the configuration says. */
  lifetimeMs?: number
  /** Must be said for a capability link: everybody in the network can read what it opens, for good. */
  revealsLink?: boolean
}

export interface Published {
  entry: CatalogEntry
  /** Neighbours that were told at once. */
  neighbours: number
}

export interface Withdrawn {
  publisher: string
  /** Numbers of the entries that are withdrawn. */
  sequences: number[]
  neighbours: number
}

export interface Search {
  /** Words that must all occur; `"two words"` together, `begin*`, `-without`. Without it the newest entries. */
  text?: string
  kind?: EntryKind
  /** A tag as a whole, whatever its case. */
  tag?: string
  /** `video/mp4`, or `video/` for all of them. */
  mime?: string
  /** Peer id or `did:key`. */
  publisher?: string
  limit?: number
  /** `next` of the page before. */
  after?: string
}

export interface Found {
  entries: CatalogEntry[]
  /** Entries that match and are shown, on all pages. */
  total: number
  /** Entries that match and are not shown, since their publishers, or what they lead to, are not trusted. */
  hidden: { entries: number; publishers: number }
  /** For the next page; null on the last one. */
  next: string | null
}

export interface PublisherReport {
  publisher: string
  /** Entries that are kept here. */
  entries: number
  /** The highest number that was seen of its records. */
  sequence: number
  /** The highest number that it tells in the DHT, as last asked; null where nobody asked. */
  headSequence: number | null
  isShown: boolean
  /** It signed two histories: what others see may differ from what is here for a while. */
  isForked: boolean
  isOwn: boolean
}

/** What a `sync` has found and fetched. */
export interface Synced {
  /** Peers with which the catalogue is the same now, and those with which that failed. */
  peers: number
  failed: number
  taken: number
  given: number
  /** Of the publisher that was asked for. */
  publisher: PublisherReport | null
}

export interface CatalogStatistics {
  entries: number
  records: number
  publishers: number
  /** What they take of `catalog.size`. */
  bytes: number
  /** Entries of publishers that are not trusted. */
  hiddenEntries: number
  hiddenPublishers: number
  /** Since the start. */
  taken: number
  invalid: number
  refused: Record<Refusal, number>
  withdrawn: number
  expired: number
  syncs: number
  failedSyncs: number
}

/** Why a record that is sound is not kept. */
export type Refusal =
  /** Its publisher is on the deny list, or not on the allow list. */
  | 'denied'
  | 'expired'
  /** Of the future. */
  | 'early'
  | 'withdrawn'
  /** Its publisher has published too much since. */
  | 'old'
  /** Another one of the same number counts. */
  | 'forked'
  | 'full'

/** The public catalogue as this node sees it. */
export interface CatalogService {
  /**
   * Signs an entry, keeps it durably, and tells the network.
   *
   * @throws ERR_CATALOG_ENTRY, ERR_CATALOG_LINK, ERR_CATALOG_LIFETIME, ERR_ADDRESS_INVALID, ERR_CONTENT_PRIVATE, ERR_CATALOG_FULL
   */
  publish(draft: Draft, options: { signal: AbortSignal }): Promise<Published>
  /**
   * Withdraws own entries by their numbers, or all of them. Resolves once that is durable here; it reaches others as entries do.
   *
   * @throws ERR_CATALOG_NOT_FOUND
   */
  withdraw(sequences: readonly number[] | 'all', options: { signal: AbortSignal }): Promise<Withdrawn>
  /** @throws ERR_CATALOG_SEARCH, ERR_PEER_INVALID */
  search(query: Search): Found
  /** Everybody who publishes, those with most entries first. */
  publishers(): PublisherReport[]
  /**
   * Brings the catalogue up to date with the connected peers now. With a publisher: looks for the head of its log, and where that
   * is ahead of what is here, asks the publisher itself too.
   *
   * @throws ERR_PEER_INVALID, ERR_CATALOG_OFF, the signal's reason
   */
  sync(options: { publisher?: string; signal: AbortSignal }): Promise<Synced>
  statistics(): CatalogStatistics
  /** Calls back with entries as they come, own ones included, at most 10 a second; returns the function that ends it. @throws RangeError over 16 listeners */
  onEntry(listener: (entry: CatalogEntry) => void): () => void
}
