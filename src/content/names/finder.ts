import { unlessAborted } from '../../../protocols/shared/unless-aborted.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { NameNetwork } from './dht.ts'
import { namesBusy } from './errors.ts'
import { LOOKUP_SETTLE_MS, LOOKUP_TIMEOUT_MS, MAX_LOOKUPS, MAX_RECORDS_PER_LOOKUP } from './limits.ts'
import type { KeyName } from './name.ts'
import { isBetter, readRecord } from './record.ts'
import type { NameStore, StoredRecord } from './store.ts'
import type { NameQuery, NameRecord } from './types.ts'

export interface FinderOptions {
  store: NameStore
  network: NameNetwork
  log: Logger
  now: () => number
}

/**
 * Records of keys: those that are kept, while their ttl allows it, and the network's. The number of a name never goes back
 * here: what the network says is taken only where it is better than what is known.
 */
export class RecordFinder {
  readonly #options: FinderOptions
  readonly #searches = new Map<string, Promise<StoredRecord | undefined>>()
  readonly #stop = new AbortController()

  constructor(options: FinderOptions) {
    this.#options = options
  }

  /** Undefined where no valid record is to be had. @throws ERR_NAMES_BUSY, the signal's reason */
  async find(name: KeyName, query: NameQuery): Promise<StoredRecord | undefined> {
    const { store, now } = this.#options
    const known = this.#valid(store.record(name.text))
    // What this node publishes is decided here, and nowhere else: it is never old.
    if (known !== undefined && store.publication(name.text) !== undefined)
      return { ...known, checkedMs: now() }
    if (query.offline === true) return known
    const maxAgeMs = Math.min(known?.ttlMs ?? 0, query.maxAgeMs ?? Number.POSITIVE_INFINITY)
    if (known !== undefined && now() - known.checkedMs < maxAgeMs) return known
    return (await this.search(name, query.signal)) ?? this.#valid(store.record(name.text))
  }

  /** Asks the network, whatever is known. @throws ERR_NAMES_BUSY, the signal's reason */
  async search(name: KeyName, signal: AbortSignal): Promise<StoredRecord | undefined> {
    let search = this.#searches.get(name.text)
    if (search === undefined) {
      if (this.#searches.size >= MAX_LOOKUPS) throw namesBusy(MAX_LOOKUPS)
      search = this.#search(name).finally(() => this.#searches.delete(name.text))
      this.#searches.set(name.text, search)
    }
    return unlessAborted(search, signal)
  }

  stop(): void {
    this.#stop.abort(new Error('the node stops'))
  }

  async #search(name: KeyName): Promise<StoredRecord | undefined> {
    const { network, store, log, now } = this.#options
    const enough = new AbortController()
    const signal = AbortSignal.any([this.#stop.signal, enough.signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)])
    let settle: NodeJS.Timeout | undefined
    let best: NameRecord | undefined
    let seen = 0
    try {
      for await (const bytes of network.get(name, { signal })) {
        seen += 1
        if (seen > MAX_RECORDS_PER_LOOKUP) break
        const record = await readRecord(name, bytes, now()).catch((error: unknown) => {
          log.debug({ name: name.text, error: String(error) }, 'a record from the network was refused')
        })
        if (record !== undefined && (best === undefined || isBetter(record, best))) best = record
        if (best !== undefined)
          settle ??= setTimeout(() => enough.abort(new Error('found')), LOOKUP_SETTLE_MS).unref()
      }
    } catch (error) {
      log.debug({ name: name.text, error: String(error) }, 'the search for a record ended')
    } finally {
      clearTimeout(settle)
    }
    if (this.#stop.signal.aborted) return undefined
    if (best === undefined) {
      if (network.hasRoutes) store.touch(name.text, now())
      return undefined
    }
    return store.see(name.text, best, now())
  }

  #valid(record: StoredRecord | undefined): StoredRecord | undefined {
    return record !== undefined && record.validUntilMs > this.#options.now() ? record : undefined
  }
}
