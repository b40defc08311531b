/** What a name led to in the end. */
export interface ResolvedName {
  /** `/ipfs/CID[/…]`: names that point at names have been followed. */
  path: string
  /** How long the answer may be kept, in milliseconds; 0: not at all. */
  ttlMs: number
}

/**
 * Mutable names: IPNS names (the key of who publishes, in any of its text forms) and DNS names (DNSLink).
 *
 * Whoever takes addresses or paths below `/ipns/` asks this and nothing else.
 */
export interface NameResolver {
  /**
   * @throws ERR_NAME_INVALID, ERR_NAME_NOT_FOUND, ERR_NAME_LOOP, ERR_NAME_TARGET, ERR_NAMES_BUSY, ERR_CANCELLED
   */
  resolve(
    name: string,
    options: {
      signal: AbortSignal
      /** Answer from what is known here; ask nobody. */
      offline?: boolean
    },
  ): Promise<ResolvedName>
}

export interface NameQuery {
  signal: AbortSignal
  /** Answer from what is known here; ask nobody. */
  offline?: boolean
  /** A kept answer may be so old, whatever its record allows; 0: ask the network first. */
  maxAgeMs?: number
}

/** One IPNS record that was checked: size, form, signature, expiry. Times are milliseconds since the Unix epoch. */
export interface NameRecord {
  /** As it goes over the wire. */
  bytes: Uint8Array
  /** `/ipfs/…` or `/ipns/…` */
  value: string
  sequence: bigint
  ttlMs: number
  validUntilMs: number
}

export interface PublishOptions {
  /** What the name is to lead to: an address of public content, or another name. */
  address: string
  /** Name of the key; `self` is the node's own. */
  key?: string
  /** How long a record is valid; the node signs a new one before. */
  lifetimeMs?: number
  /** How long others may keep the answer. */
  ttlMs?: number
  /** Only sign and keep; the network is told in the background. */
  offline?: boolean
  signal: AbortSignal
}

/** A name that this node publishes, with its latest record. */
export interface PublishedName {
  /** The canonical text: base36 CID of the key. */
  name: string
  key: string
  value: string
  sequence: bigint
  ttlMs: number
  lifetimeMs: number
  validUntilMs: number
  /** When the network will be told again. */
  nextMs: number
  /** Peers that took the record the last time; 0: nobody yet. */
  told: number
  /** Why nobody was told, where that is so. */
  problem: string | null
}

/** A key that names are published with. */
export interface NameKey {
  key: string
  /** The name that it publishes under. */
  name: string
  /** Null for the node's own. */
  createdAtMs: number | null
}

export interface ImportedName {
  name: string
  value: string
  sequence: bigint
  validUntilMs: number
  /** Peers that took the record. */
  told: number
}

/** Names as the command line, the HTTP API and the routing server need them. */
export interface NameService extends NameResolver {
  resolve(name: string, query: NameQuery): Promise<ResolvedName>
  /**
   * The best record of an IPNS name that this node can find.
   * @throws ERR_NAME_INVALID, ERR_NAME_NOT_FOUND, ERR_NAMES_BUSY, ERR_CANCELLED
   */
  record(name: string, query: NameQuery): Promise<NameRecord>
  /**
   * Signs a record with the next number, keeps it, and tells the network. Resolves when it is durable and, unless
   * `offline`, the network was told or nobody could be.
   * @throws ERR_ADDRESS_INVALID, ERR_NAME_INVALID, ERR_NAME_LOOP, ERR_KEY_NOT_FOUND, ERR_CONTENT_PRIVATE,
   * ERR_LIFETIME_INVALID, ERR_SEQUENCE_EXHAUSTED, ERR_CANCELLED
   */
  publish(options: PublishOptions): Promise<PublishedName>
  /**
   * Takes a record that another key signed. `keep`: republish it until it expires.
   * @throws ERR_NAME_INVALID, ERR_RECORD_INVALID, ERR_RECORD_EXPIRED, ERR_RECORD_OUTDATED, ERR_CONTENT_PRIVATE,
   * ERR_TOO_MANY_RECORDS
   */
  import(
    name: string,
    bytes: Uint8Array,
    options: { keep: boolean; signal: AbortSignal },
  ): Promise<ImportedName>
  published(): PublishedName[]
  /** No longer publishes a name; records that others have live on until they expire. @throws ERR_NAME_NOT_FOUND */
  unpublish(key: string): Promise<void>
  keys(): NameKey[]
  /** @throws ERR_KEY_NAME_INVALID, ERR_KEY_EXISTS, ERR_TOO_MANY_KEYS */
  createKey(key: string): Promise<NameKey>
  /** Its name is published no more, and never again. @throws ERR_KEY_NOT_FOUND, ERR_KEY_NAME_INVALID */
  removeKey(key: string): Promise<void>
}
