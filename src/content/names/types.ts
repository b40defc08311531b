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
   * @throws ERR_NAME_INVALID, ERR_NAME_NOT_FOUND, ERR_NAME_EXPIRED, ERR_NAME_LOOP, ERR_RECORD_INVALID, ERR_CANCELLED
   */
  resolve(name: string, options: { signal: AbortSignal }): Promise<ResolvedName>
}
