import { LRUCache } from 'lru-cache'
import { decodeIndex, pieceRoot, sameBytes, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, SlabId, SlabIndex } from '../../../protocols/chunk/types.ts'
import { Pacer } from '../../../protocols/shared/pacer.ts'
import { wait } from '../../jobs/async.ts'
import type { ManifestCodec, ManifestFile } from '../codec/index.ts'
import { formatLink } from '../codec/index.ts'
import type { ColumnAt, Locator, Manifests, OpenManifest } from '../contracts.ts'
import type { Link } from '../types.ts'
import { manifestNotFound, vaultInvalid } from './errors.ts'
import { firstGood } from './first-good.ts'
import {
  LATE_HOLDERS_MS,
  MANIFEST_HEAD_START_MS,
  MAX_ADOPTED_BYTES,
  MAX_ADOPTED_MANIFESTS,
  MAX_MANIFEST_RACERS,
  MAX_OPEN_MANIFEST_BYTES,
  MAX_OPEN_MANIFESTS,
} from './limits.ts'

export interface ManifestStoreOptions {
  chunk: Pick<Chunk, 'index' | 'fetch'>
  locator: Pick<Locator, 'holders'>
  codec: Pick<ManifestCodec, 'openMap' | 'open'>
  /** Part of what indexes are signed over. */
  networkName: string
}

/** A manifest's slab as it is kept: verified against its index, not opened. */
interface SealedManifest {
  index: SlabIndex
  pieces: Uint8Array[]
  hints: string[]
}

/** Finds manifests by link, opens them as far as the link allows, and remembers some. */
export class ManifestStore implements Manifests {
  readonly #options: ManifestStoreOptions
  /** By link: whoever opens one has shown the key. */
  readonly #opened = new LRUCache<string, OpenManifest>({
    max: MAX_OPEN_MANIFESTS,
    maxSize: MAX_OPEN_MANIFEST_BYTES,
    sizeCalculation: (manifest) => sizeOf(manifest),
  })
  /** From .manifest files, by slab. */
  readonly #adopted = new LRUCache<string, SealedManifest>({
    max: MAX_ADOPTED_MANIFESTS,
    maxSize: MAX_ADOPTED_BYTES,
    sizeCalculation: ({ index }) => index.columnBytes + index.signed.payload.length,
  })

  constructor(options: ManifestStoreOptions) {
    this.#options = options
  }

  async open(link: Link, signal: AbortSignal): Promise<OpenManifest> {
    const key = formatLink(link)
    const known = this.#opened.get(key)
    if (known !== undefined) return known
    const adopted = this.#adopted.get(slabKeyOf(link.slab))
    const sealed = adopted ?? (await this.#find(link.slab, signal))
    const manifest = { link, ...sealed, ...(await this.#unseal(link, sealed, signal)) }
    this.#opened.set(key, manifest)
    return manifest
  }

  /**
   * Takes a .manifest file: its link opens from now on without anybody else.
   *
   * @throws ERR_VAULT_INVALID where the file was not signed by its slab or its pieces are not those that were
   */
  async adopt({ link, index: signed, pieces }: ManifestFile): Promise<void> {
    const index = checkedIndex(() => decodeIndex(signed, this.#options.networkName))
    if (!sameBytes(index.slab, link.slab))
      throw vaultInvalid('the .manifest file holds the manifest of another link')
    await checkPieces(index, pieces)
    this.#adopted.set(slabKeyOf(link.slab), { index, pieces, hints: [] })
  }

  async #find(slab: SlabId, signal: AbortSignal): Promise<SealedManifest> {
    const hints = new Set<string>()
    for (let searches = 0; ; searches += 1) {
      const found = await firstGood(
        remembering(this.#options.locator.holders([slab], { group: slab, hints: [...hints], signal }), hints),
        (column, signal) => this.#fetch(column, signal),
        { headStartMs: MANIFEST_HEAD_START_MS, maxAtOnce: MAX_MANIFEST_RACERS, signal },
      )
      if (found !== undefined) return { ...found, hints: [...hints] }
      if (searches > 0) throw manifestNotFound(slab)
      // Holders come back, connections break and are made again: one more search, a little later.
      await wait(LATE_HOLDERS_MS, signal)
    }
  }

  async #fetch(
    { slab, peer, column, indexHash }: ColumnAt,
    signal: AbortSignal,
  ): Promise<Omit<SealedManifest, 'hints'> | undefined> {
    const { chunk } = this.#options
    const index = await chunk.index(peer, slab, signal)
    if (index.k !== 1 || !sameBytes(index.slab, slab) || !sameBytes(index.hash, indexHash)) return undefined
    const segments = index.sealedBytes.map((_, segment) => segment)
    const pieces: Uint8Array[] = []
    for await (const { bytes } of chunk.fetch(peer, index, column, { segments, signal })) pieces.push(bytes)
    return pieces.length === segments.length ? { index, pieces } : undefined
  }

  async #unseal(
    { power, slab, key }: Link,
    { index, pieces }: SealedManifest,
    signal: AbortSignal,
  ): Promise<Pick<OpenManifest, 'map' | 'body'>> {
    const { codec } = this.#options
    if (index.k !== 1) throw vaultInvalid('the link leads to a slab that is not a manifest')
    if (power === 'read') return codec.open(pieces, { slab, readKey: key, signal })
    return { map: await codec.openMap(pieces, { slab, verifyKey: key, signal }), body: undefined }
  }
}

async function* remembering(columns: AsyncIterable<ColumnAt>, hints: Set<string>): AsyncGenerator<ColumnAt> {
  for await (const column of columns) {
    hints.add(column.peer.toString())
    yield column
  }
}

/** The protocol's errors say what a peer did wrong; of a file it is the file that is. */
function checkedIndex(decode: () => SlabIndex): SlabIndex {
  try {
    return decode()
  } catch (cause) {
    throw vaultInvalid('the index in the .manifest file is malformed or was not signed by its slab', cause)
  }
}

async function checkPieces(index: SlabIndex, pieces: readonly Uint8Array[]): Promise<void> {
  if (index.k !== 1 || pieces.length !== index.sealedBytes.length) {
    throw vaultInvalid('the .manifest file does not hold the pieces that its index names')
  }
  const pacer = new Pacer()
  for (const [segment, piece] of pieces.entries()) {
    const fits =
      piece.length === index.pieceBytes(segment) && sameBytes(pieceRoot(piece), index.root(segment, 0))
    if (!fits) throw vaultInvalid(`piece ${segment} in the .manifest file was altered`)
    await pacer.breathe()
  }
}

/** About what an opened manifest takes: pieces, and for each entry an object with its texts. */
function sizeOf({ index, body, map }: OpenManifest): number {
  const slabs = map.groups.reduce((sum, group) => sum + group.slabs.length, 0)
  const entries = body?.entries ?? []
  const texts = entries.reduce((sum, entry) => sum + entry.path.length + entry.target.length, 0)
  return (
    index.columnBytes + index.signed.payload.length + slabs * 256 + entries.length * 256 + texts * 2 + 1024
  )
}
