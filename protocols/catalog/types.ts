/** What an entry leads to, by the publisher's word. */
export type EntryKind = 'other' | 'file' | 'directory' | 'release' | 'private'

/** On the wire; numbers that are not in the table are read as `other`. `private`: a link opens it. */
export const ENTRY_KINDS: Readonly<Record<EntryKind, number>> = {
  other: 0,
  file: 1,
  directory: 2,
  release: 3,
  private: 4,
}

export interface Entry {
  kind: EntryKind
  title: string
  description: string
  tags: readonly string[]
  /** Empty where it is not told. */
  mime: string
  /** null where it is not told. */
  sizeBytes: number | null
  /** `/ipfs/…`, `/ipns/…` or `p2pnode:…`. */
  address: string
}

/** What every record has. */
export interface RecordFields {
  /** From 1 on. */
  sequence: number
  /** The id of the record before; undefined in the first. */
  previous: Uint8Array | undefined
  /** By the publisher's clock. */
  atMs: number
  untilMs: number
}

/** What a record says: here is something, or something is no longer to be had. */
export type RecordBody =
  | { entry: Entry; withdraws?: undefined }
  | { entry?: undefined; withdraws: readonly number[] }

export type CatalogRecord = RecordFields &
  RecordBody & {
    /** Ed25519 public key, 32 bytes. */
    publisher: Uint8Array
    /** SHA-256 of the payload. */
    id: Uint8Array
    signed: SignedBytes
  }

/** Where a log ends. */
export interface Head {
  /** Ed25519 public key, 32 bytes. */
  publisher: Uint8Array
  /** Of the last record. */
  sequence: number
  /** Its id. */
  record: Uint8Array
  atMs: number
}

export interface SignedBytes {
  payload: Uint8Array
  signature: Uint8Array
}
