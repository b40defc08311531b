import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import {
  ed25519Signer,
  pieceBytesOf,
  sameBytes,
  signLease,
  slabIdOf,
} from '../../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../../protocols/chunk/types.ts'
import type { JobContext, JobSource } from '../../../jobs/types.ts'
import {
  type EncodedSegment,
  sealedBytesOf,
  SEGMENT_BYTES,
  SEGMENTS_PER_SLAB,
  segmentKey,
  SLABS_PER_GROUP,
  slabSeed,
} from '../../codec/index.ts'
import type { PutParams, Redundancy } from '../../types.ts'
import { sourceChanged } from '../errors.ts'
import { hintHolders } from '../hint.ts'
import { ENCODINGS_AHEAD, RENEW_PART, SLABS_UNDER_WAY } from '../limits.ts'
import type { OwnerColumn, OwnerObject, OwnerSlab } from '../state.ts'
import { nextSequence } from '../statements.ts'
import type { OwnerDependencies } from './dependencies.ts'
import { GroupHolders } from './group-holders.ts'
import { SlabUpload, type StoredSlab } from './slab-upload.ts'
import { Spool } from './spool.ts'
import { uploadCopies } from './upload-copies.ts'
import { newStages, type Stages, stageCounters } from './stages.ts'
import type { PutStream, StreamCheckpoint } from './stream.ts'

export interface PutCheckpoint {
  version: 1
  /** Data slabs whose receipts are in. */
  slabs: number
  stream: StreamCheckpoint
}

const SALT_BYTES = 32

interface SlabUnderWay {
  upload: SlabUpload
  position: number
  slab: SlabId
  salt: Uint8Array
  spool: Spool
  group: GroupHolders
  /** Encodings of its segments, in order. */
  added: Promise<void>
}

/** What one run of a put works with: its slabs, one after another, over two of them at once. */
export class PutRun {
  readonly stages: Stages = newStages()
  readonly #dependencies: OwnerDependencies
  readonly #context: JobContext<PutParams>
  readonly #source: JobSource
  readonly #object: OwnerObject
  readonly #redundancy: Redundancy
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  #group: GroupHolders | undefined
  /** Slabs in the group so far, the manifest with the first group's. */
  #groupSlabs = 0
  #nextPosition: number
  #committed: number
  /** Commits of slabs, in order. */
  #committing: Promise<void> = Promise.resolve()
  #underWay = 0
  #finished = Promise.withResolvers<void>()
  replacedHolders = 0

  constructor(
    dependencies: OwnerDependencies,
    context: JobContext<PutParams>,
    options: { source: JobSource; object: OwnerObject; redundancy: Redundancy; slabs: number },
  ) {
    this.#dependencies = dependencies
    this.#context = context
    this.#source = options.source
    this.#object = options.object
    this.#redundancy = options.redundancy
    this.#nextPosition = options.slabs
    this.#committed = options.slabs
    this.#signal = AbortSignal.any([context.signal, this.#stop.signal])
  }

  /** Stores everything that the stream gives; afterwards all of it is committed. */
  async store(stream: PutStream): Promise<void> {
    let slab: SlabUnderWay | undefined
    /** Segments that are being coded, or wait until holders have taken those before them. */
    const adding = new Set<Promise<void>>()
    try {
      for (;;) {
        const bytes = new Uint8Array(SEGMENT_BYTES)
        const length = await stream.take(bytes)
        this.#signal.throwIfAborted()
        const told = this.#source.size
        if (told !== null && stream.offset > told)
          throw sourceChanged(`it has more than the ${told} bytes that it had`)
        if (length > 0) {
          slab ??= await this.#begin()
          const segment = length < SEGMENT_BYTES ? bytes.slice(0, length) : bytes
          while (adding.size >= ENCODINGS_AHEAD) await Promise.race(adding)
          const number = this.#segmentOf(stream.size - length)
          const encoding = this.#encode(slab, segment, number)
          encoding.catch(() => {})
          const { upload, added } = slab
          const work = added.then(async () => upload.add(await encoding))
          slab.added = work
          adding.add(work)
          work.then(
            () => adding.delete(work),
            (error: unknown) => this.#stop.abort(error),
          )
          this.progress(stream)
        }
        const isLast = length < SEGMENT_BYTES
        if (slab !== undefined && (isLast || stream.size % (SEGMENT_BYTES * SEGMENTS_PER_SLAB) === 0)) {
          // Taken now: the next slab's bytes are read while this one's receipts are awaited.
          this.#finish(slab, stream, stream.save(), stream.offset)
          slab = undefined
          await this.#backPressure()
        }
        if (isLast) break
      }
      await this.#committing
      this.#signal.throwIfAborted()
      await stream.sync()
      await this.#commit(stream.offset, stream.save())
      if (this.#group !== undefined && !sameBytes(this.#group.id, this.#object.manifest))
        await hintHolders(this.#dependencies, this.#group, this.#signal)
    } catch (error) {
      const reason = this.#stop.signal.aborted ? (this.#stop.signal.reason as Error) : (error as Error)
      this.#stop.abort(reason)
      if (slab !== undefined) await this.#abandon(slab, reason)
      await this.#committing.catch(() => {})
      throw this.#context.signal.aborted ? (this.#context.signal.reason as Error) : reason
    }
  }

  /** Sends the manifest's pieces, which are the same for every column. */
  async storeManifest(pieces: { bytes: Uint8Array; root: Uint8Array }[]): Promise<StoredSlab> {
    const { state, leaseMs, ownerSecret } = this.#dependencies
    const { manifest, manifestSalt } = this.#object
    // A long put may have outlived the lease that was meant for its manifest; each number is given out once.
    const nowMs = Date.now()
    const sequence = nextSequence(state.slab(manifest)?.leaseSequence ?? 0, nowMs)
    const lease = { untilMs: nowMs + leaseMs, sequence }
    await state.database.write(() =>
      state.setLease(manifest, { ...lease, renewMs: nowMs + leaseMs * RENEW_PART }),
    )
    return uploadCopies(this.#dependencies, {
      slab: manifest,
      signer: ed25519Signer(slabSeed(ownerSecret(), Buffer.from(manifestSalt, 'base64'))),
      pieces,
      n: this.#redundancy.n,
      group: await this.#firstGroup(),
      lease,
      onReplaced: () => {
        this.replacedHolders += 1
      },
      signal: this.#signal,
    })
  }

  /** Who holds the manifest, for hints. */
  async hintFirstGroup(): Promise<void> {
    await hintHolders(this.#dependencies, await this.#firstGroup(), this.#context.signal)
  }

  close(): void {
    this.#stop.abort(new Error('the put is done'))
    this.#group?.close()
  }

  /** Chooses holders for the first group, or finds those that a run before this one had. */
  async place(): Promise<void> {
    const { state } = this.#dependencies
    const last =
      this.#nextPosition === 0 ? undefined : lastSlab(state.slabsOf(this.#object.id, this.#nextPosition - 2))
    if (last === undefined) {
      await this.#openGroup(this.#object.manifest, state.columnsOf(this.#object.manifest))
      this.#groupSlabs = 1
      return
    }
    const inGroup = [...state.allSlabsOf(this.#object.id)].filter(({ group }) => sameBytes(group, last.group))
    await this.#openGroup(last.group, withReceipts(state.columnsOf(last.id)))
    this.#groupSlabs = inGroup.length
  }

  #segmentOf(position: number): number {
    return Math.floor(position / SEGMENT_BYTES) % SEGMENTS_PER_SLAB
  }

  /** A new attempt to make the next slab: durable before its first piece leaves. */
  async #begin(): Promise<SlabUnderWay> {
    const { state, ownerSecret, leaseMs } = this.#dependencies
    const salt = randomBytes(SALT_BYTES)
    const slab = slabIdOf(ed25519Signer(slabSeed(ownerSecret(), salt)).publicKey)
    if (this.#group === undefined || this.#groupSlabs >= SLABS_PER_GROUP) await this.#openGroup(slab, [])
    const group = this.#group as GroupHolders
    this.#groupSlabs += 1
    const position = this.#nextPosition
    this.#nextPosition += 1
    const nowMs = Date.now()
    const lease = { untilMs: nowMs + leaseMs, sequence: 1 }
    await state.database.write(() => {
      state.insertSlab({
        id: slab,
        object: this.#object.id,
        position,
        group: group.id,
        state: 'open',
        ...this.#redundancy,
        columnBytes: 0,
        indexHash: null,
        leaseUntilMs: lease.untilMs,
        leaseSequence: lease.sequence,
        renewMs: nowMs + leaseMs * RENEW_PART,
        salt,
        modes: new Uint8Array(0),
      })
      for (let column = 0; column < this.#redundancy.n; column += 1) {
        const holder = group.holder(column)
        if (holder !== undefined) state.insertColumn(slab, column, holder.toString())
      }
    })
    const spool = await this.#spool(slab, this.#redundancy)
    const maxColumnBytes = columnBytesAtMost(this.#redundancy, this.#source.size)
    const upload = this.#upload({
      slab,
      salt,
      group,
      spool,
      redundancy: this.#redundancy,
      lease,
      maxColumnBytes,
    })
    return { upload, position, slab, salt, spool, group, added: Promise.resolve() }
  }

  #upload(options: {
    slab: SlabId
    salt: Uint8Array
    group: GroupHolders
    spool: Spool
    redundancy: Redundancy
    lease: { untilMs: number; sequence: number }
    maxColumnBytes: number
  }): SlabUpload {
    const { state, networkName, ownerSecret, chunk, codec, trust, log } = this.#dependencies
    const { slab, salt, lease, ...rest } = options
    const signer = ed25519Signer(slabSeed(ownerSecret(), salt))
    return new SlabUpload({
      ...rest,
      slab,
      signer,
      networkName,
      lease: signLease(signer, networkName, lease).signed,
      chunk,
      codec,
      trust,
      stages: this.stages,
      log,
      onHolder: (column, peer) => state.database.writeRelaxed(() => state.insertColumn(slab, column, peer)),
      onReplaced: () => {
        this.replacedHolders += 1
      },
      signal: this.#signal,
    })
  }

  async #encode(slab: SlabUnderWay, segment: Uint8Array, number: number): Promise<EncodedSegment> {
    const encoded = await this.#dependencies.codec.encode(segment, {
      slab: slab.slab,
      number,
      key: segmentKey('segment', Buffer.from(this.#object.fileKey, 'base64'), slab.salt, number),
      redundancy: this.#redundancy,
      signal: this.#signal,
    })
    const { compress, seal, encode, hash } = encoded.stageMs
    this.stages.compress += compress
    this.stages.seal += seal
    this.stages.encode += encode
    this.stages.hash += hash
    return encoded
  }

  /** Awaits its receipts, in the background, and then commits it after those before it. */
  #finish(slab: SlabUnderWay, stream: PutStream, checkpoint: StreamCheckpoint, offset: number): void {
    this.#underWay += 1
    const before = this.#committing
    const isGroupsLast = this.#groupSlabs >= SLABS_PER_GROUP
    const work = async (): Promise<void> => {
      try {
        await slab.added
        const stored = await slab.upload.finish()
        await before
        await stream.sync()
        this.#record(slab, stored)
        this.#committed = slab.position + 1
        await this.#commit(offset, checkpoint)
        if (isGroupsLast) {
          await hintHolders(this.#dependencies, slab.group, this.#signal)
          slab.group.close()
        }
      } catch (error) {
        await slab.upload.abort(error as Error)
        throw error
      } finally {
        await slab.spool.remove()
        this.#underWay -= 1
        this.#finished.resolve()
        this.#finished = Promise.withResolvers()
      }
    }
    this.#committing = work()
    this.#committing.catch((error: unknown) => this.#stop.abort(error))
  }

  /** Relaxed: the commit that follows makes it durable with itself. */
  #record(slab: SlabUnderWay, { index, modes, receipts }: StoredSlab): void {
    const { state } = this.#dependencies
    const { slab: id, salt } = slab
    state.database.writeRelaxed(() => {
      state.finishSlab({ id, salt, modes, columnBytes: index.columnBytes, indexHash: index.hash })
      for (const { receipt, peer } of receipts) state.setReceipt(receipt, peer)
    })
    this.#dependencies.onLeases()
  }

  #commit(offset: number, stream: StreamCheckpoint): Promise<void> {
    const checkpoint: PutCheckpoint = { version: 1, slabs: this.#committed, stream }
    return this.#source.commit(offset, checkpoint)
  }

  async #backPressure(): Promise<void> {
    while (this.#underWay >= SLABS_UNDER_WAY) {
      await this.#finished.promise
      this.#signal.throwIfAborted()
    }
  }

  async #abandon(slab: SlabUnderWay, reason: Error): Promise<void> {
    await slab.upload.abort(reason)
    await slab.added.catch(() => {})
    await slab.spool.remove()
  }

  /** `columns`: who holds, or was at least sent, which column already. */
  async #openGroup(id: SlabId, columns: readonly OwnerColumn[]): Promise<void> {
    const { placer, chunk } = this.#dependencies
    const { params } = this.#context
    const known = new Map(columns.map((row) => [row.peer, row.column]))
    const holders: ReturnType<GroupHolders['holder']>[] = []
    for (const peer of chunk.peers()) {
      const column = known.get(peer.toString())
      if (column !== undefined) holders[column] = peer
    }
    const options = {
      id,
      redundancy: this.#redundancy,
      columnBytes: columnBytesAtMost(this.#redundancy, this.#source.size),
      allowDegraded: params.allowDegraded,
      placer,
      chunk,
      waiting: (reason: string | null) => this.#context.waiting(reason),
      signal: this.#signal,
    }
    this.#group = new GroupHolders(options, holders, known)
    await this.#group.place()
    this.#groupSlabs = 0
  }

  /** The group whose holders keep the manifest: with large puts that of long ago, so its columns are looked up. */
  async #firstGroup(): Promise<GroupHolders> {
    if (this.#group !== undefined && sameBytes(this.#group.id, this.#object.manifest)) return this.#group
    const { state } = this.#dependencies
    this.#group?.close()
    const first = state.slabsOf(this.#object.id).find(({ position }) => position === 0)
    const { manifest } = this.#object
    // Receipts of the manifest are recorded with the object; until then whoever was sent a column may hold it.
    const known = first === undefined ? state.columnsOf(manifest) : withReceipts(state.columnsOf(first.id))
    await this.#openGroup(manifest, known)
    return this.#group as unknown as GroupHolders
  }

  #spool(slab: SlabId, redundancy: Redundancy): Promise<Spool> {
    return Spool.create(join(this.#dependencies.workFolder, 'spool'), slab, redundancy)
  }

  /** Tells those who watch how far it has come, and where the time goes. */
  progress(stream: PutStream, note?: string): void {
    const total = this.#source.size
    this.#context.progress({
      done: stream.offset,
      ...(total === null ? {} : { total }),
      unit: 'bytes',
      ...(note === undefined ? {} : { note }),
      counters: {
        files: stream.files,
        slabs: this.#committed,
        replacedHolders: this.replacedHolders,
        ...stageCounters(this.stages),
      },
    })
  }
}

/** Of any slab of a put of so many bytes; null: nobody knows. */
export function columnBytesAtMost({ k }: Redundancy, sizeBytes: number | null): number {
  const slabBytes = SEGMENTS_PER_SLAB * SEGMENT_BYTES
  const bytes = sizeBytes === null ? slabBytes : Math.min(sizeBytes, slabBytes)
  const full = Math.floor(bytes / SEGMENT_BYTES)
  const rest = bytes - full * SEGMENT_BYTES
  return full * pieceBytesOf(sealedBytesOf(SEGMENT_BYTES), k) + pieceBytesOf(sealedBytesOf(rest), k)
}

function lastSlab(slabs: readonly OwnerSlab[]): OwnerSlab | undefined {
  return slabs.findLast(({ state, position }) => state === 'stored' && position >= 0)
}

function withReceipts(columns: readonly OwnerColumn[]): OwnerColumn[] {
  return columns.filter(({ counts }) => counts)
}
