import { decodeRecord } from '../../protocols/catalog/index.ts'
import type { CatalogRecord, SignedBytes } from '../../protocols/catalog/types.ts'
import type { CatalogStore } from './store.ts'
import type { CatalogEntry } from './types.ts'

/** An entry as it is shown; undefined for a withdrawal. */
export function presented(
  record: CatalogRecord,
  publisher: string,
  isOwn: boolean,
): CatalogEntry | undefined {
  const { entry, sequence, id, atMs, untilMs } = record
  if (entry === undefined) return undefined
  return { ...entry, publisher, sequence, id: Buffer.from(id).toString('hex'), atMs, untilMs, isOwn }
}

/** What is kept in a row. */
export function presentedRow(store: CatalogStore, n: number, ownKey: Uint8Array): CatalogEntry | undefined {
  const signed: SignedBytes | undefined = store.signed(n)
  if (signed === undefined) return undefined
  const record = decodeRecord(signed)
  const publisher = store.publisher(record.publisher)
  if (publisher === undefined) return undefined
  return presented(record, publisher.peer, Buffer.compare(publisher.key, ownKey) === 0)
}
