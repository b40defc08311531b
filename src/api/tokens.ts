import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { TokenState } from './dependencies.ts'
import type { Logger } from '../telemetry/types.ts'
import { tooManyTokens } from './errors.ts'
import { MAX_TOKENS, TOKEN_TOUCH_INTERVAL_MS } from './limits.ts'

export type Scope = 'read' | 'write' | 'admin'

/** Each scope includes those before it. */
const RANK: Readonly<Record<Scope, number>> = { read: 0, write: 1, admin: 2 }

export const includes = (held: Scope, needed: Scope): boolean => RANK[held] >= RANK[needed]

/** 256 bits: guessing is hopeless, so a plain SHA-256 is enough to store (no salt, no slow hash). */
const TOKEN_BYTES = 32

/** A token is refused unread beyond this. */
const MAX_TOKEN_LENGTH = 512

export interface TokenInfo {
  id: string
  name: string
  scope: Scope
  createdAtMs: number
  lastUsedAtMs: number | null
}

interface Entry extends TokenInfo {
  digest: Buffer
  touchedAtMs: number
  /** Refused from now on. It stays in the list until it is gone from the disk too: from there a restart would bring it back. */
  isRevoked: boolean
}

export const newTokenText = (): string => randomBytes(TOKEN_BYTES).toString('base64url')

/** Who may ask: the root token of the data folder, and the tokens that were created with it. */
export class Tokens {
  readonly #state: TokenState
  readonly #log: Logger
  readonly #rootDigest: Buffer
  readonly #entries = new Map<string, Entry>()
  readonly #now: () => number
  /** Tokens that are being written: each has a place. */
  #creating = 0

  constructor(init: { state: TokenState; rootToken: string; log: Logger; now?: () => number }) {
    this.#state = init.state
    this.#log = init.log
    this.#rootDigest = digestOf(init.rootToken)
    this.#now = init.now ?? Date.now
    const rows = init.state.db
      .prepare(
        'SELECT id, name, scope, hash, created_ms, last_used_ms FROM token ORDER BY created_ms, id LIMIT ?',
      )
      .all(MAX_TOKENS) as Row[]
    for (const row of rows) {
      this.#entries.set(row.id, {
        id: row.id,
        name: row.name,
        scope: row.scope,
        createdAtMs: row.created_ms,
        lastUsedAtMs: row.last_used_ms,
        digest: Buffer.from(row.hash),
        touchedAtMs: row.last_used_ms ?? 0,
        isRevoked: false,
      })
    }
  }

  /**
   * The scope of a token, or undefined for one that is not known. Digests are compared, each in constant time and
   * all of them every time, so that the time taken says nothing about which one nearly fitted.
   */
  authenticate(text: string): Scope | undefined {
    if (text.length > MAX_TOKEN_LENGTH) return undefined
    const digest = digestOf(text)
    let found: Entry | undefined
    for (const entry of this.#entries.values()) {
      if (timingSafeEqual(entry.digest, digest)) found = entry
    }
    const isRoot = timingSafeEqual(this.#rootDigest, digest)
    if (isRoot) return 'admin'
    if (found === undefined || found.isRevoked) return undefined
    this.#touch(found)
    return found.scope
  }

  list(): TokenInfo[] {
    return [...this.#entries.values()].map(({ id, name, scope, createdAtMs, lastUsedAtMs }) => ({
      id,
      name,
      scope,
      createdAtMs,
      lastUsedAtMs,
    }))
  }

  /** Resolves once the token survives power loss. @throws ERR_TOO_MANY_TOKENS */
  async create(
    name: string,
    scope: Scope,
  ): Promise<{ id: string; name: string; scope: Scope; token: string }> {
    if (this.#entries.size + this.#creating >= MAX_TOKENS) throw tooManyTokens(MAX_TOKENS)
    const id = randomBytes(8).toString('hex')
    const token = newTokenText()
    const digest = digestOf(token)
    const createdAtMs = this.#now()
    const insert = this.#state.db.prepare(
      'INSERT INTO token (id, name, scope, hash, created_ms, last_used_ms) VALUES (?, ?, ?, ?, ?, NULL)',
    )
    this.#creating += 1
    try {
      await this.#state.write(() => insert.run(id, name, scope, digest, createdAtMs))
      this.#entries.set(id, {
        id,
        name,
        scope,
        createdAtMs,
        lastUsedAtMs: null,
        digest,
        touchedAtMs: 0,
        isRevoked: false,
      })
    } finally {
      this.#creating -= 1
    }
    return { id, name, scope, token }
  }

  /**
   * Refused from now on, also where this fails; resolves once that survives power loss. Whoever was told that it failed asks
   * again. False where there is no such token.
   */
  async revoke(id: string): Promise<boolean> {
    const entry = this.#entries.get(id)
    if (entry === undefined) return false
    // Refused at once, also while the disk is slow.
    entry.isRevoked = true
    const remove = this.#state.db.prepare('DELETE FROM token WHERE id = ?')
    await this.#state.write(() => remove.run(id))
    this.#entries.delete(id)
    return true
  }

  #touch(entry: Entry): void {
    const now = this.#now()
    entry.lastUsedAtMs = now
    if (now - entry.touchedAtMs < TOKEN_TOUCH_INTERVAL_MS) return
    entry.touchedAtMs = now
    try {
      const update = this.#state.db.prepare('UPDATE token SET last_used_ms = ? WHERE id = ?')
      this.#state.writeRelaxed(() => update.run(now, entry.id))
    } catch (error) {
      // Who asks is known all the same; a full disk must not keep anybody from asking.
      this.#log.warn({ err: error, token: entry.id }, 'could not note the use of a token')
    }
  }
}

interface Row {
  id: string
  name: string
  scope: Scope
  hash: Uint8Array
  created_ms: number
  last_used_ms: number | null
}

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()
