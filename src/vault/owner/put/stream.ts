import type { ManifestEntry } from '../../codec/index.ts'

/** What a put has read when its source has ended. */
export interface PutContents {
  size: number
  /** Of a file; null for a tree. */
  sha256: Uint8Array | null
  mime: string
  files: number
  /** Of a tree, in the order of the stream. */
  entries: ManifestEntry[]
}

/** The bytes that a put stores: a file's own, or the contents of a tree's files one after another. */
export interface PutStream {
  /** Position in the upload up to which everything was taken. */
  readonly offset: number
  /** Bytes of content so far. */
  readonly size: number
  readonly files: number
  /** Fills the array; returns how many bytes, fewer than it has only at the end. */
  take(target: Uint8Array): Promise<number>
  /** What it takes to go on from here; JSON. Synchronous, so that nothing is read meanwhile. */
  save(): StreamCheckpoint
  /** Makes durable what checkpoints up to now speak of. */
  sync(): Promise<void>
  /** After the end. */
  contents(): Promise<PutContents>
  close(): Promise<void>
}

export type StreamCheckpoint = FileStreamCheckpoint | TreeStreamCheckpoint

export interface FileStreamCheckpoint {
  source: 'file'
  size: number
  /** State of the hash, and MIME type. */
  sealed: string
}

export interface TreeStreamCheckpoint {
  source: 'tree'
  size: number
  files: number
  entries: number
  /** Bytes of the journal that count. */
  journalBytes: number
  /** The entry before which all others must lie, where the stream has such a root; null until the first entry. */
  prefix: string[] | null
  /** The file in the middle of which the offset lies, sealed: its name is a secret. */
  current: string | null
  /** True once the end mark was read. */
  ended: boolean
}
