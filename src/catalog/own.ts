import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { decodeRecord, encodeBatches, entryProblem, signRecord } from '../../protocols/catalog/index.ts'
import { MAX_LIFETIME_MS, MAX_WITHDRAWN } from '../../protocols/catalog/limits.ts'
import type {
  CatalogRecord,
  Entry,
  Head,
  RecordBody,
  RecordFields,
  SignedBytes,
} from '../../protocols/catalog/types.ts'
import type { Signer } from '../../protocols/shared/ed25519.ts'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import type { Gossip } from '../gossip/index.ts'
import { unlessAborted } from '../../protocols/shared/unless-aborted.ts'
import type { StateDatabase } from '../storage/state/types.ts'
import type { Logger } from '../telemetry/types.ts'
import {
  catalogFull,
  entryInvalid,
  lifetimeInvalid,
  linkNotRevealed,
  nothingPublished,
  notPublished,
} from './errors.ts'
import { MAX_CHECKS_PER_STEP, MAX_RECORDS_PER_PUBLISHER, MAX_ROWS_PER_STEP, TELL_DELAY_MS } from './limits.ts'
import type { CatalogStore } from './store.ts'
import { CATALOG_TOPIC } from './topic.ts'
import type { Draft } from './types.ts'

/** An address as it is published. */
export interface PublicAddress {
  text: string
  isLink: boolean
}

/** What is known here of what an address leads to. */
export type Description = Partial<Pick<Entry, 'title' | 'kind' | 'mime' | 'sizeBytes'>>

export interface OwnLogOptions {
  networkName: string
  state: Pick<StateDatabase, 'write'>
  store: CatalogStore
  signer: Signer
  lifetimeMs: number
  /** @throws ERR_ADDRESS_INVALID, ERR_LINK_…, ERR_CONTENT_PRIVATE */
  publicAddress: (address: string) => PublicAddress
  /** Never fails; undefined where nothing is known. */
  describe: (address: string, signal: AbortSignal) => Promise<Description | undefined>
  /** Whether there is a DHT to ask. */
  hasRoutes: () => boolean
  /**
   * The best head of this node's own log that others know; undefined where none is known so far. Asked before every record,
   * so it answers at once but where it looks again. Never fails, and ends by itself.
   */
  findHead: () => Promise<Head | undefined>
  /** Undefined until the node runs. */
  gossip: () => Pick<Gossip, 'publish'> | undefined
  onPublished: (record: CatalogRecord) => void
  log: Logger
  now: () => number
}

/** What this node publishes: its log, one record after the other. */
export class OwnLog {
  readonly #options: OwnLogOptions
  /** Kept, and waiting to be told: at most as many as one publisher may have. */
  readonly #untold: SignedBytes[] = []
  #telling: Promise<number> | undefined
  /** Nothing has to be renewed before. */
  #renewalMs = 0

  constructor(options: OwnLogOptions) {
    this.#options = options
  }

  /** The signed record, and to how many neighbours it went at once. */
  async publish(
    draft: Draft,
    { signal }: { signal: AbortSignal },
  ): Promise<{ record: CatalogRecord; neighbours: number }> {
    const { lifetimeMs = this.#options.lifetimeMs } = draft
    if (!(lifetimeMs >= 1 && lifetimeMs <= MAX_LIFETIME_MS)) throw lifetimeInvalid(MAX_LIFETIME_MS)
    const entry = await this.#entry(draft, signal)
    const head = await this.#lastHead(signal)
    signal.throwIfAborted()
    const atMs = this.#options.now()
    const [record] = await this.#append(head, [{ atMs, untilMs: atMs + Math.round(lifetimeMs), entry }])
    if (record === undefined) throw new TypeError('nothing was appended')
    return { record, neighbours: await this.#tell([record.signed]) }
  }

  /** Withdraws own entries; returns their numbers, ascending. */
  async withdraw(
    sequences: readonly number[] | 'all',
    { signal }: { signal: AbortSignal },
  ): Promise<{ sequences: number[]; neighbours: number }> {
    const wanted = sequences === 'all' ? this.#allOwn() : [...new Set(sequences)].sort((a, b) => a - b)
    const own = this.#ownId()
    const missing = wanted.find((sequence) => !this.#isPublished(own, sequence))
    if (missing !== undefined) throw notPublished(missing)
    if (wanted.length === 0) throw nothingPublished()
    const head = await this.#lastHead(signal)
    const records: SignedBytes[] = []
    for (let at = 0; at < wanted.length; at += MAX_WITHDRAWN) {
      signal.throwIfAborted()
      const withdraws = wanted.slice(at, at + MAX_WITHDRAWN)
      const appended = await this.#append(head, [this.#withdrawal(own, withdraws)])
      records.push(...appended.map(({ signed }) => signed))
    }
    return { sequences: wanted, neighbours: await this.#tell(records) }
  }

  /**
   * Publishes anew what has less than a third of its time left, and withdraws what it takes the place of. Entries that were published for
   * another time than is usual end with it: so it was asked for. How many were renewed.
   */
  async renew({ signal }: { signal: AbortSignal }): Promise<number> {
    if (this.#options.now() < this.#renewalMs) return 0
    const own = this.#ownId()
    const due = await this.#due(own, signal)
    const head = due.length === 0 ? undefined : await this.#lastHead(signal)
    let renewed = 0
    for (let at = 0; at < due.length; at += MAX_CHECKS_PER_STEP) {
      signal.throwIfAborted()
      const atMs = this.#options.now()
      const untilMs = atMs + this.#options.lifetimeMs
      // It may have been withdrawn meanwhile.
      const old = due
        .slice(at, at + MAX_CHECKS_PER_STEP)
        .filter(({ sequence }) => this.#isPublished(own, sequence))
      if (old.length === 0) continue
      // In one: after a crash there is the old or the new, and never both.
      const records = await this.#append(head, [
        ...old.map(({ entry }) => ({ atMs, untilMs, entry })),
        this.#withdrawal(
          own,
          old.map(({ sequence }) => sequence),
        ),
      ])
      renewed += old.length
      await this.#tell(records.map(({ signed }) => signed))
    }
    return renewed
  }

  /** What is to be renewed now; and notes when something will be. */
  async #due(own: number, signal: AbortSignal): Promise<{ sequence: number; entry: Entry }[]> {
    const { store, now, lifetimeMs } = this.#options
    const due: { sequence: number; entry: Entry }[] = []
    let nextMs = now() + (2 * lifetimeMs) / 3
    for (let after = 0; ; ) {
      signal.throwIfAborted()
      const page = store.entrySequences(own, now(), after, MAX_ROWS_PER_STEP)
      for (const sequence of page) {
        const renewalMs = this.#untilMs(own, sequence) - lifetimeMs / 3
        if (renewalMs > now()) {
          nextMs = Math.min(nextMs, renewalMs)
          continue
        }
        const entry = this.#renewable(own, sequence)
        if (entry !== undefined) due.push({ sequence, entry })
      }
      const last = page.at(-1)
      if (last === undefined) break
      after = last
      await turn()
    }
    this.#renewalMs = nextMs
    return due
  }

  #renewable(own: number, sequence: number): Entry | undefined {
    const { store, lifetimeMs, publicAddress } = this.#options
    const signed = store.signedBySequence(own, sequence)
    if (signed === undefined) return undefined
    const { entry, atMs, untilMs } = decodeRecord(signed)
    if (entry === undefined || untilMs - atMs !== Math.round(lifetimeMs)) return undefined
    try {
      // It may have been made private since.
      publicAddress(entry.address)
      return entry
    } catch {
      return undefined
    }
  }

  #withdrawal(
    own: number,
    withdraws: number[],
  ): Pick<RecordFields, 'atMs' | 'untilMs'> & { withdraws: number[] } {
    const atMs = this.#options.now()
    // For as long as somebody may keep what it withdraws.
    const lastMs = Math.max(...withdraws.map((sequence) => this.#untilMs(own, sequence)))
    const untilMs = Math.min(Math.max(lastMs, atMs + 1), atMs + MAX_LIFETIME_MS)
    return { atMs, untilMs, withdraws }
  }

  async #entry(draft: Draft, signal: AbortSignal): Promise<Entry> {
    const { publicAddress, describe } = this.#options
    const address = publicAddress(draft.address)
    if (address.isLink && draft.revealsLink !== true) throw linkNotRevealed()
    const known = (await describe(address.text, signal)) ?? {}
    const entry: Entry = {
      kind: draft.kind ?? (address.isLink ? 'private' : (known.kind ?? 'other')),
      title: draft.title ?? known.title ?? '',
      description: draft.description ?? '',
      tags: draft.tags ?? [],
      mime: draft.mime ?? known.mime ?? '',
      sizeBytes: draft.sizeBytes ?? known.sizeBytes ?? null,
      address: address.text,
    }
    const problem = entryProblem(entry)
    if (problem !== undefined) throw entryInvalid(problem)
    return entry
  }

  /** All or none, and durable before anybody hears of it: no number is ever used twice. */
  async #append(
    head: Head | undefined,
    all: readonly (Omit<RecordFields, 'sequence' | 'previous'> & RecordBody)[],
  ): Promise<CatalogRecord[]> {
    const { state, store, onPublished } = this.#options
    const records = await state
      .write(() => all.map((fields) => this.#appendOne(head, fields)))
      .catch((error: unknown) => {
        store.rolledBack()
        throw error
      })
    for (const record of records) onPublished(record)
    return records
  }

  #appendOne(
    head: Head | undefined,
    fields: Omit<RecordFields, 'sequence' | 'previous'> & RecordBody,
  ): CatalogRecord {
    const { networkName, store, signer } = this.#options
    const known = store.publisher(signer.publicKey)
    const isAhead = head !== undefined && head.sequence > (known?.highest ?? 0)
    const last = isAhead ? head.sequence : (known?.highest ?? 0)
    const previous = isAhead ? head.record : (known?.highest_id ?? undefined)
    const [earliest] = known === undefined ? [] : store.entrySequences(known.id, fields.atMs, 0, 1)
    if (earliest !== undefined && earliest <= last + 1 - MAX_RECORDS_PER_PUBLISHER)
      throw catalogFull(MAX_RECORDS_PER_PUBLISHER)
    const signed = signRecord(signer, networkName, { ...fields, sequence: last + 1, previous })
    if (store.keep(signed).verdict !== 'taken')
      throw new P2pnodeError('ERR_CATALOG_FAILED', 'failed', 'an own record could not be kept')
    return signed
  }

  /**
   * Where the log ends by what others say: ahead of what is here where the state was lost or put back. Asked each time, since
   * a search that found nothing may have ended too early, and a higher head may be heard of later.
   */
  async #lastHead(signal: AbortSignal): Promise<Head | undefined> {
    const head = await unlessAborted(this.#options.findHead(), signal)
    if (head === undefined && !this.#options.hasRoutes())
      this.#options.log.debug('nobody could be asked where the log of this node ends')
    return head
  }

  /** How many neighbours were told. What is published in one moment goes as one message. */
  #tell(records: readonly SignedBytes[]): Promise<number> {
    this.#untold.push(...records)
    this.#telling ??= this.#tellSoon()
    return this.#telling
  }

  /** Never fails: what is not told is brought by anti-entropy. */
  async #tellSoon(): Promise<number> {
    await sleep(TELL_DELAY_MS)
    const records = this.#untold.splice(0)
    this.#telling = undefined
    const gossip = this.#options.gossip()
    let neighbours = 0
    try {
      for (const batch of encodeBatches(records))
        neighbours = Math.max(neighbours, (await gossip?.publish(CATALOG_TOPIC, batch)) ?? 0)
    } catch (error) {
      this.#options.log.debug({ error: String(error) }, 'neighbours could not be told of a record')
    }
    return neighbours
  }

  #ownId(): number {
    return this.#options.store.publisher(this.#options.signer.publicKey)?.id ?? -1
  }

  #allOwn(): number[] {
    const { store, now } = this.#options
    return store.entrySequences(this.#ownId(), now(), 0, MAX_RECORDS_PER_PUBLISHER)
  }

  #isPublished(own: number, sequence: number): boolean {
    const { store, now } = this.#options
    return store.entrySequences(own, now(), sequence - 1, 1)[0] === sequence
  }

  #untilMs(own: number, sequence: number): number {
    return this.#options.store.untilMs(own, sequence) ?? 0
  }
}
