import type { CID } from 'multiformats/cid'
import type { ByteRange, Scope } from '../../protocols/content/types.ts'
import type { BlockReader } from './read/block-reader.ts'
import type { StepFigures, StepName } from './flow/types.ts'
import type { Route } from './router/explain.ts'
import type { Provider } from './router/guide.ts'

export type { Provider, Route }

export type Profile = 'unixfs-v1-2025' | 'unixfs-v0-2015'

export interface ImportOptions {
  profile: Profile
  /** `size-N` (bytes) or `fastcdc`; undefined: the profile's own. */
  chunker?: string
  /** The pin's name; null: do not pin. */
  pin: string | null
  /** Trees only: keep permission bits that differ from 0644 (files) and 0755 (directories). Single files never carry a mode. */
  preserveMode: boolean
  /** Keep it within this network: see docs/operations/discovery.md. */
  private?: boolean
}

/**
 * Parameters of an `add` job; its bytes come by an upload session: the file itself, or a tar stream.
 *
 * The root of a tar stream is the root of the tree (`.`), unless its very first entry is a directory called `name`: then
 * that one is, and everything must lie in it, as in the streams that `tar` gives.
 */
export interface AddParams extends ImportOptions {
  source: 'file' | 'tree'
  name: string
}

export interface AddResult {
  cid: string
  /** Bytes of file content in all. */
  size: number
  files: number
  /** Blocks written, equal ones counted each time. */
  blocks: number
  /** Devices, pipes and sockets in a tree: they are left out; absent where there were none. */
  skipped?: number
  /** What was added as private. */
  private?: true
  /** Blocks of public content that other, private content shares: they stay private, so nobody outside gets them. */
  privateBlocks?: number
}

/** Parameters of a `car-import` job; its bytes come by an upload session. */
export interface CarImportParams {
  /** The name under which every root is pinned recursively; null: do not pin, the DAGs may be incomplete. */
  pin: string | null
  /** Keep it within this network. */
  private?: boolean
}

export interface CarImportResult {
  roots: string[]
  blocks: number
  /** Bytes of all blocks. */
  size: number
  private?: true
  privateBlocks?: number
}

/** Parameters of a `get` job. */
export interface GetParams {
  address: string
  /** Known to be private: it is marked so before anybody is asked. */
  private?: boolean
}

/** Parameters of the jobs `make-private` and `make-public`. */
export interface PrivateParams {
  cid: string
}

export interface PrivateResult {
  cid: string
  /** Blocks that were walked through. */
  blocks: number
}

/** Parameters of a `pin` job. */
export interface PinParams {
  address: string
  name?: string
  kind?: 'recursive' | 'direct'
}

export interface PinResult {
  cid: string
  name: string
  kind: 'recursive' | 'direct'
  fetchedBytes: number
}

export type EntryType = 'file' | 'directory' | 'symlink' | 'raw' | 'other'

export interface Entry {
  name: string
  cid: string
  type: EntryType
  /** Bytes of content for files, null where it is not known without reading further. */
  size: number | null
  mode: number | null
  /** Target, for a symlink. */
  target?: string
}

/** What an address resolved to. */
export interface Resolved {
  root: CID
  cid: CID
  path: string[]
  /** The last name on the path, or the CID. */
  name: string
  type: EntryType
  size: number | null
  mode: number | null
}

export interface GetResult {
  cid: string
  size: number
  blocks: number
  fetchedBytes: number
  /** `peer` is a peer's id, a gateway's host, or, of steps that do not tell, their name. */
  sources: { step: StepName; peer: string; blocks: number; bytes: number }[]
}

/** Reading asks the discovery flow for what is not held, unless `offline`. */
export interface ReadOptions {
  signal: AbortSignal
  offline?: boolean
}

/** What a reader of blocks is going to want, so that what is not held is fetched together. */
export interface ReadPlan {
  /** Where the reading begins. */
  dag: CID
  /** Whose providers are looked up: the root that was published, where `dag` is a part of it. */
  providersOf: CID
  scope: Scope
  path?: string[]
  range?: ByteRange
}

/** Blocks one by one: those that are held, and unless it was opened `offline` those that can be fetched. Must be closed. */
export interface OpenReader extends BlockReader {
  close(): Promise<void>
}

/**
 * Public content by address: `CID`, `CID/path`, `/ipfs/CID/path`, `/ipns/NAME/path`, and as URLs `ipfs://`, `ipns://`.
 *
 * Every method throws ERR_ADDRESS_INVALID, ERR_NOT_FOUND (nobody has it, or the path does not exist),
 * ERR_FETCH_STALLED, ERR_CANCELLED; and for a name what `NameResolver.resolve` throws.
 */
export interface ContentService {
  resolve(address: string, options: ReadOptions): Promise<Resolved>
  /** Entries of a directory, sharded ones included, in the order of the directory. */
  ls(address: string, options: ReadOptions): AsyncIterable<Entry>
  /** Bytes of a file, in windows, so that a slow reader bounds what is read ahead. */
  cat(address: string, options: ReadOptions & { offset?: number; length?: number }): AsyncIterable<Uint8Array>
  /** A file or tree as a POSIX (pax) tar stream: paths relative, the root entry named `name`; modes and symlinks kept. */
  tar(address: string, options: ReadOptions & { name: string }): AsyncIterable<Uint8Array>
  /**
   * CAR (version 1) of everything below the address. Of private content only with `private`, since a CAR carries no mark.
   * @throws also ERR_CONTENT_PRIVATE
   */
  car(address: string, options: ReadOptions & { private?: boolean }): AsyncIterable<Uint8Array>
  /** For whoever walks a DAG by itself. Nothing is asked of anybody before a block is wanted that is not held. */
  blocks(plan: ReadPlan, options?: { offline?: boolean }): OpenReader
  /** Where blocks could come from, with what was learned of each: connected peers first, the best of them first, then DHT providers. */
  providers(cid: CID, options: { signal: AbortSignal }): AsyncIterable<Provider>
  /** Every source that there is for a CID, ranked, and why. `sizeBytes`: in place of what the root says, where it is held. */
  route(cid: CID, options: { signal: AbortSignal; sizeBytes?: number | undefined }): Promise<Route>
  /** Tells the DHT now. @throws ERR_CONTENT_PRIVATE, ERR_PROVIDE_HASH, ERR_PROVIDE_FAILED */
  provide(cid: CID, options: { signal: AbortSignal }): Promise<void>
  /** Resolves when the root of the address is private, before anybody is asked for it. */
  markPrivate(address: string): Promise<void>
  /** What was added, or fetched, as private, by CID; at most 1 000 a page. */
  privateRoots(options?: { after?: CID; limit?: number }): { cid: string; createdAtMs: number }[]
  /** What each step of the discovery flow was asked and brought since start. */
  steps(): Record<StepName, StepFigures>
}
