import type { Database } from 'better-sqlite3'
import type { Datastore } from 'interface-datastore'

/**
 * A datastore whose writes wait up to a second in memory. Losing that second (kill -9, power loss) costs what libp2p
 * learns again by itself: addresses, latencies, DHT records. Nothing that must survive is written through it.
 */
export interface StateDatastore extends Datastore {
  /** Writes what waits, now. */
  flush(): Promise<void>
  /** Flushes and refuses every later call with ERR_STATE_CLOSED. Called again, it does nothing. */
  close(): Promise<void>
}

/** An open state.db. */
export interface StateDatabase {
  readonly path: string
  /**
   * The connection itself: WAL, `synchronous = FULL`, foreign keys on. A statement that writes outside a transaction
   * of the two methods below is durable when it returns, and holds the event loop for that disk flush: fit for what
   * happens when a person asks for it (a token, a blocked peer), not for work that repeats.
   */
  readonly db: Database
  readonly datastore: StateDatastore
  /**
   * Runs `work` in one transaction and resolves once it survives power loss. The flush happens off the event loop and
   * is shared by all writes that wait for one. Within `work` everything is synchronous; a throw rolls back.
   */
  write<T>(work: () => T): Promise<T>
  /**
   * Runs `work` in one transaction that survives a crash of the process. A power loss may undo it, together with
   * everything after it and never in part.
   */
  writeRelaxed<T>(work: () => T): T
  /** Flushes the datastore and closes the database. Called again, it does nothing. */
  close(): Promise<void>
}
