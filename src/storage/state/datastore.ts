import { setImmediate as yieldToLoop } from 'node:timers/promises'
import type { Database, Statement } from 'better-sqlite3'
import { BaseDatastore } from 'datastore-core'
import type { Batch, KeyQuery, Pair, Query } from 'interface-datastore'
import { Key } from 'interface-datastore'
import type { Logger } from '../../telemetry/types.ts'
import { datastoreNotFound, stateClosed } from './errors.ts'
import type { StateDatastore } from './types.ts'

/** Entries that wait at most; libp2p writes a few per peer and second, and a DHT walk some hundreds. */
const MAX_PENDING_ENTRIES = 4_096
/** Bytes of keys and values that wait at most: what one flush writes in some 20 ms. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024
/** The longest that a write waits, and thus what a kill -9 may lose. */
const FLUSH_INTERVAL_MS = 1_000
/** Rows of the first page of a query: most ask for the few providers of one CID. */
const FIRST_PAGE_ROWS = 16
/** Rows of later pages at most, so that a long query neither blocks the loop nor fills memory. */
const MAX_PAGE_ROWS = 256

interface AbortOptions {
  signal?: AbortSignal
}

interface Row {
  key: string
  value: Uint8Array
}

interface Options {
  db: Database
  /** Runs a transaction that need not survive power loss. */
  writeRelaxed: <T>(work: () => T) => T
  log: Logger
}

/**
 * libp2p's datastore in a table. libp2p reads and writes an entry for every stream it opens and every ping it gets, far
 * too often for a transaction each: writes collect in memory, the last one to a key wins, and are written together
 * once a second or when too many wait. Reads and queries see what waits.
 */
export class SqliteDatastore extends BaseDatastore implements StateDatastore {
  readonly #writeRelaxed: Options['writeRelaxed']
  readonly #log: Logger
  readonly #statements: Statements
  /** By key: the value to write, or null to delete. */
  #pending = new Map<string, Uint8Array | null>()
  #pendingBytes = 0
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor({ db, writeRelaxed, log }: Options) {
    super()
    this.#writeRelaxed = writeRelaxed
    this.#log = log
    this.#statements = prepare(db)
  }

  override put(key: Key, value: Uint8Array, options?: AbortOptions): Key {
    options?.signal?.throwIfAborted()
    this.#makeRoom()
    // A copy: the caller may use its buffer again before the flush.
    this.#remember(key.toString(), value.slice())
    return key
  }

  override delete(key: Key, options?: AbortOptions): void {
    options?.signal?.throwIfAborted()
    this.#makeRoom()
    this.#remember(key.toString(), null)
  }

  override get(key: Key, options?: AbortOptions): Uint8Array {
    options?.signal?.throwIfAborted()
    const name = key.toString()
    const value = this.#read(name)
    if (value === undefined) throw datastoreNotFound(name)
    return value
  }

  override has(key: Key, options?: AbortOptions): boolean {
    options?.signal?.throwIfAborted()
    this.#checkOpen()
    const name = key.toString()
    const pending = this.#pending.get(name)
    if (pending !== undefined) return pending !== null
    return this.#statements.has.get(name) !== undefined
  }

  /** Everything of a batch enters the cache at once, and so one transaction of the database. */
  override batch(): Batch {
    let operations: [key: string, value: Uint8Array | null][] = []
    return {
      put: (key, value) => {
        operations.push([key.toString(), value.slice()])
      },
      delete: (key) => {
        operations.push([key.toString(), null])
      },
      commit: (options) => {
        options?.signal?.throwIfAborted()
        this.#makeRoom()
        for (const [key, value] of operations) this.#remember(key, value)
        operations = []
      },
    }
  }

  override async *_all(query: Query, options?: AbortOptions): AsyncGenerator<Pair> {
    for await (const { key, value } of this.#scan(query.prefix ?? '', options?.signal)) {
      yield { key: new Key(key, false), value }
    }
  }

  override async *_allKeys(query: KeyQuery, options?: AbortOptions): AsyncGenerator<Key> {
    for await (const { key } of this.#scan(query.prefix ?? '', options?.signal)) yield new Key(key, false)
  }

  // Declared async by the interface; SQLite and this flush are synchronous.
  flush(): Promise<void> {
    try {
      this.#flushNow()
      return Promise.resolve()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    await this.flush()
  }

  /** Keeps the bound. Throws when the disk takes nothing, before anything more is remembered. */
  #makeRoom(): void {
    this.#checkOpen()
    if (this.#pending.size >= MAX_PENDING_ENTRIES || this.#pendingBytes >= MAX_PENDING_BYTES) this.#flushNow()
  }

  #remember(key: string, value: Uint8Array | null): void {
    const before = this.#pending.get(key)
    this.#pendingBytes += (value?.byteLength ?? 0) - (before?.byteLength ?? 0)
    if (before === undefined) this.#pendingBytes += key.length
    this.#pending.set(key, value)
    this.#startTimer()
  }

  #startTimer(): void {
    // The timer keeps no process alive: close() writes what waits.
    this.#timer ??= setTimeout(() => this.#flushOnTimer(), FLUSH_INTERVAL_MS).unref()
  }

  #flushOnTimer(): void {
    this.#timer = undefined
    try {
      this.#flushNow()
    } catch (error) {
      // A full disk: what waits goes on waiting and is tried again, until the bound makes put() itself fail.
      this.#log.error(
        { err: error, entries: this.#pending.size },
        'writing the datastore failed; trying again',
      )
      this.#startTimer()
    }
  }

  #flushNow(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#pending.size === 0) return
    this.#writeRelaxed(() => {
      for (const [key, value] of this.#pending) {
        if (value === null) this.#statements.delete.run(key)
        else this.#statements.put.run(key, value)
      }
    })
    this.#pending.clear()
    this.#pendingBytes = 0
  }

  #read(key: string): Uint8Array | undefined {
    this.#checkOpen()
    const pending = this.#pending.get(key)
    // A copy, for the same reason as in put().
    if (pending !== undefined) return pending?.slice()
    const row = this.#statements.get.get(key)
    return row === undefined ? undefined : plainBytes(row.value)
  }

  /**
   * Rows whose key starts with `prefix`, in the order of keys. What waits is written first, so that the table alone
   * answers; it is read in pages, since no statement may stay open while the caller writes, and each page is as the
   * table was when it was read.
   */
  async *#scan(prefix: string, signal: AbortSignal | undefined): AsyncGenerator<Row> {
    signal?.throwIfAborted()
    this.#checkOpen()
    this.#flushNow()
    let pageRows = FIRST_PAGE_ROWS
    let rows = this.#statements.from.all(prefix, pageRows)
    while (rows.length > 0) {
      for (const { key, value } of rows) {
        if (!key.startsWith(prefix)) return
        const pending = this.#pending.get(key)
        if (pending !== null) yield { key, value: pending?.slice() ?? plainBytes(value) }
      }
      const last = rows.at(-1)
      if (last === undefined || rows.length < pageRows) return
      await yieldToLoop()
      signal?.throwIfAborted()
      this.#checkOpen()
      pageRows = Math.min(pageRows * 4, MAX_PAGE_ROWS)
      rows = this.#statements.after.all(last.key, pageRows)
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw stateClosed()
  }
}

/** better-sqlite3 gives Buffers, whose slice() shares memory; the datastore's users expect plain arrays. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

interface Statements {
  get: Statement<[string], { value: Uint8Array }>
  has: Statement<[string]>
  put: Statement<[string, Uint8Array]>
  delete: Statement<[string]>
  from: Statement<[string, number], Row>
  after: Statement<[string, number], Row>
}

function prepare(db: Database): Statements {
  return {
    get: db.prepare('SELECT value FROM datastore WHERE key = ?'),
    has: db.prepare('SELECT 1 FROM datastore WHERE key = ?'),
    put: db.prepare(
      'INSERT INTO datastore (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    ),
    delete: db.prepare('DELETE FROM datastore WHERE key = ?'),
    from: db.prepare('SELECT key, value FROM datastore WHERE key >= ? ORDER BY key LIMIT ?'),
    after: db.prepare('SELECT key, value FROM datastore WHERE key > ? ORDER BY key LIMIT ?'),
  }
}
