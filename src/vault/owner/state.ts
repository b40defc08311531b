import type { Receipt, SlabId } from '../../../protocols/chunk/types.ts'
import { encodeSigned } from '../../../protocols/chunk/format/index.ts'
import type { StateDatabase } from '../../storage/state/index.ts'
import type { Redundancy, VaultObjectSummary } from '../types.ts'
import type { AtRest } from './at-rest.ts'
import { MAX_LISTED_OBJECTS, ROWS_A_QUERY } from './limits.ts'
import { type ObjectRow, prepareOwnerStatements, type SlabRow } from './state-sql.ts'

export type ObjectState = VaultObjectSummary['state']
export type SlabState = 'open' | 'stored' | 'abandoned' | 'deleting'

/** The manifest's place among the slabs of an object. */
export const MANIFEST_POSITION = -1

/** What is sealed of an object. Bytes are in base64. */
export interface ObjectSecrets {
  name: string
  fileName: string
  kind: 'file' | 'tree'
  readKey: string
  fileKey: string
  /** Of the manifest's slab: drawn at the begin, as its id is the first group's. */
  manifestSalt: string
  /** Fixed once holders were chosen. */
  redundancy: Redundancy | null
  /** Known at the end. */
  size: number
  sha256: string | null
  mime: string
  files: number
}

export interface OwnerObject extends ObjectSecrets {
  id: string
  version: number
  state: ObjectState
  manifest: SlabId
  createdMs: number
}

export interface OwnerSlab {
  id: SlabId
  object: string
  position: number
  group: SlabId
  state: SlabState
  k: number
  n: number
  columnBytes: number
  indexHash: Uint8Array | null
  leaseUntilMs: number
  leaseSequence: number
  salt: Uint8Array
  /** Of the slab's key, where it does not follow from this node's owner secret: it came with another owner's object. */
  seed?: Uint8Array | undefined
  /** One byte a segment; of the manifest none. */
  modes: Uint8Array
}

export interface OwnerColumn {
  slab: SlabId
  column: number
  peer: string
  /** Null: chosen, but nothing came back. */
  receipt: Uint8Array | null
  untilMs: number
  gone: boolean
  /** True where a receipt or a fresh proof says that the holder has it; a mere claim does not. */
  counts: boolean
}

const SALT_BYTES = 32
const NO_RECEIPT = new Uint8Array(0)
const NO_SEED = new Uint8Array(0)

/**
 * The owner's tables of state.db. Methods are one synchronous statement or a few; whoever calls decides by which kind
 * of transaction, and so how durable it is (`write` and `writeRelaxed` of the database).
 */
export class OwnerState {
  readonly database: StateDatabase
  readonly atRest: AtRest
  readonly #sql: ReturnType<typeof prepareOwnerStatements>
  /** Unsealed objects; dropped when a row changes. At most MAX_LISTED_OBJECTS. */
  readonly #unsealed = new Map<string, OwnerObject>()
  readonly #provenWithinMs: number

  /** `provenWithinMs`: how old the proof may be by which a claimed column counts. */
  constructor(database: StateDatabase, atRest: AtRest, provenWithinMs: number) {
    this.database = database
    this.atRest = atRest
    this.#provenWithinMs = provenWithinMs
    this.#sql = prepareOwnerStatements(database)
  }

  insertObject(object: Omit<OwnerObject, 'version'> & { version?: number }): void {
    const mark = this.atRest.markOf(object.name)
    const version = object.version ?? (this.#sql.lastVersion.get(mark)?.version ?? 0) + 1
    const { id, state, manifest, createdMs } = object
    this.#sql.insertObject.run(id, mark, version, state, manifest, createdMs, this.#seal(object))
  }

  object(id: string): OwnerObject | undefined {
    const cached = this.#unsealed.get(id)
    if (cached !== undefined) return cached
    const row = this.#sql.object.get(id)
    return row && this.#unseal(row)
  }

  objectOfManifest(manifest: SlabId): OwnerObject | undefined {
    const row = this.#sql.objectOfManifest.get(manifest)
    return row && this.#unseal(row)
  }

  setSecrets(object: OwnerObject): void {
    this.#unsealed.delete(object.id)
    this.#sql.setSealed.run(this.#seal(object), object.id)
  }

  setObjectState(id: string, state: ObjectState): void {
    this.#unsealed.delete(id)
    this.#sql.setObjectState.run(state, id)
  }

  removeObject(id: string): void {
    this.#unsealed.delete(id)
    this.#sql.removeObject.run(id)
  }

  /** The newest MAX_LISTED_OBJECTS objects, newest first. */
  objects(): OwnerObject[] {
    return this.#sql.objects.all(MAX_LISTED_OBJECTS).map((row) => this.#unseal(row))
  }

  /** All of them, page by page, newest first. */
  *allObjects(): Generator<OwnerObject> {
    let before = { createdMs: Number.MAX_SAFE_INTEGER, id: '' }
    for (;;) {
      const page = this.#sql.objectsBefore.all(before.createdMs, before.id, ROWS_A_QUERY)
      for (const row of page) yield this.#unseal(row)
      const last = page.at(-1)
      if (last === undefined) return
      before = { createdMs: last.created_ms, id: last.id }
    }
  }

  objectCount(): number {
    return this.#sql.objectCount.get()?.count ?? 0
  }

  /** Nothing was ever put here. */
  isEmpty(): boolean {
    return this.#sql.anySlab.get() === undefined && this.objectCount() === 0
  }

  /** Before the slab's first piece leaves. `renewMs`: when its lease is to be renewed, once it is stored. */
  insertSlab(slab: OwnerSlab & { renewMs: number }): void {
    const { id, object, position, group, state, k, n, leaseUntilMs, leaseSequence, renewMs } = slab
    const { columnBytes, indexHash } = slab
    const sealed = this.#sealSlab(slab)
    this.#sql.insertSlab.run(
      id,
      object,
      position,
      group,
      state,
      k,
      n,
      columnBytes,
      indexHash,
      leaseUntilMs,
      leaseSequence,
      Math.floor(renewMs),
      sealed,
    )
  }

  slab(id: SlabId): OwnerSlab | undefined {
    const row = this.#sql.slab.get(id)
    return row && this.#toSlab(row)
  }

  /** Slabs of an object in the order of the stream, the manifest first; at most ROWS_A_QUERY. */
  slabsOf(object: string, afterPosition = MANIFEST_POSITION - 1): OwnerSlab[] {
    return this.#sql.slabsOf.all(object, afterPosition, ROWS_A_QUERY).map((row) => this.#toSlab(row))
  }

  /** All of them, page by page. */
  *allSlabsOf(object: string): Generator<OwnerSlab> {
    let after = MANIFEST_POSITION - 1
    for (;;) {
      const page = this.slabsOf(object, after)
      yield* page
      const last = page.at(-1)
      if (last === undefined || page.length < ROWS_A_QUERY) return
      after = last.position
    }
  }

  /** Every slab of an object is to be deleted at its holders. */
  deleteAll(object: string): void {
    this.#sql.deleteAll.run(object)
  }

  deletingOf(object: string, after: Uint8Array, limit: number): OwnerSlab[] {
    return this.#sql.deletingOf.all(object, after, limit).map((row) => this.#toSlab(row))
  }

  isDeleted(object: string): boolean {
    return this.#sql.isDeleted.get(object) !== undefined
  }

  /** By id, after `after`, at most ROWS_A_QUERY. */
  deleted(after: string): { id: string; atMs: number }[] {
    return this.#sql.deleted.all(after, ROWS_A_QUERY)
  }

  /** The newest versions of the state that are kept as vault objects, newest first. */
  versions(limit: number): { version: number; slab: Uint8Array }[] {
    return this.#sql.versions.all(limit)
  }

  insertVersion(version: number, slab: SlabId, madeMs: number): void {
    this.#sql.insertVersion.run(version, slab, madeMs)
  }

  removeVersion(version: number): void {
    this.#sql.removeVersion.run(version)
  }

  /** Objects of which no slab is left to delete. */
  removeDeleted(): void {
    this.#unsealed.clear()
    this.#sql.removeDeleted.run()
  }

  noteDeleted(object: string, atMs: number): void {
    this.#sql.noteDeleted.run(object, atMs)
  }

  /** By slab id, after `after`, at most ROWS_A_QUERY. */
  slabsInState(state: SlabState, after: SlabId = new Uint8Array(0)): OwnerSlab[] {
    return this.#sql.slabsInState.all(state, after, ROWS_A_QUERY).map((row) => this.#toSlab(row))
  }

  finishSlab(slab: {
    id: SlabId
    salt: Uint8Array
    modes: Uint8Array
    columnBytes: number
    indexHash: Uint8Array
  }): void {
    this.#sql.finishSlab.run(slab.columnBytes, slab.indexHash, this.#sealSlab(slab), slab.id)
  }

  setSlabState(id: SlabId, state: SlabState): void {
    this.#sql.setSlabState.run(state, id)
  }

  /** Slabs of an object's attempts that are not done: from `position` on, and whatever is still open. */
  abandonFrom(object: string, position: number): void {
    this.#sql.abandonFrom.run(object, position)
  }

  abandonAll(object: string): void {
    this.#sql.abandonAll.run(object)
  }

  /** A number never comes back: one that was given out meanwhile stays. */
  setLease(id: SlabId, lease: { untilMs: number; sequence: number; renewMs: number }): void {
    this.#sql.setLease.run(lease.untilMs, lease.sequence, Math.floor(lease.renewMs), id)
  }

  /** The number that is being given out, and when to try again if it does not get through. */
  setRenewal(id: SlabId, { sequence, renewMs }: { sequence: number; renewMs: number }): void {
    this.#sql.setRenewal.run(sequence, Math.floor(renewMs), id)
  }

  /** A number that is being given out with the lease as it is. */
  setSequence(id: SlabId, sequence: number): void {
    this.#sql.setSequence.run(sequence, id)
  }

  /** Stored slabs whose renewal is due at `nowMs`, the most urgent first. */
  due(nowMs: number): OwnerSlab[] {
    return this.#sql.due.all(nowMs, ROWS_A_QUERY).map((row) => this.#toSlab(row))
  }

  nextRenewalMs(): number | undefined {
    return this.#sql.nextRenewal.get()?.at ?? undefined
  }

  /** When the first lease of a stored slab ends, of one object or of all. */
  soonestExpiryMs(object?: string): number | null {
    const row = object === undefined ? this.#sql.soonest.get() : this.#sql.soonestOf.get(object)
    return row?.at ?? null
  }

  removeSlab(id: SlabId): void {
    this.#sql.removeSlab.run(id)
  }

  insertColumn(slab: SlabId, column: number, peer: string): void {
    this.#sql.insertColumn.run(slab, column, peer)
  }

  /** Another machine of this owner had its receipt. */
  addHolder(slab: SlabId, column: number, peer: string): void {
    this.#sql.setReceipt.run(slab, column, peer, NO_RECEIPT, 0)
  }

  /** Somebody who says that it holds the column: worth asking, not worth counting. A receipt that is there stays. */
  addClaim(slab: SlabId, column: number, peer: string): void {
    this.#sql.addClaim.run(slab, column, peer)
  }

  setReceipt(receipt: Receipt, peer: string): void {
    this.#sql.setReceipt.run(
      receipt.slab,
      receipt.column,
      peer,
      encodeSigned(receipt.signed),
      receipt.untilMs,
    )
  }

  setColumnLease(slab: SlabId, peer: string, untilMs: number): void {
    this.#sql.setColumnLease.run(untilMs, slab, peer)
  }

  setGone(slab: SlabId, peer: string): void {
    this.#sql.setGone.run(slab, peer)
  }

  /** What the peer gave this owner a receipt for that runs until after `atMs`, behind a slab, by slab. */
  promisedBy(peer: string, after: SlabId, atMs: number, limit: number): { slab: SlabId; column: number }[] {
    return this.#sql.promisedBy.all(peer, atMs, after, limit)
  }

  /** At most n columns and as many holders that were tried in vain. */
  columnsOf(slab: SlabId): OwnerColumn[] {
    return this.#sql.columnsOf
      .all({ slab, limit: ROWS_A_QUERY, provenSinceMs: this.#provenSinceMs() })
      .map(({ gone, counts, ...row }) => ({ ...row, gone: gone === 1, counts: counts === 1 }))
  }

  /** Bytes on all holders together, and on how many, of what is stored of an object. */
  usageOf(object: string): { stored: number; holders: number; missing: number } {
    const row = this.#sql.usageOf.get({ object, provenSinceMs: this.#provenSinceMs() })
    return { stored: row?.stored ?? 0, holders: row?.holders ?? 0, missing: row?.missing ?? 0 }
  }

  /** Stored slabs of which columns are missing. */
  degradedSlabCount(): number {
    return this.#sql.degraded.get({ provenSinceMs: this.#provenSinceMs() })?.count ?? 0
  }

  #provenSinceMs(): number {
    return Date.now() - this.#provenWithinMs
  }

  #seal(object: ObjectSecrets & { id: string }): Uint8Array {
    const { name, fileName, kind, readKey, fileKey, manifestSalt, redundancy, size, sha256, mime, files } =
      object
    const secrets: ObjectSecrets = {
      name,
      fileName,
      kind,
      readKey,
      fileKey,
      manifestSalt,
      redundancy,
      size,
      sha256,
      mime,
      files,
    }
    return this.atRest.seal('owner_object', object.id, Buffer.from(JSON.stringify(secrets)))
  }

  #unseal(row: ObjectRow): OwnerObject {
    const cached = this.#unsealed.get(row.id)
    if (cached !== undefined) return cached
    const plain = this.atRest.open('owner_object', row.id, row.sealed)
    const secrets = JSON.parse(Buffer.from(plain).toString('utf8')) as ObjectSecrets
    const { id, version, state, manifest, created_ms: createdMs } = row
    const object: OwnerObject = { ...secrets, id, version, state, manifest, createdMs }
    if (this.#unsealed.size >= MAX_LISTED_OBJECTS) this.#unsealed.clear()
    this.#unsealed.set(id, object)
    return object
  }

  #sealSlab(slab: Pick<OwnerSlab, 'id' | 'salt' | 'seed' | 'modes'>): Uint8Array {
    const seed = slab.seed ?? NO_SEED
    const plain = Buffer.concat([slab.salt, Buffer.of(seed.length), seed, slab.modes])
    return this.atRest.seal('owner_slab', hex(slab.id), plain)
  }

  #toSlab(row: SlabRow): OwnerSlab {
    const plain = this.atRest.open('owner_slab', hex(row.id), row.sealed)
    const { id, object, position, state, k, n } = row
    const seedEnd = SALT_BYTES + 1 + (plain[SALT_BYTES] ?? 0)
    return {
      id,
      object,
      position,
      state,
      k,
      n,
      group: row.grp,
      columnBytes: row.column_bytes,
      indexHash: row.index_hash,
      leaseUntilMs: row.lease_until_ms,
      leaseSequence: row.lease_sequence,
      salt: plain.subarray(0, SALT_BYTES),
      ...(seedEnd > SALT_BYTES + 1 && { seed: plain.subarray(SALT_BYTES + 1, seedEnd) }),
      modes: plain.subarray(seedEnd),
    }
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
