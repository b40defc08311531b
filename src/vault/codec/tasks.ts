/** What goes to a worker thread and comes back; both sides import it. Arrays are moved where they own their buffer. */
import type { Redundancy } from '../types.ts'
import type { SegmentPlace } from './segment.ts'
import type { EncodedSegment, ManifestBody, ManifestEntry, SegmentKey } from './types.ts'

export interface EncodeTask extends SegmentPlace {
  segment: Uint8Array
  key: SegmentKey
  redundancy: Redundancy
}

export interface EncodeAnswer {
  mode: number
  sealedBytes: number
  /** The pieces one after another; with k = 1 the one that all columns share. */
  pieces: Uint8Array
  /** Their roots one after another. */
  roots: Uint8Array
  stageMs: EncodedSegment['stageMs']
}

export interface DecodeTask extends SegmentPlace {
  /** k pieces, each of the length that follows from `sealedBytes`. */
  pieces: Map<number, Uint8Array>
  mode: number
  key: SegmentKey
  sealedBytes: number
  redundancy: Redundancy
}

export interface RebuildTask {
  pieces: Map<number, Uint8Array>
  columns: number[]
  sealedBytes: number
  redundancy: Redundancy
}

export interface RebuildAnswer {
  /** In the order of `columns`, one after another; with k = 1 the one that all share. */
  pieces: Uint8Array
  roots: Uint8Array
}

/** A segment of a layer: of a manifest's map or body, or of the owner's state. */
export interface LayerPlace extends SegmentPlace {
  name: string
  layer: 'map' | 'body'
  /** What the layer is sealed under: verify key, read key, state key. */
  layerKey: Uint8Array
}

export interface SealPieceTask extends LayerPlace {
  segment: Uint8Array
  salt: Uint8Array
}

export interface SealPieceAnswer {
  piece: Uint8Array
  root: Uint8Array
}

export interface OpenPieceTask extends LayerPlace {
  piece: Uint8Array
}

export interface OpenPieceAnswer {
  segment: Uint8Array
  salt: Uint8Array
}

/** Entries of a tree, their hashes apart: a thousand small arrays take long to hand over. */
export interface EntryBatch {
  entries: Omit<ManifestEntry, 'sha256'>[]
  /** 32 bytes a file, in order; nothing else has a hash. */
  hashes: Uint8Array
}

/** A body without its entries, its slabs as columns. */
export interface BodyHead extends Omit<ManifestBody, 'slabs' | 'entries'> {
  /** 32 bytes a slab. */
  salts: Uint8Array
  /** One byte a segment; all slabs but the last have 64. */
  modes: Uint8Array
}

/** Whole fields of an encoded body. */
export interface BytesTask {
  bytes: Uint8Array
}
