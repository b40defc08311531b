import { createHash, randomBytes } from 'node:crypto'
import { afterAll } from 'vitest'
import type { ManifestBody, ManifestCodec, ManifestMap, SegmentCodec } from '../../src/vault/codec/index.ts'
import { createManifestCodec, createSegmentCodec, segmentKey } from '../../src/vault/codec/index.ts'
import { createWorkerPool, type WorkerPool } from '../../src/workers/index.ts'
import { quietLogger } from './network.ts'

export interface CodecBench {
  pool: WorkerPool
  segments: SegmentCodec
  manifests: ManifestCodec
  signal: AbortSignal
}

/** Codecs over real threads, which end with the file's tests. */
export function codecBench(threads?: number): CodecBench {
  const pool = createWorkerPool({ log: quietLogger(), ...(threads !== undefined && { threads }) })
  afterAll(() => pool.close())
  return {
    pool,
    segments: createSegmentCodec(pool),
    manifests: createManifestCodec(pool),
    signal: new AbortController().signal,
  }
}

/** Bytes that differ everywhere, the same in every run. */
export function patterned(bytes: number, seed = 'pattern'): Uint8Array {
  const parts: Uint8Array[] = []
  for (let at = 0, n = 0; at < bytes; at += 32, n++) {
    parts.push(createHash('sha256').update(`${seed} ${n}`).digest())
  }
  return new Uint8Array(Buffer.concat(parts).subarray(0, bytes))
}

export function text(bytes: number): Uint8Array {
  const line = 'Private files are sealed on the machine of their owner; nobody else reads them. '
  return new Uint8Array(Buffer.from(line.repeat(Math.ceil(bytes / line.length))).subarray(0, bytes))
}

export function place() {
  const slab = new Uint8Array(randomBytes(32))
  const number = 3
  return { slab, number, key: segmentKey('segment', randomBytes(32), randomBytes(32), number) }
}

export function fileManifest(slab: Uint8Array, changes: Partial<ManifestBody> = {}) {
  const map: ManifestMap = {
    redundancy: { k: 4, n: 8 },
    groups: [{ id: slab, slabs: [new Uint8Array(randomBytes(32))] }],
  }
  const body: ManifestBody = {
    name: 'holiday.jpg',
    kind: 'file',
    size: 1_500_000,
    sha256: new Uint8Array(randomBytes(32)),
    createdMs: 1_790_000_000_000,
    fileKey: new Uint8Array(randomBytes(32)),
    slabs: [{ salt: new Uint8Array(randomBytes(32)), modes: Uint8Array.of(0, 1) }],
    mime: 'image/jpeg',
    entries: [],
    ...changes,
  }
  return { map, body }
}
