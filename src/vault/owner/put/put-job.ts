import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ed25519Signer, slabIdOf } from '../../../../protocols/chunk/format/index.ts'
import type { JobContext, JobHandler, JobSource } from '../../../jobs/types.ts'
import { formatLink, slabSeed } from '../../codec/index.ts'
import { CODED_FROM, parseRedundancy, writtenForm } from '../../place/index.ts'
import type { PutParams, PutResult, Redundancy } from '../../types.ts'
import { paramsInvalid } from '../errors.ts'
import { CONCURRENT_PUTS, MAX_NAME_BYTES, RENEW_PART } from '../limits.ts'
import { MANIFEST_POSITION, type OwnerObject } from '../state.ts'
import type { OwnerDependencies } from './dependencies.ts'
import { FileStream } from './file-stream.ts'
import { manifestPathOf, pendingManifest, publishManifestFile, sealManifest } from './manifest-step.ts'
import { columnBytesAtMost, type PutCheckpoint, PutRun } from './put-run.ts'
import type { PutStream } from './stream.ts'
import { TreeStream } from './tree-stream.ts'

const KEY_BYTES = 32
const SALT_BYTES = 32
/** A put asks whom it could use before it knows how many it needs: as many as the widest automatic code has. */
const ASKED_FIRST = 40

/**
 * The `put` job: makes slabs of an upload and brings them to holders.
 *
 * Order of what becomes durable: a slab's row with its salt, then its columns with their holders, then receipts and the
 * offset up to which the source is taken care of; at the end the sealed manifest (here), its columns, and the owner's
 * state, which makes the object. A crash between any two loses nothing that was committed: the job goes on at the last
 * slab whose receipts were in, with a new salt and so with new keys.
 */
export function putJob(dependencies: OwnerDependencies): JobHandler<PutParams, PutResult> {
  const { state, workFolder, onChange, onLeases } = dependencies
  return {
    kind: 'put',
    concurrency: CONCURRENT_PUTS,
    resumable: true,
    title: (params) => `put ${params.name}`,

    async run(context) {
      const { params, source } = context
      if (source === null) throw paramsInvalid('a put job needs an upload')
      checkParams(params)
      const known = state.object(context.id)
      // The owner's state was committed; only the job's own end was not.
      if (known !== undefined && known.state !== 'putting') return finish(dependencies, context, known)
      const checkpoint = context.checkpoint as PutCheckpoint | undefined
      const slabs = checkpoint?.slabs ?? 0
      const object = known ?? (await begin(dependencies, context, source))
      await state.database.write(() => state.abandonFrom(object.id, slabs))
      const redundancy = object.redundancy as Redundancy
      const run = new PutRun(dependencies, context, { source, object, redundancy, slabs })
      let stream: PutStream | undefined
      try {
        await run.place()
        stream = await open(dependencies, context, source, checkpoint)
        await run.store(stream)
        run.progress(stream, 'storing the manifest')
        const contents = await stream.contents()
        const complete: OwnerObject = {
          ...object,
          size: contents.size,
          sha256: contents.sha256 === null ? null : Buffer.from(contents.sha256).toString('hex'),
          mime: contents.mime,
          files: contents.files,
        }
        const manifest = await sealManifest(dependencies, complete, contents, context.signal)
        const stored = await run.storeManifest(manifest.pieces)
        await state.database.write(() => {
          const { index, receipts } = stored
          const salt = Buffer.from(object.manifestSalt, 'base64')
          state.finishSlab({
            id: object.manifest,
            salt,
            modes: new Uint8Array(0),
            columnBytes: index.columnBytes,
            indexHash: index.hash,
          })
          for (const { receipt, peer } of receipts) state.setReceipt(receipt, peer)
          state.setSecrets(complete)
          state.setObjectState(object.id, state.usageOf(object.id).missing > 0 ? 'degraded' : 'stored')
        })
        onLeases()
        onChange()
        await run.hintFirstGroup()
        run.progress(stream)
        return await finish(dependencies, context, state.object(object.id) as OwnerObject)
      } finally {
        run.close()
        await stream?.close()
      }
    },

    async discard(id) {
      await state.database.write(() => {
        if (state.object(id)?.state !== 'putting') return
        state.abandonAll(id)
        state.removeObject(id)
      })
      await removeFiles(workFolder, id)
    },
  }
}

function checkParams(params: PutParams): void {
  if (params.source !== 'file' && params.source !== 'tree') throw paramsInvalid('source must be file or tree')
  for (const name of [params.fileName, params.name]) {
    if (
      typeof name !== 'string' ||
      name === '' ||
      Buffer.byteLength(name) > MAX_NAME_BYTES ||
      !name.isWellFormed()
    )
      throw paramsInvalid(`a name has 1 to ${MAX_NAME_BYTES} bytes in UTF-8`)
  }
  const { fileName } = params
  if (/[/\0]/.test(fileName) || fileName === '.' || fileName === '..')
    throw paramsInvalid(`"${fileName}" cannot be the name of a file`)
  if (params.redundancy !== undefined) parseRedundancy(params.redundancy)
}

/** Fixes the redundancy and makes the object's row, with its keys, durable before anything is sent. */
async function begin(
  dependencies: OwnerDependencies,
  context: JobContext<PutParams>,
  source: JobSource,
): Promise<OwnerObject> {
  const { state, placer, ownerSecret, leaseMs } = dependencies
  const { params, signal, id } = context
  const written = params.redundancy ?? dependencies.redundancy
  const salt = randomBytes(SALT_BYTES)
  const manifest = slabIdOf(ed25519Signer(slabSeed(ownerSecret(), salt)).publicKey)
  const parsed = parseRedundancy(written)
  const columnBytes = columnBytesAtMost(parsed === 'auto' ? { k: 1, n: 1 } : parsed, source.size)
  const eligible = await placer.candidates({
    group: manifest,
    n: parsed === 'auto' ? ASKED_FIRST : parsed.n,
    atLeast: parsed === 'auto' ? CODED_FROM : parsed.n,
    columnBytes,
    purpose: 'put',
    exclude: new Set(),
    signal,
  })
  const redundancy = placer.redundancy(written, eligible.length, params.allowDegraded)
  const nowMs = Date.now()
  const object = {
    id,
    name: params.name,
    fileName: params.fileName,
    kind: params.source,
    readKey: randomBytes(KEY_BYTES).toString('base64'),
    fileKey: randomBytes(KEY_BYTES).toString('base64'),
    manifestSalt: salt.toString('base64'),
    redundancy,
    size: 0,
    sha256: null,
    mime: '',
    files: 0,
    state: 'putting' as const,
    manifest,
    createdMs: nowMs,
  }
  await state.database.write(() => {
    state.insertObject(object)
    state.insertSlab({
      id: manifest,
      object: id,
      position: MANIFEST_POSITION,
      group: manifest,
      state: 'open',
      k: 1,
      n: redundancy.n,
      columnBytes: 0,
      indexHash: null,
      leaseUntilMs: nowMs + leaseMs,
      leaseSequence: 1,
      renewMs: nowMs + leaseMs * RENEW_PART,
      salt,
      modes: new Uint8Array(0),
    })
  })
  return state.object(id) as OwnerObject
}

function open(
  { state, workFolder }: OwnerDependencies,
  { params, id }: JobContext<PutParams>,
  source: JobSource,
  checkpoint: PutCheckpoint | undefined,
): Promise<PutStream> {
  const saved = checkpoint?.stream
  if (params.source === 'file') {
    return FileStream.open({
      source,
      name: params.fileName,
      atRest: state.atRest,
      id,
      saved: saved?.source === 'file' ? saved : undefined,
    })
  }
  return TreeStream.open({
    source,
    name: params.fileName,
    preserveMode: params.preserveMode,
    journalPath: journalPath(workFolder, id),
    atRest: state.atRest,
    id,
    saved: saved?.source === 'tree' ? saved : undefined,
  })
}

/** Everything is committed: what is left can be done again after a crash. */
async function finish(
  dependencies: OwnerDependencies,
  context: JobContext<PutParams>,
  object: OwnerObject,
): Promise<PutResult> {
  const { state, jobs, workFolder } = dependencies
  const manifest = manifestPathOf(dependencies, object)
  await publishManifestFile(dependencies, object, manifest)
  await removeFiles(workFolder, object.id)
  const { stored, holders, missing } = state.usageOf(object.id)
  // The file is stored by now. Without that job the node's own look at its health brings the missing columns, later.
  if (missing > 0)
    await jobs.submit('complete', { id: object.id }).catch((error: unknown) => {
      context.log.warn({ err: error, missing }, 'the missing columns of a file have no job that brings them')
    })
  const link = formatLink({
    power: 'read',
    slab: object.manifest,
    key: Buffer.from(object.readKey, 'base64'),
  })
  context.log.info({ size: object.size, stored, holders, missing }, 'stored in the vault')
  return {
    id: object.id,
    link,
    manifest,
    size: object.size,
    sha256: object.sha256,
    stored,
    redundancy: writtenForm(object.redundancy as Redundancy),
    holders,
    expires: new Date(state.soonestExpiryMs(object.id) ?? 0).toISOString(),
    files: object.files,
    missing,
  }
}

function journalPath(workFolder: string, id: string): string {
  return join(workFolder, `${id}.entries`)
}

async function removeFiles(workFolder: string, id: string): Promise<void> {
  await rm(journalPath(workFolder, id), { force: true })
  await rm(pendingManifest(workFolder, id), { force: true })
}
