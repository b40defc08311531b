import type { SlabId } from '../../protocols/chunk/types.ts'

/** `rs:4/8`: k of n pieces; `copies:5`: k = 1. */
export interface Redundancy {
  k: number
  n: number
}

/** What a link allows, less owner's power, which is in the owner's state. */
export type Power = 'read' | 'verify'

/** A capability link, decoded. */
export interface Link {
  power: Power
  slab: SlabId
  /** 32 bytes: the read key, or the verify key. */
  key: Uint8Array
}

/** Parameters of a `put` job; its bytes come by an upload session: the file itself, or a tar stream. */
export interface PutParams {
  source: 'file' | 'tree'
  /** The file's or folder's own name: kept in the manifest. */
  fileName: string
  /** The name under which `ls` shows it; a further put under it makes a version. */
  name: string
  /** `auto`, `copies:N` or `rs:K/N`; undefined: `vault.redundancy`. */
  redundancy?: string
  allowDegraded: boolean
  preserveMode: boolean
}

export interface PutResult {
  id: string
  link: string
  /** Path of the .manifest file that the daemon wrote below HOME/manifests. */
  manifest: string
  size: number
  /** Hex; null for a tree. */
  sha256: string | null
  /** Bytes on all holders together. */
  stored: number
  redundancy: string
  /** Distinct holders. */
  holders: number
  /** ISO 8601. */
  expires: string
  files: number
  /** Columns that are missing: only with `allowDegraded`; a job adds them. */
  missing: number
}

/** Parameters of `rm`: a link (of either power) to one of the owner's objects. */
export interface RmParams {
  link: string
}

export interface RmResult {
  id: string
  name: string
  version: number
  slabs: number
  /** Columns whose holders said that they deleted them. */
  confirmed: number
  /** Columns of holders that were not reached: they learn of it when they come back. */
  pending: number
  /** Those holders, at most 64. */
  pendingPeers: string[]
}

/** Parameters of `repair`: a link of either power. */
export interface RepairParams {
  link: string
}

export interface RepairResult {
  slabs: number
  /** Columns that were made again, each with a receipt. */
  repaired: number
  /** Columns that are still missing: too few eligible holders. */
  missing: number
}

/** Parameters of `prune`; its result is a `PruneReport`. */
export interface PruneParams {
  dryRun: boolean
}

/** Parameters of `leave`; its result is a `LeaveReport`. The node goes on until whoever asked stops it. */
export interface LeaveParams {
  force: boolean
}

export type VaultEntryType = 'file' | 'directory' | 'symlink'

export interface VaultEntry {
  path: string
  type: VaultEntryType
  size: number
  mode: number | null
  sha256: string | null
  mime: string | null
  target: string | null
}

/** One of the owner's objects, as `ls` shows it. */
export interface VaultObjectSummary {
  id: string
  name: string
  version: number
  kind: 'file' | 'tree'
  size: number
  stored: number
  redundancy: string
  link: string
  createdAtMs: number
  expiresAtMs: number
  state: 'putting' | 'stored' | 'degraded' | 'deleting'
  /** As it was last measured; unknown where that is longer ago than proofs count. */
  health: Health['state'] | 'unknown'
  /** When that was; null: never. */
  healthAtMs: number | null
}

/** What an address leads to. */
export interface VaultResolved {
  link: string
  name: string
  kind: 'file' | 'tree'
  /** Of what the path names: a file or a folder of the tree. */
  type: VaultEntryType
  size: number
  sha256: string | null
  mime: string | null
  createdAtMs: number
  redundancy: string
}

export interface SlabHealth {
  id: string
  k: number
  n: number
  live: number
  /** ISO 8601, or null: never. */
  lastAudit: string | null
  /** Live columns above k: how many more may be lost. */
  margin: number
  columns: { column: number; peer: string | null; live: boolean }[]
}

/** Measured, not assumed. */
export interface Health {
  /**
   * `healthy`: all n live. `degraded`: readable, some missing. `critical`: at or below the repair threshold.
   * `lost`: some slab has fewer than k.
   */
  state: 'healthy' | 'degraded' | 'critical' | 'lost'
  slabs: SlabHealth[]
}

/** What one read got from whom; by text form of the peer id. */
export interface ReadStatistics {
  sources: { peer: string; pieces: number; bytes: number; failures: number }[]
}

export interface VaultReadOptions {
  signal: AbortSignal
  /** Within a tree. */
  path?: string
  offset?: number
  length?: number
  /** Filled as the read goes on. */
  statistics?: ReadStatistics
}

export interface PruneReport {
  /** On this node as a holder. */
  held: { expired: number; tombstoned: number; orphaned: number; bytes: number }
  /** As an owner: slabs that its own state records as abandoned. */
  owned: { abandonedSlabs: number; bytes: number }
  dryRun: boolean
}

export interface LeaveReport {
  columns: number
  bytes: number
  handedOver: number
  /** Columns that no one took and whose slab would drop below its minimum. */
  stuck: number
}

export interface Inspection {
  kind: 'link' | 'manifest'
  power: Power
  slab: string
  /** Known only with the read power and a reachable manifest; null otherwise. */
  name: string | null
  size: number | null
  redundancy: string | null
  slabs: number | null
}

/**
 * Private files by link. Methods throw ERR_LINK_INVALID (usage), ERR_LINK_CHECKSUM (usage), ERR_LINK_POWER (denied: a verify
 * link reads nothing), ERR_VAULT_NOT_FOUND (not-found: no manifest), ERR_VAULT_PIECES (not-found: "k of n pieces found"),
 * ERR_VAULT_INVALID (verification), ERR_CANCELLED.
 *
 * Job kinds that it registers: `put`, `rm`, `repair`, `prune`, `leave`, `complete` (the missing columns of a degraded put).
 */
export interface VaultService {
  /** By name, then version; the owner's own. */
  list(): Promise<VaultObjectSummary[]>
  resolve(link: string, options: { signal: AbortSignal; path?: string }): Promise<VaultResolved>
  /** Direct children of a folder of a tree, by name. */
  entries(link: string, options: { signal: AbortSignal; path?: string }): Promise<VaultEntry[]>
  cat(link: string, options: VaultReadOptions): AsyncIterable<Uint8Array>
  /** A POSIX (pax) tar stream like the content service's. */
  tar(link: string, options: VaultReadOptions & { name: string }): AsyncIterable<Uint8Array>
  /** The same object with less power, or the owner's state of it (`owner`: a sealed text that `state import` takes). */
  share(link: string, power: 'read' | 'verify' | 'owner'): Promise<string>
  inspect(target: { link: string } | { manifest: Uint8Array }, signal: AbortSignal): Promise<Inspection>
  /** Takes a .manifest file: from now on its link reads even where the manifest's slab is gone. Returns the link. */
  openManifest(bytes: Uint8Array): Promise<string>
  /** The .manifest file of one of the owner's objects. */
  manifestFile(link: string, signal: AbortSignal): Promise<Uint8Array>
  health(link: string, options: { signal: AbortSignal; fresh?: boolean }): Promise<Health>
  /** The 24 words. */
  recoveryPhrase(): Promise<string>
  exportState(passphrase: string | undefined): Promise<Uint8Array>
  importState(bytes: Uint8Array, passphrase: string | undefined): Promise<{ objects: number }>
  recover(phrase: string, signal: AbortSignal): Promise<{ objects: number; version: number }>
  /** For `doctor` and `status`. */
  report(): VaultReport
}

export interface VaultReport {
  objects: number
  /** How many of them were measured to be so; `unknown`: not lately. */
  health: Record<Health['state'] | 'unknown', number>
  heldColumns: number
  heldBytes: number
  offeredBytes: number
  degradedSlabs: number
  soonestExpiryMs: number | null
  problems: string[]
}
