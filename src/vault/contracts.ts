/**
 * How the parts of the vault see each other. Each part is built and tested alone; `index.ts` puts them together.
 *
 * owner/   what this node's owner put: keys, objects, slabs; puts, leases, deletion
 * read/    from a link to bytes: manifests, holders, pieces
 * locate/  who holds a slab
 * place/   who shall hold a slab
 * holder/  what this node keeps for others: answers, audits, repair, leave
 * restore/ missing columns made again, without any key: used by holders, by `repair LINK` and by degraded puts
 * codec/   segments, manifests, links
 */
import type { PeerId } from '@libp2p/interface'
import type { Receipt, SignedBytes, SlabId, SlabIndex, StorePurpose } from '../../protocols/chunk/types.ts'
import type { ManifestBody, ManifestMap } from './codec/types.ts'
import type { Link, Redundancy } from './types.ts'

/** A peer that says to hold a column. */
export interface ColumnAt {
  slab: SlabId
  column: number
  indexHash: Uint8Array
  peer: PeerId
}

export interface LocateOptions {
  signal: AbortSignal
  /** The slabs' group: what the DHT knows. */
  group: SlabId
  /** Peers worth asking first, as text: from receipts, from the group's hints. */
  hints?: readonly string[]
}

/** Finds holders: hints, connected peers, DHT providers of the group, then forwarded queries. */
export interface Locator {
  /**
   * Answers as they come, over all ways at once (a later way starts when the earlier ones are slow or done). Ends when all ways
   * have ended; whoever has enough stops reading.
   */
  holders(slabs: readonly SlabId[], options: LocateOptions): AsyncIterable<ColumnAt>
  /** This node holds a column of the group: announces it in the DHT, now and on schedule, while `isHeld` says so. */
  announce(group: SlabId): void
  withdraw(group: SlabId): void
  stop(): Promise<void>
}

export interface Candidate {
  peer: PeerId
  /** What it offers to this node for the purpose. */
  freeBytes: number
}

/** Chooses holders. */
export interface Placer {
  /**
   * Eligible peers in order of preference (weighted rendezvous on the group's id): lends storage, has room, is allowed by
   * policy (`place`), is not excluded, is not this node; among the first n at most ⌈n/4⌉ of one network and, where k is given,
   * ⌊(n−k)/2⌋ that have proved nothing to this node, as far as there are others.
   */
  candidates(options: {
    group: SlabId
    n: number
    /** How many of them it takes to read; undefined where it is not known yet. */
    k?: number
    /** Where fewer are known, further peers are sought first; by default n. */
    atLeast?: number
    columnBytes: number
    purpose: StorePurpose
    exclude: ReadonlySet<string>
    signal: AbortSignal
  }): Promise<Candidate[]>
  /** `auto` and the like to k and n, by how many are eligible. @throws ERR_TOO_FEW_HOLDERS */
  redundancy(written: string, eligible: number, allowDegraded: boolean): Redundancy
}

/** A manifest that was found and opened as far as the link's power goes. */
export interface OpenManifest {
  link: Link
  index: SlabIndex
  map: ManifestMap
  /** Only with the read power. */
  body: ManifestBody | undefined
  /** The manifest slab's pieces as they are kept. */
  pieces: Uint8Array[]
  hints: string[]
}

export interface Manifests {
  /** @throws ERR_VAULT_NOT_FOUND, ERR_VAULT_INVALID, ERR_CANCELLED */
  open(link: Link, signal: AbortSignal): Promise<OpenManifest>
}

/** Brings columns of slabs back, over ciphertext. */
export interface Restorer {
  /**
   * Makes the missing columns of one slab again from k that are there and stores each with a new holder.
   * @throws ERR_VAULT_PIECES where fewer than k are found, ERR_TOO_FEW_HOLDERS
   */
  restore(options: {
    index: SlabIndex
    lease: SignedBytes
    /** Columns to make. */
    columns: readonly number[]
    /** Who was just found to hold what. */
    held: readonly ColumnAt[]
    /** Peers, as text, that get nothing: they could not prove what they say to hold. Holders never get a second column. */
    avoid?: ReadonlySet<string>
    purpose: StorePurpose
    /** Bytes per second; undefined: as fast as it goes. */
    rateBytesPerSecond?: number
    signal: AbortSignal
  }): Promise<{ column: number; peer: PeerId; receipt: Receipt }[]>
}

/** Carries an owner's deletions to holders that cannot be reached directly. */
export interface Tombstones {
  /**
   * Keeps the signed deletions on this node, from where peers that come back fetch them, and gossips them as fast as the
   * topic allows (about 100 a second). Resolves when all were handed to gossip. Whoever is there is told with
   * `Chunk.remove` first: that alone confirms.
   *
   * @throws ERR_CANCELLED
   */
  spread(deletions: readonly SignedBytes[], signal: AbortSignal): Promise<void>
}
