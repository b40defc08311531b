import type { Ed25519PrivateKey } from '@libp2p/interface'
import type { Logger } from '../../telemetry/types.ts'
import { parseAddress } from '../read/address.ts'
import { contentDenied, contentPrivate } from '../errors.ts'
import type { PrivateMark } from '../private/types.ts'
import type { NameNetwork } from './dht.ts'
import {
  lifetimeInvalid,
  nameLoop,
  nameNotFound,
  recordOutdated,
  sequenceExhausted,
  tooManyRecords,
} from './errors.ts'
import type { RecordFinder } from './finder.ts'
import type { NameKeys } from './keys.ts'
import { SELF } from './keys.ts'
import {
  CHECK_TIMEOUT_MS,
  DEFAULT_LIFETIME_MS,
  DEFAULT_TTL_MS,
  MAX_IMPORTED_RECORDS,
  MAX_LIFETIME_MS,
  MAX_SEQUENCE,
  MAX_TTL_MS,
  MIN_LIFETIME_MS,
  PUT_TIMEOUT_MS,
  REPUBLISH_RETRY_MS,
} from './limits.ts'
import { type KeyName, nameOfKey, parseName } from './name.ts'
import { privateTarget } from './private.ts'
import { isBetter, readRecord, signRecord } from './record.ts'
import type { NameStore, Publication } from './store.ts'
import type { ImportedName, NameRecord, PublishedName, PublishOptions } from './types.ts'

export interface PublisherOptions {
  store: NameStore
  keys: NameKeys
  finder: RecordFinder
  network: NameNetwork
  isPrivate: PrivateMark['isPrivate']
  /** Whether it is told to nobody that this name leads there. */
  isDenied: (name: string, value: string) => boolean
  republishMs: number
  log: Logger
  now: () => number
}

const NOBODY = 'nobody could be told; it is tried again'
const ELSEWHERE = 'another node publishes under this key, with a higher number'

/** Signs records, keeps them, and tells the network. */
export class NamePublisher {
  readonly #options: PublisherOptions
  /** One publication of a key at a time; as many as there are keys. */
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  async publish(options: PublishOptions): Promise<PublishedName> {
    const { key = SELF, lifetimeMs = DEFAULT_LIFETIME_MS, ttlMs = DEFAULT_TTL_MS, signal } = options
    checkTimes(lifetimeMs, ttlMs)
    const value = this.#value(options.address)
    return this.#inTurn(key, async () => {
      signal.throwIfAborted()
      // A key is removed in a turn of its own: what is taken here stays valid until this one ends.
      const privateKey = await this.#options.keys.get(key)
      const name = nameOfKey(privateKey.publicKey.toMultihash())
      if (value === `/ipns/${name.text}` || value.startsWith(`/ipns/${name.text}/`))
        throw nameLoop(name.text, 'would lead back to itself')
      this.#assertTold(name.text, value)
      if (options.offline !== true) await this.#lookAround(name, signal)
      // It may have been made private, or listed, while the network was asked.
      this.#assertTold(name.text, value)
      const publication = { name: name.text, key, value, lifetimeMs, ttlMs, told: 0, problem: null }
      await this.#sign(privateKey, name, publication)
      if (options.offline !== true) await this.#tell(name, signal)
      return this.#present(name.text)
    })
  }

  async import(
    text: string,
    bytes: Uint8Array,
    { keep, signal }: { keep: boolean; signal: AbortSignal },
  ): Promise<ImportedName> {
    const { store, now, republishMs } = this.#options
    const name = parseName(text)
    if (name.kind !== 'key') throw nameNotFound(text, 'a domain has no IPNS record')
    const record = await readRecord(name, bytes, now())
    this.#assertTold(name.text, record.value)
    // The DHT replaces what is there without comparing: whoever puts looks first.
    await this.#lookAround(name, signal)
    this.#assertTold(name.text, record.value)
    const known = store.record(name.text)
    if (known !== undefined && isBetter(known, record)) throw recordOutdated(record.sequence, known.sequence)
    // What this node publishes itself is told again anyway.
    if (keep && store.publication(name.text) === undefined) {
      await store.write(() => {
        if ((known === undefined || known.nextMs === null) && store.countImported() >= MAX_IMPORTED_RECORDS)
          throw tooManyRecords(MAX_IMPORTED_RECORDS)
        store.keep(name.text, record, now(), now() + spread(republishMs))
      })
    } else store.see(name.text, record, now())
    const told = await this.#put(name, record, signal)
    return {
      name: name.text,
      value: record.value,
      sequence: record.sequence,
      validUntilMs: record.validUntilMs,
      told,
    }
  }

  /** Tells peers again; signs anew before the record ends. */
  async republish(text: string, signal: AbortSignal): Promise<void> {
    const name = parseName(text)
    if (name.kind !== 'key') return
    const publication = this.#options.store.publication(text)
    await (publication === undefined
      ? this.#retellImported(name, signal)
      : this.#inTurn(publication.key, () => this.#retellOwn(name, signal)))
  }

  async #retellImported(name: KeyName, signal: AbortSignal): Promise<void> {
    const { store, now } = this.#options
    const record = store.record(name.text)
    if (record === undefined || record.validUntilMs <= now()) return store.setNext(name.text, null)
    if (this.#isWithheld(name.text, record.value)) return this.#putOff(name)
    await this.#lookAround(name, signal)
    const best = store.record(name.text) ?? record
    if (this.#isWithheld(name.text, best.value)) return this.#putOff(name)
    if ((await this.#put(name, best, signal)) > 0) return this.#putOff(name)
    store.setNext(name.text, now() + REPUBLISH_RETRY_MS)
  }

  async #retellOwn(name: KeyName, signal: AbortSignal): Promise<void> {
    const { store, keys, now } = this.#options
    const current = store.publication(name.text)
    if (current === undefined) return
    if (this.#isWithheld(name.text, current.value)) return this.#putOff(name)
    await this.#lookAround(name, signal)
    const record = store.record(name.text)
    const isWithheld = (value: string): boolean => this.#isWithheld(name.text, value)
    // It may have been made private meanwhile, and what was found may lead elsewhere.
    if (isWithheld(current.value) || (record !== undefined && isWithheld(record.value)))
      return this.#putOff(name)
    if (record !== undefined && record.sequence > store.sequence(name.text)) {
      store.setTold(name.text, await this.#put(name, record, signal), ELSEWHERE)
      return this.#putOff(name)
    }
    const leftMs = (record?.validUntilMs ?? 0) - now()
    if (leftMs < current.lifetimeMs / 2) await this.#sign(await keys.get(current.key), name, current)
    await this.#tell(name, signal)
  }

  /** Until peers are to be told the next time; what they may not be told of now is taken up again once they may. */
  #putOff(name: KeyName): void {
    const { store, now, republishMs } = this.#options
    store.setNext(name.text, now() + spread(republishMs))
  }

  published(): PublishedName[] {
    return this.#options.store.publications().map(({ name }) => this.#present(name))
  }

  async unpublish(key: string): Promise<void> {
    const { store } = this.#options
    await this.#inTurn(key, async () => {
      const publication = store.publications().find((each) => each.key === key)
      if (publication === undefined) throw nameNotFound(key, 'nothing is published with this key')
      await store.write(() => store.removePublication(publication.name))
    })
  }

  /** After what is being published with the key: nothing is under its name once this resolves. */
  async removeKey(key: string): Promise<void> {
    await this.#inTurn(key, () => this.#options.keys.remove(key))
  }

  /** The path that a record holds. @throws ERR_ADDRESS_INVALID, ERR_NAME_INVALID, ERR_CONTENT_PRIVATE */
  #value(address: string): string {
    const named = /^(?:\/ipns\/|ipns:\/\/)([^/]+)(.*)$/s.exec(address)
    if (named !== null) {
      const rest = (named[2] ?? '').split('/').filter((part) => part !== '')
      return ['/ipns', parseName(named[1] ?? '').text, ...rest].join('/')
    }
    const { root, path } = parseAddress(address)
    if (this.#options.isPrivate(root)) throw contentPrivate(root)
    return [`/ipfs/${root}`, ...path].join('/')
  }

  /** Whether nobody may be told now that this name leads there. */
  #isWithheld(name: string, value: string): boolean {
    const { isDenied, isPrivate } = this.#options
    return isDenied(name, value) || privateTarget(value, isPrivate) !== undefined
  }

  /** @throws ERR_CONTENT_PRIVATE, ERR_CONTENT_DENIED */
  #assertTold(name: string, value: string): void {
    const hidden = privateTarget(value, this.#options.isPrivate)
    if (hidden !== undefined) throw contentPrivate(hidden)
    if (this.#options.isDenied(name, value)) throw contentDenied(value)
  }

  /** What the network has of a name, so that it is not put back to something older. Never fails. */
  async #lookAround(name: KeyName, signal: AbortSignal): Promise<void> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(CHECK_TIMEOUT_MS)])
    try {
      await this.#options.finder.search(name, bounded)
    } catch (error) {
      signal.throwIfAborted()
      this.#options.log.debug({ name: name.text, error: String(error) }, 'nobody was asked before a put')
    }
  }

  /** A new record with the next number. The number is durable before anybody can see it: no two records ever have one. */
  async #sign(key: Ed25519PrivateKey, name: KeyName, publication: Publication): Promise<void> {
    const { store, now } = this.#options
    const sequence = await store.write(() => {
      const seen = store.record(name.text)?.sequence ?? 0n
      const last = store.sequence(name.text)
      const next = (seen > last ? seen : last) + 1n
      if (next > MAX_SEQUENCE) throw sequenceExhausted(name.text)
      store.setSequence(name.text, next)
      return next
    })
    const { value, lifetimeMs, ttlMs } = publication
    const bytes = await signRecord(key, { value, sequence, lifetimeMs, ttlMs })
    const record = await readRecord(name, bytes)
    await store.write(() => {
      store.putPublication(publication)
      store.keep(name.text, record, now(), now())
    })
  }

  async #tell(name: KeyName, signal: AbortSignal): Promise<void> {
    const { store, now, republishMs } = this.#options
    const record = store.record(name.text)
    if (record === undefined) return
    const told = await this.#put(name, record, signal)
    store.setTold(name.text, told, told > 0 ? null : NOBODY)
    store.setNext(name.text, now() + (told > 0 ? spread(republishMs) : REPUBLISH_RETRY_MS))
  }

  async #put(name: KeyName, record: NameRecord, signal: AbortSignal): Promise<number> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(PUT_TIMEOUT_MS)])
    try {
      return await this.#options.network.put(name, record.bytes, { signal: bounded })
    } catch (error) {
      signal.throwIfAborted()
      this.#options.log.debug({ name: name.text, error: String(error) }, 'a record could not be put')
      return 0
    }
  }

  #present(name: string): PublishedName {
    const { store } = this.#options
    const publication = store.publication(name)
    const record = store.record(name)
    if (publication === undefined || record === undefined) throw nameNotFound(name, 'it was taken back')
    const { sequence, validUntilMs, nextMs } = record
    return { ...publication, sequence, validUntilMs, nextMs: nextMs ?? validUntilMs }
  }

  async #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key)
    const turn = (async () => {
      await before?.catch(() => {})
      return work()
    })()
    this.#turns.set(key, turn)
    try {
      return await turn
    } finally {
      if (this.#turns.get(key) === turn) this.#turns.delete(key)
    }
  }
}

/** Between three quarters of the interval and all of it, so that names that were published together come apart. */
function spread(intervalMs: number): number {
  return Math.round(intervalMs * (0.75 + Math.random() / 4))
}

function checkTimes(lifetimeMs: number, ttlMs: number): void {
  if (!(lifetimeMs >= MIN_LIFETIME_MS && lifetimeMs <= MAX_LIFETIME_MS))
    throw lifetimeInvalid(`a record lives from ${MIN_LIFETIME_MS} to ${MAX_LIFETIME_MS} ms`)
  if (!(ttlMs >= 0 && ttlMs <= MAX_TTL_MS))
    throw lifetimeInvalid(`an answer is kept from 0 to ${MAX_TTL_MS} ms`)
}
