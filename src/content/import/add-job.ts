import { join } from 'node:path'
import { rm } from 'node:fs/promises'
import type { JobContext, JobHandler } from '../../jobs/types.ts'
import type { Storage } from '../../storage/types.ts'
import { paramsInvalid } from '../errors.ts'
import { Pace } from '../pace.ts'
import type { PrivateContent } from '../private/private-content.ts'
import type { AddParams, AddResult } from '../types.ts'
import { layoutOf } from '../unixfs/profile.ts'
import { importFile } from './add-file.ts'
import { importTree } from './add-tree.ts'
import { BlockWriter } from './block-writer.ts'
import type { ImportCheckpoint } from './checkpoint.ts'
import { emptyTotals } from './checkpoint.ts'
import { COMMIT_INTERVAL } from './committer.ts'
import type { CommitInterval } from './committer.ts'
import { privacyNote, settlePrivacy } from './privacy.ts'
import type { ImportRun } from './run.ts'

/** Imports under way at once: each may hold 32 MiB of blocks and as much of its client's bytes. */
const CONCURRENT_IMPORTS = 2

export interface AddJobDependencies {
  storage: Pick<Storage, 'blocks' | 'pins'>
  /** HOME/jobs: files that a job keeps while it runs. */
  jobsFolder: string
  /** What is private here; without it nothing is, and nothing can be added so. */
  privateContent?: PrivateContent | undefined
  /** Called with the root of public content once it is stored (and pinned). */
  onAdded(cid: string): void
  /** How often progress is made durable; tests commit more often. */
  commitInterval?: CommitInterval
}

export function leaseOfJob(id: string): string {
  return `job:${id}`
}

/**
 * The `add` job: makes UnixFS of an upload and pins it.
 *
 * Order of what becomes durable: blocks, then (for trees) the journal of finished entries, then the offset and the
 * checkpoint, all under a lease, then the pin, then (for trees) the result, then the lease is given back. A crash between any two loses nothing that
 * was committed and repeats at most what was not.
 */
export function addJob(dependencies: AddJobDependencies): JobHandler<AddParams, AddResult> {
  const { storage, jobsFolder, onAdded, commitInterval = COMMIT_INTERVAL } = dependencies
  const journalPath = (id: string): string => join(jobsFolder, `${id}.entries`)
  const release = async (id: string): Promise<void> => {
    await (await storage.blocks.lease(leaseOfJob(id))).release()
    await rm(journalPath(id), { force: true })
  }

  return {
    kind: 'add',
    concurrency: CONCURRENT_IMPORTS,
    resumable: true,
    title: (params) => `add ${params.name}`,

    async run(context) {
      const { params, source, signal } = context
      if (source === null) throw paramsInvalid('an add job needs an upload')
      if (params.source !== 'file' && params.source !== 'tree')
        throw paramsInvalid('source must be file or tree')
      const layout = layoutOf(params)
      const saved = context.checkpoint as ImportCheckpoint | undefined
      if (saved?.source === 'ended') {
        await release(context.id)
        if (saved.result.private !== true) onAdded(saved.result.cid)
        return saved.result
      }
      const { privateContent } = dependencies
      const isPrivate = params.private === true
      if (isPrivate && privateContent === undefined) throw paramsInvalid('nothing can be private here')
      const privacy = privateContent === undefined ? undefined : { content: privateContent, isPrivate }
      const since = saved === undefined ? privateContent?.generation : undefined
      await storage.blocks.lease(leaseOfJob(context.id))
      const totals = emptyTotals()
      const writer = new BlockWriter(storage.blocks, signal, { verified: true, privacy })
      const run: ImportRun = {
        layout,
        preserveMode: params.preserveMode,
        name: params.name,
        source,
        writer,
        pace: new Pace(),
        signal,
        journalPath: journalPath(context.id),
        commitInterval,
        totals,
        progress: (offset) => reportProgress(context, offset, totals),
      }
      const imported =
        params.source === 'tree'
          ? importTree(run, saved?.source === 'tree' ? saved : undefined)
          : importFile(run, saved?.source === 'file' ? saved : undefined)
      // One that failed leaves nothing under way that would come after its lease was given back.
      const root = await imported.catch(async (error: unknown) => {
        await writer.settled()
        throw error
      })
      await settlePrivacy([root.cid], privacy, since, signal)
      if (params.pin !== null) {
        await storage.pins.add(root.cid, { name: params.pin, kind: 'recursive', signal })
      }
      const cid = root.cid.toString()
      const { size, files, blocks, skipped } = totals
      const result: AddResult = {
        cid,
        size,
        files,
        blocks,
        ...(skipped === 0 ? {} : { skipped }),
        ...privacyNote(privacy, writer),
      }
      // Without its journal a tree cannot be built again, should a crash come before the job is noted as done.
      if (params.source === 'tree') await context.saveCheckpoint({ version: 1, source: 'ended', result })
      await release(context.id)
      if (!isPrivate) onAdded(cid)
      return result
    },

    discard: (id) => release(id),
  }
}

function reportProgress(context: JobContext<AddParams>, offset: number, totals: ImportRun['totals']): void {
  const totalBytes = context.source?.size ?? null
  context.progress({
    done: offset,
    ...(totalBytes === null ? {} : { total: totalBytes }),
    unit: 'bytes',
    counters: {
      files: totals.files,
      blocks: totals.blocks,
      ...(totals.skipped === 0 ? {} : { skipped: totals.skipped }),
    },
  })
}
