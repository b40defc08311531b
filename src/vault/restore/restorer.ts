import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { PeerId } from '@libp2p/interface'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { Chunk, Receipt, SlabIndex, StoreStream } from '../../../protocols/chunk/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { SegmentCodec } from '../codec/types.ts'
import type { Placer, Restorer } from '../contracts.ts'
import type { ByteRate } from './byte-rate.ts'
import { cancelled, indexContradicts, piecesMissing, tooFewHolders } from './errors.ts'
import { ASK_TIMEOUT_MS, MAX_TRIES_PER_COLUMN, RECEIPT_TIMEOUT_MS, STORE_OPEN_TIMEOUT_MS } from './limits.ts'
import type { OwnColumns } from './measure.ts'
import { PieceSources } from './sources.ts'

export interface RestorerOptions {
  chunk: Pick<Chunk, 'fetch' | 'store' | 'audit'>
  placer: Pick<Placer, 'candidates'>
  codec: Pick<SegmentCodec, 'rebuild'>
  self: PeerId
  /** Where this node is a holder itself. */
  own: OwnColumns | undefined
  /** Shared by all restores of this node that have a rate. */
  rate: ByteRate
  log: Logger
}

type RestoreOptions = Parameters<Restorer['restore']>[0]
type Restored = Awaited<ReturnType<Restorer['restore']>>

interface Target {
  column: number
  stream: StoreStream
  failure?: unknown
}

/** Columns that are missing, made again over ciphertext: no key is needed and none is known. */
export function createRestorer(options: RestorerOptions): Restorer {
  const log = options.log.child({ part: 'vault-restore' })
  return {
    async restore(asked) {
      const { index, columns, held, signal } = asked
      const found = new Set(held.map(({ column }) => column)).size
      if (found < index.k) throw piecesMissing(index.slab, found, index.k)
      try {
        return await restoreAll({ ...options, log }, asked)
      } catch (error) {
        if (signal.aborted) throw cancelled(error)
        log.debug(
          { slab: slabKeyOf(index.slab), columns, error: String(error) },
          'columns could not be restored',
        )
        throw error
      }
    },
  }
}

/** Pass after pass over the slab: the columns whose new holder failed go to the next one. */
async function restoreAll(options: RestorerOptions, asked: RestoreOptions): Promise<Restored> {
  const { index, columns, held, avoid = [], purpose, signal } = asked
  const exclude = new Set([...held.map(({ peer }) => peer.toString()), ...avoid])
  exclude.add(options.self.toString())
  const candidates = await options.placer.candidates({
    group: index.group,
    n: index.n,
    k: index.k,
    columnBytes: index.columnBytes,
    purpose,
    exclude,
    signal,
  })
  const peers = candidates.map(({ peer }) => peer)
  const eligible = peers.length
  const restored: Restored = []
  let remaining = [...columns]
  let lastFailure: unknown
  for (let pass = 0; pass < MAX_TRIES_PER_COLUMN && remaining.length > 0 && peers.length > 0; pass++) {
    const { targets, failure } = await openTargets(options, asked, remaining, peers)
    lastFailure = failure ?? lastFailure
    if (targets.length === 0) break
    const stored = await runPass(options, asked, targets)
    restored.push(...stored)
    lastFailure = targets.find((target) => target.failure !== undefined)?.failure ?? lastFailure
    remaining = remaining.filter((column) => !restored.some((one) => one.column === column))
  }
  if (restored.length === 0 && columns.length > 0) throw tooFewHolders(columns.length, eligible, lastFailure)
  return restored
}

/** A store for each column with the next peer that takes it; peers that were asked leave the list. */
async function openTargets(
  { chunk, log }: RestorerOptions,
  { index, lease, purpose, signal }: RestoreOptions,
  columns: readonly number[],
  peers: PeerId[],
): Promise<{ targets: Target[]; failure: unknown }> {
  let failure: unknown
  let deletion: ChunkRefusedError | undefined
  const targets = await Promise.all(
    columns.map(async (column): Promise<Target | undefined> => {
      for (let tries = 0; tries < MAX_TRIES_PER_COLUMN; tries++) {
        const peer = peers.shift()
        if (peer === undefined) return undefined
        try {
          const within = AbortSignal.any([signal, AbortSignal.timeout(STORE_OPEN_TIMEOUT_MS)])
          const stream = await chunk.store(
            peer,
            {
              publicKey: index.publicKey,
              group: index.group,
              column,
              k: index.k,
              n: index.n,
              maxColumnBytes: index.columnBytes,
              lease,
              purpose,
            },
            within,
          )
          return { column, stream }
        } catch (error) {
          signal.throwIfAborted()
          const isDeleted = isTombstoned(error) && (await showsDeletion(chunk, peer, index, column, signal))
          // That it was deleted weighs more than what others said; who only says so is one that does not take it.
          if (isDeleted) deletion = error
          if (deletion !== undefined) return undefined
          failure = error
          log.debug({ peer: peer.toString(), column, error: String(error) }, 'a peer does not take a column')
        }
      }
      return undefined
    }),
  )
  const opened = targets.filter((target) => target !== undefined)
  // One that knows the owner's deletion ends it all: nobody may bring the slab back.
  if (deletion !== undefined) {
    for (const { stream } of opened) stream.abort(deletion)
    throw deletion
  }
  return { targets: opened, failure }
}

/** Whether the peer has what only the owner can have signed: an audit is answered with it. */
async function showsDeletion(
  chunk: Pick<Chunk, 'audit'>,
  peer: PeerId,
  index: SlabIndex,
  column: number,
  signal: AbortSignal,
): Promise<boolean> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)])
  try {
    await chunk.audit(peer, index, { column, segment: 0, leaf: 0 }, within)
    return false
  } catch (error) {
    signal.throwIfAborted()
    return isTombstoned(error)
  }
}

function isTombstoned(error: unknown): error is ChunkRefusedError {
  return error instanceof ChunkRefusedError && error.status === ChunkStatus.tombstoned
}

/** Reads the slab once and gives every target its column. A target that fails drops out, the others go on. */
async function runPass(
  options: RestorerOptions,
  { index, held, rateBytesPerSecond = Number.POSITIVE_INFINITY, signal }: RestoreOptions,
  targets: readonly Target[],
): Promise<Restored> {
  const sources = new PieceSources(options, index, held, signal)
  const going = (): Target[] => targets.filter((target) => target.failure === undefined)
  try {
    for (let segment = 0; segment < index.sealedBytes.length && going().length > 0; segment++) {
      const pieceBytes = index.pieceBytes(segment)
      await options.rate.take(pieceBytes * (index.k + going().length), rateBytesPerSecond, signal)
      const made = await makePieces(
        options.codec,
        index,
        segment,
        await sources.pieces(segment),
        going(),
        signal,
      )
      await Promise.all(
        going().map(async (target) => {
          const piece = made.get(target.column)
          if (piece === undefined) throw piecesMissing(index.slab, 0, index.k)
          await attempt(target, () => target.stream.write(piece, signal))
        }),
      )
    }
    const restored: Restored = []
    await Promise.all(
      going().map((target) =>
        attempt(target, async () => {
          const within = AbortSignal.any([signal, AbortSignal.timeout(RECEIPT_TIMEOUT_MS)])
          const receipt: Receipt = await target.stream.finish(index, within)
          restored.push({ column: target.column, peer: target.stream.peer, receipt })
        }),
      ),
    )
    signal.throwIfAborted()
    return restored
  } catch (error) {
    for (const target of going()) {
      target.failure = error
      target.stream.abort(error as Error)
    }
    throw error
  } finally {
    await sources.close()
  }
}

async function attempt(target: Target, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    target.failure = error
    target.stream.abort(error as Error)
  }
}

/** Copies are the same bytes in every column; of coded slabs each piece is checked against what the owner signed. */
async function makePieces(
  codec: Pick<SegmentCodec, 'rebuild'>,
  index: SlabIndex,
  segment: number,
  pieces: ReadonlyMap<number, Uint8Array>,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<Map<number, Uint8Array>> {
  const columns = targets.map(({ column }) => column)
  if (index.k === 1) {
    const [copy] = pieces.values()
    if (copy === undefined) throw piecesMissing(index.slab, 0, 1)
    return new Map(columns.map((column) => [column, copy]))
  }
  const sealedBytes = index.sealedBytes[segment] ?? 0
  const redundancy = { k: index.k, n: index.n }
  const made = await codec.rebuild(pieces, { columns, sealedBytes, redundancy, signal })
  const checked = new Map<number, Uint8Array>()
  for (const column of columns) {
    const piece = made.get(column)
    // The sources were verified, so that a difference here means an index that contradicts itself.
    if (piece === undefined || !Buffer.from(piece.root).equals(index.root(segment, column))) {
      throw indexContradicts(index.slab, column)
    }
    checked.set(column, piece.bytes)
  }
  return checked
}
