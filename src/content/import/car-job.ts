import { CID } from 'multiformats/cid'
import type { JobHandler } from '../../jobs/types.ts'
import type { Storage } from '../../storage/types.ts'
import { paramsInvalid } from '../errors.ts'
import { Pace } from '../pace.ts'
import type { CarImportParams, CarImportResult } from '../types.ts'
import type { PrivateContent } from '../private/private-content.ts'
import { leaseOfJob } from './add-job.ts'
import { BlockWriter } from './block-writer.ts'
import { privacyNote, settlePrivacy } from './privacy.ts'
import { readCarBlock, readCarHeader } from './car-reader.ts'
import type { CommitInterval } from './committer.ts'
import { COMMIT_INTERVAL, Committer } from './committer.ts'
import { PullReader } from '../../tar/pull-reader.ts'

const CONCURRENT_IMPORTS = 2
/** What follows the blocks of a CAR of version 2 (an index) is read and dropped in parts of this size. */
const SKIP_BYTES = 1024 * 1024

interface CarCheckpoint {
  version: 1
  roots: string[]
  endOffset: number | null
  blocks: number
  size: number
}

export interface CarJobDependencies {
  storage: Pick<Storage, 'blocks' | 'pins'>
  /** What is private here; without it nothing is, and nothing can be imported so. */
  privateContent?: PrivateContent | undefined
  /** Called with each root of public content. */
  onAdded(cid: string): void
  /** How often progress is made durable; tests commit more often. */
  commitInterval?: CommitInterval
}

/**
 * The `car-import` job: stores the blocks of a CAR, each verified, and pins its roots. With a pin, a DAG that is not whole
 * in the store ends it with ERR_PIN_INCOMPLETE and the first block that is missing.
 */
export function carImportJob(dependencies: CarJobDependencies): JobHandler<CarImportParams, CarImportResult> {
  const { storage, onAdded, commitInterval = COMMIT_INTERVAL } = dependencies
  return {
    kind: 'car-import',
    concurrency: CONCURRENT_IMPORTS,
    resumable: true,
    title: () => 'import a CAR',

    async run(context) {
      const { params, source, signal } = context
      if (source === null) throw paramsInvalid('a car-import job needs an upload')
      const { privateContent } = dependencies
      const isPrivate = params.private === true
      if (isPrivate && privateContent === undefined) throw paramsInvalid('nothing can be private here')
      const privacy = privateContent === undefined ? undefined : { content: privateContent, isPrivate }
      const lease = await storage.blocks.lease(leaseOfJob(context.id))
      const writer = new BlockWriter(storage.blocks, signal, { verified: false, privacy })
      const committer = new Committer(source, commitInterval, () => writer.barrier())
      const reader = new PullReader(source)
      const pace = new Pace()
      const saved = context.checkpoint as CarCheckpoint | undefined
      const since = saved === undefined ? privateContent?.generation : undefined
      try {
        // A copy: what is counted from here on must not change the commit that a next run would start from.
        const state = saved === undefined ? await readStart(reader) : { ...saved }
        const checkpoint = (): CarCheckpoint => ({ ...state })
        for (;;) {
          signal.throwIfAborted()
          const block = await readCarBlock(reader, state.endOffset)
          if (block === undefined) break
          const sizeBytes = block.bytes.length
          await writer.put(block)
          state.blocks += 1
          state.size += sizeBytes
          if (committer.isDue(reader.offset)) committer.start(reader.offset, checkpoint())
          context.progress({
            done: reader.offset,
            ...(source.size === null ? {} : { total: source.size }),
            unit: 'bytes',
            counters: { blocks: state.blocks },
          })
          await pace.breathe()
        }
        while ((await reader.some(SKIP_BYTES)) !== undefined) await pace.breathe()
        await committer.finish(reader.offset, checkpoint())

        const roots = state.roots.map((root) => CID.parse(root))
        await settlePrivacy(roots, privacy, since, signal)
        if (params.pin !== null) {
          for (const root of roots)
            await storage.pins.add(root, { name: params.pin, kind: 'recursive', signal })
        }
        await lease.release()
        if (!isPrivate) for (const root of state.roots) onAdded(root)
        const { blocks, size } = state
        return { roots: state.roots, blocks, size, ...privacyNote(privacy, writer) }
      } finally {
        await committer.settled().catch(() => {})
        await writer.settled()
        await reader.close()
      }
    },

    async discard(id) {
      await (await storage.blocks.lease(leaseOfJob(id))).release()
    },
  }
}

async function readStart(reader: PullReader): Promise<CarCheckpoint> {
  const { roots, endOffset } = await readCarHeader(reader)
  return { version: 1, roots: roots.map((root) => root.toString()), endOffset, blocks: 0, size: 0 }
}
