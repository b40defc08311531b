import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { type CatalogRecord, ENTRY_KINDS, type SignedBytes } from '../../protocols/catalog/types.ts'
import type { StateDatabase } from '../storage/state/types.ts'
import {
  DRAWN_PUBLISHERS,
  MAX_PUBLISHERS,
  MAX_RECORDS_PER_PUBLISHER,
  MAX_ROWS_PER_STEP,
  MAX_SMALL_RECORDS,
  RECORD_OVERHEAD_BYTES,
} from './limits.ts'
import type { Refusal } from './types.ts'
import { wordsOf, wordsOfTags } from './words.ts'

export interface PublisherRow {
  id: number
  key: Buffer
  peer: string
  highest: number
  highest_id: Buffer | null
  head: number
  forked: number
  entries: number
  records: number
  bytes: number
}

interface RecordRow {
  n: number
  publisher: number
  sequence: number
  id: Buffer
  kind: number | null
  bytes: number
}

export type Kept =
  | { verdict: 'taken'; n: number /** Entries that it has withdrawn here. */; removed: number }
  | { verdict: 'known' }
  | { verdict: 'refused'; reason: Refusal }

export interface CatalogStoreOptions {
  state: Pick<StateDatabase, 'db'>
  /** This node's public key: its own records are kept whatever else there is. */
  ownKey: Uint8Array
  maxBytes: number
  /** Publishers that are not shown: their records go first where there is no room. Asked then only. */
  hidden: () => ReadonlySet<number>
  /** What a peer is worth, in [0, 1]: who is worth less makes room for who comes. */
  score: (peer: string) => number
  /** Told once a publisher when it turns out to have signed two histories. */
  onForked: (peer: string) => void
}

/**
 * The records of all publishers. Which of two sets of records has come to a node first makes no difference to what it ends
 * up with: of two records with one number the one with the smaller id counts, a withdrawal holds whether its entry came
 * before or after, and of each publisher the highest numbers are kept. Only where the room is used up it matters.
 *
 * Every method that writes must run within a transaction.
 */
export class CatalogStore {
  readonly #options: CatalogStoreOptions
  #statements: ReturnType<typeof prepare> | undefined
  #bytes: number | undefined
  #version = 0

  constructor(options: CatalogStoreOptions) {
    this.#options = options
  }

  /** Prepared when first used: a start does not need them. */
  get #sql(): ReturnType<typeof prepare> {
    return (this.#statements ??= prepare(this.#options.state.db))
  }

  /** Another number whenever a record has come or gone. */
  get version(): number {
    return this.#version
  }

  /** What all records take. */
  get bytes(): number {
    this.#bytes ??= this.#sql.totalBytes.get() ?? 0
    return this.#bytes
  }

  /** A transaction came to nothing: what is counted here is counted anew. */
  rolledBack(): void {
    this.#bytes = undefined
    this.#version += 1
  }

  publisher(key: Uint8Array): PublisherRow | undefined {
    return this.#sql.publisher.get(key)
  }

  publisherOfPeer(peer: string): PublisherRow | undefined {
    return this.#sql.publisherOfPeer.get(peer)
  }

  publisherRow(id: number): PublisherRow | undefined {
    return this.#sql.publisherRow.get(id)
  }

  /** All of them, those with most entries first. */
  publishers(): PublisherRow[] {
    return this.#sql.publishers.all(MAX_PUBLISHERS + 1)
  }

  /** Sums over all publishers, and over those that are not shown. */
  totals(hidden: ReadonlySet<number>): {
    entries: number
    records: number
    publishers: number
    hiddenEntries: number
  } {
    const sums = this.#sql.totals.get(JSON.stringify([...hidden]))
    return sums ?? { entries: 0, records: 0, publishers: 0, hiddenEntries: 0 }
  }

  /** Takes note of the number that a publisher tells in the DHT. */
  noteHead(key: Uint8Array, sequence: number): void {
    const row = this.#publisherFor(key)
    if (row !== undefined) this.#sql.setHead.run(sequence, row.id)
  }

  has(id: Uint8Array): boolean {
    return this.#sql.byId.get(id) !== undefined
  }

  signed(n: number): SignedBytes | undefined {
    return this.#sql.body.get(n)
  }

  signedById(id: Uint8Array): SignedBytes | undefined {
    const row = this.#sql.byId.get(id)
    return row === undefined ? undefined : this.signed(row.n)
  }

  /** Numbers of the entries of a publisher that hold, ascending, at most `limit` behind `after`. */
  entrySequences(publisher: number, nowMs: number, after: number, limit: number): number[] {
    return this.#sql.entrySequences.all(publisher, nowMs, after, limit)
  }

  /** A record of a publisher by its number. */
  signedBySequence(publisher: number, sequence: number): SignedBytes | undefined {
    const row = this.#sql.bySequence.get(publisher, sequence)
    return row === undefined ? undefined : this.signed(row.n)
  }

  untilMs(publisher: number, sequence: number): number | undefined {
    return this.#sql.untilOf.get(publisher, sequence)
  }

  /** Ids of what holds, ascending, behind `after`. */
  ids(after: Uint8Array | undefined, nowMs: number, limit: number): Uint8Array[] {
    return this.#sql.ids.all(after ?? Buffer.alloc(0), nowMs, limit)
  }

  /** Keeps a record whose signature was checked, and whose time has come and is not over. */
  keep(record: CatalogRecord): Kept {
    if (this.has(record.id)) return { verdict: 'known' }
    const publisher = this.#publisherFor(record.publisher)
    if (publisher === undefined) return { verdict: 'refused', reason: 'full' }
    const refused = (reason: Refusal): Kept => ({ verdict: 'refused', reason })
    if (record.sequence <= publisher.highest - MAX_RECORDS_PER_PUBLISHER) return refused('old')
    if (record.entry !== undefined && this.#sql.isWithdrawn.get(publisher.id, record.sequence) !== undefined)
      return refused('withdrawn')
    const same = this.#sql.bySequence.get(publisher.id, record.sequence)
    if (same !== undefined) {
      this.#noteFork(publisher)
      if (Buffer.compare(same.id, record.id) < 0) return refused('forked')
      this.#remove(same)
    }
    const bytes = record.signed.payload.length + record.signed.signature.length + RECORD_OVERHEAD_BYTES
    if (!this.#makeRoom(publisher, bytes)) return refused('full')
    if (!this.#follows(publisher, record)) this.#noteFork(publisher)
    const n = this.#insert(publisher, record, bytes)
    const removed = this.#withdraw(publisher, record, n)
    // Also where it takes the place of another one at the end.
    if (record.sequence >= publisher.highest) this.#advance(publisher, record)
    return { verdict: 'taken', n, removed }
  }

  /** Removes some of what has expired; returns how many. */
  expire(nowMs: number): number {
    const rows = this.#sql.expired.all(nowMs, MAX_ROWS_PER_STEP)
    for (const row of rows) this.#remove(row)
    return rows.length
  }

  #publisherFor(key: Uint8Array): PublisherRow | undefined {
    const known = this.publisher(key)
    if (known !== undefined) return known
    const peer = peerIdFromPublicKey(publicKeyFromRaw(key)).toString()
    const isOwn = Buffer.compare(key, this.#options.ownKey) === 0
    if (!isOwn && !this.#makePlace(peer)) return undefined
    this.#sql.addPublisher.run(key, peer)
    return this.publisher(key)
  }

  /**
   * Keys cost nothing, so that somebody with thousands of them must not keep out who comes later: one of some that are drawn
   * by lot goes, with the little it has, where the newcomer is worth as much. Peers that have served well stay.
   */
  #makePlace(newcomer: string): boolean {
    if ((this.#sql.publisherCount.get() ?? 0) < MAX_PUBLISHERS) return true
    const { ownKey, score } = this.#options
    if (this.#sql.removeIdle.run(ownKey).changes > 0) return true
    const drawn = this.#sql.someSmall
      .all(ownKey, MAX_SMALL_RECORDS, DRAWN_PUBLISHERS)
      .map((row) => ({ row, score: score(row.peer) }))
    const [least] = drawn.toSorted((a, b) => a.score - b.score)
    if (least === undefined || least.score > score(newcomer)) return false
    for (const row of this.#sql.upTo.all(least.row.id, Number.MAX_SAFE_INTEGER, MAX_SMALL_RECORDS))
      this.#remove(row)
    this.#sql.removePublisher.run(least.row.id)
    return true
  }

  /** Whether the records on both sides of it, where they are here, belong to the same history. */
  #follows(publisher: PublisherRow, record: CatalogRecord): boolean {
    const before = this.#sql.bySequence.get(publisher.id, record.sequence - 1)
    if (before !== undefined && Buffer.compare(before.id, record.previous ?? Buffer.alloc(0)) !== 0)
      return false
    const behind = this.#sql.previousOf.get(publisher.id, record.sequence + 1)
    return behind === undefined || behind === null || Buffer.compare(behind, record.id) === 0
  }

  #insert(publisher: PublisherRow, record: CatalogRecord, bytes: number): number {
    const { entry, signed } = record
    const { lastInsertRowid } = this.#sql.addRecord.run(
      publisher.id,
      record.sequence,
      record.id,
      entry === undefined ? null : ENTRY_KINDS[entry.kind],
      entry?.mime.toLowerCase() ?? '',
      record.untilMs,
      bytes,
    )
    const n = Number(lastInsertRowid)
    this.#sql.addBody.run(n, record.previous ?? null, signed.payload, signed.signature)
    if (entry !== undefined)
      this.#sql.addText.run(n, wordsOf(entry.title), wordsOf(entry.description), wordsOfTags(entry.tags))
    this.#count(publisher.id, entry === undefined ? 0 : 1, 1, bytes)
    return n
  }

  #withdraw(publisher: PublisherRow, record: CatalogRecord, n: number): number {
    let removed = 0
    for (const sequence of record.withdraws ?? []) {
      this.#sql.addWithdrawn.run(publisher.id, sequence, n)
      const row = this.#sql.bySequence.get(publisher.id, sequence)
      // A withdrawal cannot be withdrawn: then what holds would depend on the order in which records come.
      if (row === undefined || row.kind === null) continue
      this.#remove(row)
      removed += 1
    }
    return removed
  }

  #advance(publisher: PublisherRow, record: CatalogRecord): void {
    this.#sql.setHighest.run(record.sequence, record.id, publisher.id)
    const first = record.sequence - MAX_RECORDS_PER_PUBLISHER
    for (const row of this.#sql.upTo.all(publisher.id, first, MAX_RECORDS_PER_PUBLISHER)) this.#remove(row)
  }

  #remove(row: RecordRow): void {
    this.#sql.removeRecord.run(row.n)
    this.#sql.removeBody.run(row.n)
    if (row.kind === null) this.#sql.removeWithdrawn.run(row.n)
    else this.#sql.removeText.run(row.n)
    this.#count(row.publisher, row.kind === null ? 0 : -1, -1, -row.bytes)
  }

  #count(publisher: number, entries: number, records: number, bytes: number): void {
    this.#sql.count.run(entries, records, bytes, publisher)
    this.#bytes = this.bytes + bytes
    this.#version += 1
  }

  #noteFork(publisher: PublisherRow): void {
    if (this.#sql.setForked.run(publisher.id).changes > 0) this.#options.onForked(publisher.peer)
  }

  /**
   * Room is shared: whoever has most gives of its earliest to who has less. Publishers that are not shown give first, own
   * records never go.
   */
  #makeRoom(publisher: PublisherRow, bytes: number): boolean {
    const { ownKey, maxBytes, hidden } = this.#options
    if (this.bytes + bytes <= maxBytes) return true
    const isOwn = Buffer.compare(publisher.key, ownKey) === 0
    const notShown = hidden()
    // Nobody gives for what is not even shown.
    if (!isOwn && notShown.has(publisher.id)) return false
    const hiddenIds = JSON.stringify([...notShown])
    while (this.bytes + bytes > maxBytes) {
      const distrusted = this.#sql.largestOf.get(ownKey, hiddenIds)
      const victim = distrusted ?? this.#sql.largest.get(ownKey)
      // Own records are the owner's to withdraw, also where they alone take more than there is room for.
      if (victim === undefined) return isOwn
      const own = this.publisherRow(publisher.id)?.bytes ?? 0
      const gives = isOwn || distrusted !== undefined || victim.bytes > own + bytes
      const earliest = this.#sql.upTo.get(victim.id, Number.MAX_SAFE_INTEGER, 1)
      if (!gives || victim.id === publisher.id || earliest === undefined) return false
      this.#remove(earliest)
    }
    return true
  }
}

function prepare(db: StateDatabase['db']) {
  const records = 'SELECT n, publisher, sequence, id, kind, bytes FROM catalog_record'
  return {
    publisher: db.prepare<[Uint8Array], PublisherRow>('SELECT * FROM catalog_publisher WHERE key = ?'),
    publisherOfPeer: db.prepare<[string], PublisherRow>('SELECT * FROM catalog_publisher WHERE peer = ?'),
    publisherRow: db.prepare<[number], PublisherRow>('SELECT * FROM catalog_publisher WHERE id = ?'),
    publishers: db.prepare<[number], PublisherRow>(
      'SELECT * FROM catalog_publisher ORDER BY entries DESC, id LIMIT ?',
    ),
    publisherCount: db.prepare<[], number>('SELECT count(*) FROM catalog_publisher').pluck(),
    addPublisher: db.prepare<[Uint8Array, string]>('INSERT INTO catalog_publisher (key, peer) VALUES (?, ?)'),
    removeIdle: db.prepare<[Uint8Array]>('DELETE FROM catalog_publisher WHERE records = 0 AND key <> ?'),
    someSmall: db.prepare<[Uint8Array, number, number], PublisherRow>(
      'SELECT * FROM catalog_publisher WHERE key <> ? AND records <= ? ORDER BY random() LIMIT ?',
    ),
    removePublisher: db.prepare<[number]>('DELETE FROM catalog_publisher WHERE id = ?'),
    largest: db.prepare<[Uint8Array], PublisherRow>(
      'SELECT * FROM catalog_publisher WHERE key <> ? AND records > 0 ORDER BY bytes DESC LIMIT 1',
    ),
    largestOf: db.prepare<[Uint8Array, string], PublisherRow>(
      `SELECT * FROM catalog_publisher WHERE key <> ? AND records > 0
       AND id IN (SELECT value FROM json_each(?)) ORDER BY bytes DESC LIMIT 1`,
    ),
    setHead: db.prepare<[number, number]>('UPDATE catalog_publisher SET head = max(head, ?) WHERE id = ?'),
    setHighest: db.prepare<[number, Uint8Array, number]>(
      'UPDATE catalog_publisher SET highest = ?, highest_id = ? WHERE id = ?',
    ),
    setForked: db.prepare<[number]>('UPDATE catalog_publisher SET forked = 1 WHERE id = ? AND forked = 0'),
    count: db.prepare<[number, number, number, number]>(
      `UPDATE catalog_publisher SET entries = entries + ?, records = records + ?, bytes = bytes + ?
       WHERE id = ?`,
    ),
    totals: db.prepare<
      [string],
      { entries: number; records: number; publishers: number; hiddenEntries: number }
    >(
      `SELECT coalesce(sum(entries), 0) AS entries, coalesce(sum(records), 0) AS records,
         count(*) FILTER (WHERE records > 0) AS publishers,
         coalesce(sum(entries) FILTER (WHERE id IN (SELECT value FROM json_each(?))), 0) AS hiddenEntries
       FROM catalog_publisher`,
    ),
    totalBytes: db.prepare<[], number>('SELECT coalesce(sum(bytes), 0) FROM catalog_publisher').pluck(),

    byId: db.prepare<[Uint8Array], RecordRow>(`${records} WHERE id = ?`),
    bySequence: db.prepare<[number, number], RecordRow>(`${records} WHERE publisher = ? AND sequence = ?`),
    upTo: db.prepare<[number, number, number], RecordRow>(
      `${records} WHERE publisher = ? AND sequence <= ? ORDER BY sequence LIMIT ?`,
    ),
    expired: db.prepare<[number, number], RecordRow>(
      `${records} WHERE until_ms <= ? ORDER BY until_ms LIMIT ?`,
    ),
    entrySequences: db
      .prepare<[number, number, number, number], number>(
        `SELECT sequence FROM catalog_record WHERE publisher = ? AND kind IS NOT NULL AND until_ms > ?
         AND sequence > ? ORDER BY sequence LIMIT ?`,
      )
      .pluck(),
    untilOf: db
      .prepare<[number, number], number>(
        'SELECT until_ms FROM catalog_record WHERE publisher = ? AND sequence = ?',
      )
      .pluck(),
    ids: db
      .prepare<[Uint8Array, number, number], Buffer>(
        'SELECT id FROM catalog_record WHERE id > ? AND until_ms > ? ORDER BY id LIMIT ?',
      )
      .pluck(),
    addRecord: db.prepare<[number, number, Uint8Array, number | null, string, number, number]>(
      `INSERT INTO catalog_record (publisher, sequence, id, kind, mime, until_ms, bytes)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    removeRecord: db.prepare<[number]>('DELETE FROM catalog_record WHERE n = ?'),

    body: db.prepare<[number], SignedBytes>('SELECT payload, signature FROM catalog_body WHERE n = ?'),
    previousOf: db
      .prepare<[number, number], Buffer | null>(
        `SELECT previous FROM catalog_body
         WHERE n = (SELECT n FROM catalog_record WHERE publisher = ? AND sequence = ?)`,
      )
      .pluck(),
    addBody: db.prepare<[number, Uint8Array | null, Uint8Array, Uint8Array]>(
      'INSERT INTO catalog_body (n, previous, payload, signature) VALUES (?, ?, ?, ?)',
    ),
    removeBody: db.prepare<[number]>('DELETE FROM catalog_body WHERE n = ?'),

    addText: db.prepare<[number, string, string, string]>(
      'INSERT INTO catalog_text (rowid, title, description, tags) VALUES (?, ?, ?, ?)',
    ),
    removeText: db.prepare<[number]>('DELETE FROM catalog_text WHERE rowid = ?'),

    isWithdrawn: db
      .prepare<[number, number], number>(
        'SELECT 1 FROM catalog_withdrawn WHERE publisher = ? AND sequence = ? LIMIT 1',
      )
      .pluck(),
    addWithdrawn: db.prepare<[number, number, number]>(
      'INSERT OR IGNORE INTO catalog_withdrawn (publisher, sequence, by) VALUES (?, ?, ?)',
    ),
    removeWithdrawn: db.prepare<[number]>('DELETE FROM catalog_withdrawn WHERE by = ?'),
  }
}
