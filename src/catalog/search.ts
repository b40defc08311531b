import { ENTRY_KINDS } from '../../protocols/catalog/types.ts'
import type { StateDatabase } from '../storage/state/types.ts'
import { searchInvalid } from './errors.ts'
import {
  DEFAULT_PAGE_ENTRIES,
  MAX_PAGE_ENTRIES,
  MAX_RANKED_MATCHES,
  MAX_RECORDS_PER_PUBLISHER,
  MAX_SEARCH_CHARACTERS,
  MAX_SEARCH_OFFSET,
} from './limits.ts'
import { matchExpression } from './query.ts'
import type { CatalogStore } from './store.ts'
import type { CatalogEntry, Found, Search } from './types.ts'

export interface CatalogSearchOptions {
  state: Pick<StateDatabase, 'db'>
  store: CatalogStore
  hidden: () => ReadonlySet<number>
  /** Whether what an entry leads to may be shown: the second question, after that of its publisher. */
  isShown: (entry: CatalogEntry) => boolean
  present: (n: number) => CatalogEntry | undefined
  /** Text form of the peer id that a text names. @throws ERR_PEER_INVALID */
  parsePeer: (text: string) => string
  now: () => number
}

/** A title says more than a tag, and that more than a description. */
const WEIGHTS = '8.0, 1.0, 4.0'

interface Filter {
  /** Conditions on `r`, a row of catalog_record, and what they are about. */
  where: string
  values: Record<string, string | number>
}

/** Full-text search over what is kept: SQLite's, with the policy on top. */
export class CatalogSearch {
  readonly #options: CatalogSearchOptions

  constructor(options: CatalogSearchOptions) {
    this.#options = options
  }

  /** @throws ERR_CATALOG_SEARCH, ERR_PEER_INVALID */
  find(search: Search): Found {
    const limit = search.limit ?? DEFAULT_PAGE_ENTRIES
    if (!(limit >= 1 && limit <= MAX_PAGE_ENTRIES))
      throw searchInvalid(`a page has 1 to ${MAX_PAGE_ENTRIES} entries`)
    const match = matchExpression(search.text ?? '', search.tag)
    const after = cursorOf(search.after)
    const filter = this.#filter(search)
    const { rows, counts } =
      match !== undefined && search.publisher !== undefined
        ? this.#ofPublisher(match, filter, after, limit)
        : this.#page(match, filter, after, limit)
    const total = counts.matches - counts.hidden
    const entries = rows.map(this.#options.present).filter((entry) => entry !== undefined)
    const shown = entries.filter((entry) => this.#options.isShown(entry))
    return {
      entries: shown,
      total,
      hidden: { entries: counts.hidden + entries.length - shown.length, publishers: counts.publishers },
      next: nextOf(match === undefined, { rows, after, limit, total }),
    }
  }

  #filter({ kind, mime, publisher }: Search): Filter {
    const { store, hidden, parsePeer, now } = this.#options
    const conditions = ['r.kind IS NOT NULL', 'r.until_ms > @now']
    const values: Filter['values'] = { now: now(), hidden: JSON.stringify([...hidden()]) }
    if (kind !== undefined) {
      conditions.push('r.kind = @kind')
      values['kind'] = ENTRY_KINDS[kind]
    }
    if (mime !== undefined) {
      if (mime.length > MAX_SEARCH_CHARACTERS)
        throw searchInvalid('a MIME type looks like video/mp4, or video/')
      conditions.push(mime.endsWith('/') ? 'substr(r.mime, 1, length(@mime)) = @mime' : 'r.mime = @mime')
      values['mime'] = mime.toLowerCase()
    }
    if (publisher !== undefined) {
      conditions.push('r.publisher = @publisher')
      values['publisher'] = store.publisherOfPeer(parsePeer(publisher))?.id ?? -1
    }
    return { where: conditions.join(' AND '), values }
  }

  #page(match: string | undefined, filter: Filter, after: number, limit: number): Page {
    const counts = this.#count(match, filter)
    if (match === undefined) return { counts, rows: this.#newest(filter, after, limit) }
    const isRanked = counts.matches - counts.hidden <= MAX_RANKED_MATCHES
    return { counts, rows: this.#ranked(match, filter, { after, limit, isRanked }) }
  }

  /**
   * Counted and ordered in one go: with a word of every entry most of the time goes into passing over what others published, and
   * one publisher has at most MAX_RECORDS_PER_PUBLISHER that match.
   */
  #ofPublisher(match: string, filter: Filter, after: number, limit: number): Page {
    const isHidden = this.#options.hidden().has(Number(filter.values['publisher']))
    const all = { after: 0, limit: MAX_RECORDS_PER_PUBLISHER }
    const rows = this.#ranked(match, filter, { ...all, isRanked: true, shown: 'TRUE' })
    const hidden = isHidden ? rows.length : 0
    const counts = { matches: rows.length, hidden, publishers: hidden > 0 ? 1 : 0 }
    return { counts, rows: isHidden ? [] : rows.slice(after, after + limit) }
  }

  #count(match: string | undefined, { where, values }: Filter): Counts {
    const from =
      match === undefined
        ? 'catalog_record r WHERE'
        : 'catalog_text CROSS JOIN catalog_record r ON r.n = catalog_text.rowid WHERE catalog_text MATCH @match AND'
    const isHidden = 'r.publisher IN (SELECT value FROM json_each(@hidden))'
    const sql = `SELECT count(*) AS matches, count(*) FILTER (WHERE ${isHidden}) AS hidden,
      count(DISTINCT r.publisher) FILTER (WHERE ${isHidden}) AS publishers FROM ${from} ${where}`
    return this.#all<Counts>(sql, match === undefined ? values : { ...values, match })[0] ?? NOTHING
  }

  #newest({ where, values }: Filter, before: number, limit: number): number[] {
    const sql = `SELECT r.n FROM catalog_record r WHERE ${where} AND ${SHOWN}
      AND (@before = 0 OR r.n < @before) ORDER BY r.n DESC LIMIT @limit`
    return this.#all<{ n: number }>(sql, { ...values, before, limit }).map(({ n }) => n)
  }

  #ranked(
    match: string,
    { where, values }: Filter,
    { after, limit, isRanked, shown = SHOWN }: Order,
  ): number[] {
    const order = isRanked
      ? `bm25(catalog_text, ${WEIGHTS}), catalog_text.rowid DESC`
      : 'catalog_text.rowid DESC'
    const sql = `SELECT r.n FROM catalog_text CROSS JOIN catalog_record r ON r.n = catalog_text.rowid
      WHERE catalog_text MATCH @match AND ${where} AND ${shown} ORDER BY ${order} LIMIT @limit OFFSET @after`
    return this.#all<{ n: number }>(sql, { ...values, match, limit, after }).map(({ n }) => n)
  }

  #all<Row>(sql: string, values: Record<string, string | number>): Row[] {
    return this.#options.state.db.prepare<[Record<string, string | number>], Row>(sql).all(values)
  }
}

interface Counts {
  matches: number
  hidden: number
  publishers: number
}

interface Page {
  counts: Counts
  /** Of the records on the page, in order; none of a hidden publisher. */
  rows: number[]
}

interface Order {
  after: number
  limit: number
  /** By how well they match; else the newest first. */
  isRanked: boolean
  /** A condition in place of that which leaves out hidden publishers. */
  shown?: string
}

const NOTHING: Counts = { matches: 0, hidden: 0, publishers: 0 }
const SHOWN = 'r.publisher NOT IN (SELECT value FROM json_each(@hidden))'

/** @throws ERR_CATALOG_SEARCH */
function cursorOf(text: string | undefined): number {
  if (text === undefined) return 0
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(value)) throw searchInvalid('after is what the page before gave as next')
  return value
}

/** Of newest entries a row, since new ones come meanwhile; of ranked ones a place. */
function nextOf(
  isNewest: boolean,
  { rows, after, limit, total }: { rows: number[]; after: number; limit: number; total: number },
): string | null {
  if (rows.length < limit) return null
  if (isNewest) return String(rows.at(-1))
  const place = after + rows.length
  return place < Math.min(total, MAX_SEARCH_OFFSET) ? String(place) : null
}
