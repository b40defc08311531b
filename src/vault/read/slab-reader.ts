import { LRUCache } from 'lru-cache'
import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, SlabId, SlabIndex } from '../../../protocols/chunk/types.ts'
import { FairSlots } from '../../../protocols/shared/fair-slots.ts'
import { segmentKey } from '../codec/index.ts'
import type { ManifestBody, SegmentCodec } from '../codec/types.ts'
import { SEGMENT_BYTES, SEGMENTS_PER_SLAB } from '../codec/types.ts'
import type { Locator, OpenManifest } from '../contracts.ts'
import { tooManyReaders, vaultInvalid } from './errors.ts'
import { GroupHolders } from './group-holders.ts'
import {
  FIRST_WINDOW_SEGMENTS,
  MAX_HINTED_GROUPS,
  MAX_INDEX_CACHE_BYTES,
  MAX_LANES,
  MAX_LANES_PER_PEER,
  MAX_READERS,
  MAX_SEGMENTS_IN_FLIGHT,
  MAX_WINDOW_SEGMENTS,
} from './limits.ts'
import type { SegmentPart } from './plan.ts'
import { partsOf, segmentCount, segmentsOfSlab } from './plan.ts'
import type { MissingColumns } from './repair-on-read.ts'
import { SlabSource } from './slab-source.ts'
import { PeerSpeeds } from './speeds.ts'
import type { SourceCounts } from './statistics.ts'

export interface SlabReaderOptions {
  /** With `withLocalHolder` around it, what this node holds itself is read too. */
  chunk: Pick<Chunk, 'index' | 'fetch'>
  locator: Pick<Locator, 'holders'>
  codec: Pick<SegmentCodec, 'decode'>
  /** Whoever repairs should look at it. Must not throw. */
  onMissing?: (missing: MissingColumns) => void
}

interface ReadOptions {
  signal: AbortSignal
  counts: SourceCounts
}

/** Turns slabs into the bytes of the stream that was put: any range of it, in order. */
export class SlabReader {
  readonly #options: SlabReaderOptions
  readonly #speeds = new PeerSpeeds()
  readonly #turns = new FairSlots(MAX_LANES, MAX_LANES_PER_PEER)
  readonly #indexes = new LRUCache<string, SlabIndex>({
    maxSize: MAX_INDEX_CACHE_BYTES,
    sizeCalculation: (index) => index.signed.payload.length + 1024,
  })
  readonly #hints = new LRUCache<string, string[]>({ max: MAX_HINTED_GROUPS })
  #readers = 0

  constructor(options: SlabReaderOptions) {
    this.#options = options
  }

  /**
   * The bytes `from` to `end` (exclusive). They come in parts of up to 1 MiB, fetched and decoded in a window ahead of the
   * consumer that grows while it goes on; a consumer that stops ends all fetches.
   *
   * @throws ERR_VAULT_PIECES, ERR_VAULT_INVALID, ERR_BUSY, the signal's reason
   */
  async *read(
    manifest: OpenManifest & { body: ManifestBody },
    range: { from: number; end: number },
    { signal, counts }: ReadOptions,
  ): AsyncGenerator<Uint8Array> {
    if (this.#readers >= MAX_READERS) throw tooManyReaders(MAX_READERS)
    this.#readers += 1
    const run = new ReadRun(
      {
        ...this.#options,
        speeds: this.#speeds,
        turns: this.#turns,
        indexes: this.#indexes,
        hints: this.#hints,
      },
      { manifest, range, signal, counts },
    )
    let window = FIRST_WINDOW_SEGMENTS
    const inFlight: { part: SegmentPart; bytes: Promise<Uint8Array> }[] = []
    const parts = partsOf(range, manifest.body.size)
    try {
      for (;;) {
        const share = Math.floor(MAX_SEGMENTS_IN_FLIGHT / this.#readers)
        const limit = Math.max(FIRST_WINDOW_SEGMENTS, Math.min(window, share))
        while (inFlight.length < limit) {
          const next = parts.next()
          if (next.done === true) break
          inFlight.push({ part: next.value, bytes: run.segment(next.value) })
        }
        const first = inFlight.shift()
        if (first === undefined) return
        const bytes = await first.bytes
        const { from, to, segmentBytes } = first.part
        if (first.part.slab !== inFlight[0]?.part.slab) run.leave(first.part.slab)
        window = Math.min(MAX_WINDOW_SEGMENTS, window + 2)
        yield from === 0 && to === segmentBytes ? bytes : bytes.subarray(from, to)
      }
    } finally {
      this.#readers -= 1
      run.close()
    }
  }
}

/** What all reads of a node share. */
interface ReadDependencies extends SlabReaderOptions {
  speeds: PeerSpeeds
  turns: FairSlots
  indexes: LRUCache<string, SlabIndex>
  hints: LRUCache<string, string[]>
}

interface ReadWhat extends ReadOptions {
  manifest: OpenManifest & { body: ManifestBody }
  range: { from: number; end: number }
}

/** One read under way: its groups and slabs. */
class ReadRun {
  readonly #deps: ReadDependencies
  readonly #manifest: OpenManifest & { body: ManifestBody }
  readonly #range: { from: number; end: number }
  readonly #counts: SourceCounts
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #groups = new Map<number, { key: string; holders: GroupHolders }>()
  readonly #sources = new Map<number, SlabSource>()
  /** The number of each group's first slab in the stream. */
  readonly #firstSlabs: number[] = []

  constructor(deps: ReadDependencies, what: ReadWhat) {
    this.#deps = deps
    this.#manifest = what.manifest
    this.#range = what.range
    this.#counts = what.counts
    this.#signal = AbortSignal.any([what.signal, this.#stop.signal])
    let slabs = 0
    for (const group of what.manifest.map.groups) {
      this.#firstSlabs.push(slabs)
      slabs += group.slabs.length
    }
  }

  /** Begins to get the segment; the promise must be awaited in the end, and does not count as unhandled before. */
  segment(part: SegmentPart): Promise<Uint8Array> {
    const bytes = this.#segment(part)
    bytes.catch(() => {})
    return bytes
  }

  /** Nothing more of this slab will be asked for. */
  leave(slab: number): void {
    this.#sources.get(slab)?.close()
    this.#sources.delete(slab)
  }

  close(): void {
    this.#stop.abort(new Error('the reader has left'))
    for (const source of this.#sources.values()) source.close()
    for (const { key, holders } of this.#groups.values()) {
      if (holders.peers.length > 0) this.#deps.hints.set(key, holders.peers)
    }
  }

  async #segment({ slab, segment, segmentBytes }: SegmentPart): Promise<Uint8Array> {
    const { body, map } = this.#manifest
    const source = this.#source(slab)
    source.allow(segment)
    const { pieces, index } = await source.take(segment)
    const { salt, modes } = this.#slabOfBody(slab)
    const mode = modes[segment]
    if (mode === undefined) throw vaultInvalid('the manifest names fewer segments than its size needs')
    const bytes = await this.#deps.codec.decode(pieces, {
      slab: index.slab,
      number: segment,
      mode,
      key: segmentKey('segment', body.fileKey, salt, segment),
      sealedBytes: index.sealedBytes[segment] as number,
      redundancy: map.redundancy,
      signal: this.#signal,
    })
    if (bytes.length !== segmentBytes) {
      throw vaultInvalid(
        `segment ${segment} of slab ${slabKeyOf(index.slab)} has ${bytes.length} bytes and not ${segmentBytes}`,
      )
    }
    return bytes
  }

  #slabOfBody(slab: number): ManifestBody['slabs'][number] {
    const entry = this.#manifest.body.slabs[slab]
    if (entry === undefined) throw vaultInvalid('the manifest names fewer slabs than its size needs')
    return entry
  }

  #source(slab: number): SlabSource {
    let source = this.#sources.get(slab)
    if (source !== undefined) return source
    const { body, map, link } = this.#manifest
    const { id, holders } = this.#place(slab)
    const whole = segmentCount(body.size) - slab * SEGMENTS_PER_SLAB
    source = new SlabSource(
      { ...this.#deps, onMissing: (slab, columns) => this.#deps.onMissing?.({ slab, columns, link }) },
      {
        expected: {
          slab: id,
          redundancy: map.redundancy,
          segments: Math.min(SEGMENTS_PER_SLAB, whole),
        },
        segments: segmentsOfSlab(slab, this.#range, body.size),
        holders,
        counts: this.#counts,
        signal: this.#signal,
      },
    )
    this.#sources.set(slab, source)
    return source
  }

  #place(slab: number): { id: SlabId; holders: GroupHolders } {
    const number = this.#firstSlabs.findLastIndex((first) => first <= slab)
    const group = this.#manifest.map.groups[number]
    const first = this.#firstSlabs[number] ?? 0
    const id = group?.slabs[slab - first]
    if (group === undefined || id === undefined) {
      throw vaultInvalid('the manifest names fewer slabs than its size needs')
    }
    let known = this.#groups.get(number)
    if (known === undefined) {
      const key = slabKeyOf(group.id)
      const { from, end } = this.#range
      const slabBytes = SEGMENTS_PER_SLAB * SEGMENT_BYTES
      const slabs = group.slabs.filter((_, at) => {
        const begin = (first + at) * slabBytes
        return begin < end && begin + slabBytes > from
      })
      const hints = [...(this.#deps.hints.get(key) ?? []), ...this.#manifest.hints]
      const holders = new GroupHolders(this.#deps.locator, {
        group: group.id,
        slabs,
        redundancy: this.#manifest.map.redundancy,
        hints,
        signal: this.#signal,
      })
      known = { key, holders }
      this.#groups.set(number, known)
    }
    return { id, holders: known.holders }
  }
}
