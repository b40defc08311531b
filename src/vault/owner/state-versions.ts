import type { PeerId } from '@libp2p/interface'
import { ed25519Signer, sameBytes, slabIdOf, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, HeldColumn, SlabId } from '../../../protocols/chunk/types.ts'
import { IdleWatch } from '../../../protocols/shared/idle.ts'
import { Pacer } from '../../../protocols/shared/pacer.ts'
import { type ManifestCodec, slabSeed, stateKey, stateSlabSalt } from '../codec/index.ts'
import {
  CONCURRENT_REQUESTS,
  PIECE_TIMEOUT_MS,
  STATE_BLOCKS_AHEAD,
  STATE_LOOK_TIMEOUT_MS,
  STATE_MARK_EVERY,
} from './limits.ts'

export interface VersionReader {
  chunk: Pick<Chunk, 'peers' | 'have' | 'index' | 'fetch'>
  manifestCodec: Pick<ManifestCodec, 'openLayer'>
}

/**
 * What holders keep as a version. Two machines of one owner that take the same number at the same time make two of them, which differ
 * in their index; whoever looks needs both.
 */
export interface FoundVersion {
  version: number
  slab: SlabId
  indexHash: Uint8Array
  holders: { peer: PeerId; column: number }[]
}

export function signerOfVersion(ownerSecret: Uint8Array, version: number) {
  return ed25519Signer(slabSeed(ownerSecret, stateSlabSalt(version)))
}

/**
 * The newest version of an owner's state that any connected peer holds, and those before it that are near, newest first. Each question
 * covers a whole block of versions, whose last is a mark; where a block has its mark the next one is looked into too. A version of which
 * there are two stands in the list twice.
 *
 * Of each peer's answer the newest version has to be proven by its index, which only the owner's key can have signed: whoever says to
 * hold everything would otherwise lead the search on for ever.
 */
export async function findVersions(
  { chunk }: VersionReader,
  ownerSecret: Uint8Array,
  signal: AbortSignal,
  { from = 1, count = STATE_MARK_EVERY, ahead = STATE_BLOCKS_AHEAD } = {},
): Promise<FoundVersion[]> {
  const found: FoundVersion[] = []
  let emptyBlocks = 0
  for (let first = from; emptyBlocks <= ahead; first += count) {
    signal.throwIfAborted()
    const block = await findInBlock(chunk, ownerSecret, { first, count }, signal)
    if (block.length === 0) emptyBlocks += 1
    else emptyBlocks = 0
    found.unshift(...block)
  }
  return found
}

async function findInBlock(
  chunk: Pick<Chunk, 'peers' | 'have' | 'index'>,
  ownerSecret: Uint8Array,
  { first, count }: { first: number; count: number },
  signal: AbortSignal,
): Promise<FoundVersion[]> {
  const pacer = new Pacer()
  const versions = new Map<string, number>()
  const slabs: SlabId[] = []
  for (let version = first; version < first + count; version += 1) {
    const slab = slabIdOf(signerOfVersion(ownerSecret, version).publicKey)
    versions.set(slabKeyOf(slab), version)
    slabs.push(slab)
    await pacer.breathe()
  }
  const versionOf = (held: HeldColumn | undefined): number =>
    held === undefined ? 0 : (versions.get(slabKeyOf(held.slab)) ?? 0)
  const found = new Map<string, FoundVersion>()
  const queue = chunk.peers().values()
  const work = async (): Promise<void> => {
    for (const peer of queue) {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(STATE_LOOK_TIMEOUT_MS)])
      const held = await chunk.have(peer, slabs, patience).catch((): HeldColumn[] => [])
      const newest = held
        .filter((one) => versionOf(one) > 0)
        .reduce<HeldColumn | undefined>(
          (best, one) => (versionOf(best) < versionOf(one) ? one : best),
          undefined,
        )
      if (newest === undefined || !(await hasIndex(chunk, peer, newest, signal))) continue
      const told = new Set<string>()
      for (const one of held) {
        // One copy of a version a peer: more of them would be so many questions to whoever made them up.
        if (versionOf(one) === 0 || told.has(slabKeyOf(one.slab))) continue
        told.add(slabKeyOf(one.slab))
        const { slab, column, indexHash } = one
        const key = `${slabKeyOf(slab)} ${Buffer.from(indexHash).toString('hex')}`
        const known = found.get(key) ?? { version: versionOf(one), slab, indexHash, holders: [] }
        known.holders.push({ peer, column })
        found.set(key, known)
      }
    }
  }
  await Promise.all(Array.from({ length: CONCURRENT_REQUESTS }, work))
  signal.throwIfAborted()
  return [...found.values()].sort((one, other) => other.version - one.version)
}

/** Whether the peer has the index that it names; its signature is checked on the way. */
async function hasIndex(
  chunk: Pick<Chunk, 'index'>,
  peer: PeerId,
  { slab, indexHash }: HeldColumn,
  signal: AbortSignal,
): Promise<boolean> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(STATE_LOOK_TIMEOUT_MS)])
  try {
    return sameBytes((await chunk.index(peer, slab, patience)).hash, indexHash)
  } catch {
    signal.throwIfAborted()
    return false
  }
}

/** The document of a version; undefined where none of its holders gives what it should. */
export async function fetchVersion(
  { chunk, manifestCodec }: VersionReader,
  ownerSecret: Uint8Array,
  { slab, indexHash, holders }: FoundVersion,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  for (const { peer, column } of holders) {
    // So long for each piece: a large state over a slow link takes minutes.
    const silence = new AbortController()
    const watch = new IdleWatch({
      timeoutMs: PIECE_TIMEOUT_MS,
      isWaiting: () => true,
      onIdle: () => silence.abort(new Error('nothing has come for a while')),
    })
    const patience = AbortSignal.any([signal, silence.signal])
    try {
      const index = await chunk.index(peer, slab, patience)
      if (!sameBytes(index.hash, indexHash)) continue
      const segments = index.sealedBytes.map((_, segment) => segment)
      const pieces: Uint8Array[] = []
      for await (const { bytes } of chunk.fetch(peer, index, column, { segments, signal: patience })) {
        pieces.push(bytes)
        watch.touch()
      }
      return await manifestCodec.openLayer(pieces, { slab, key: stateKey(ownerSecret), signal })
    } catch {
      signal.throwIfAborted()
    } finally {
      watch.stop()
    }
  }
  return undefined
}
