import type { Logger } from '../telemetry/types.ts'
import { clip, jobsStopped, uploadInvalid } from './errors.ts'
import { toJson } from './json.ts'
import { MAX_CHECKPOINT_BYTES, MAX_PROGRESS_COUNTERS } from './limits.ts'
import type { LiveJob, Run } from './live-job.ts'
import type { Roster } from './roster.ts'
import type { UploadSession } from './session.ts'
import type { JobContext, JobProgress, JobSource } from './types.ts'

interface Options {
  job: LiveJob
  run: Run
  roster: Roster
  log: Logger
}

/** What one run of a handler gets. A run that has ended can no longer write through it. */
export function contextOf({ job, run, roster, log }: Options): JobContext<unknown> {
  const { state, store } = roster
  const { id, kind, params } = job.record
  const { signal } = run.controller

  const checkCurrent = () => {
    if (job.run !== run) throw signal.aborted ? (signal.reason as Error) : jobsStopped()
  }
  const commit = async (session: UploadSession, offset: number, checkpoint: unknown) => {
    checkCurrent()
    if (!Number.isSafeInteger(offset) || offset < session.committed || offset > session.offset) {
      throw uploadInvalid(
        `a job can commit from byte ${session.committed} to byte ${session.offset}, not ${offset}`,
      )
    }
    const json = toJson('checkpoint', checkpoint, MAX_CHECKPOINT_BYTES)
    await state.write(() => {
      store.setCommitted(session.id, offset)
      store.setCheckpoint(job.record, json)
      // With the row: another commit may follow before this one is flushed.
      session.committed = offset
    })
  }

  return {
    id,
    params,
    signal,
    log: log.child({ job: id, kind }),
    checkpoint: store.checkpoint(job.record),
    async saveCheckpoint(checkpoint) {
      checkCurrent()
      const json = toJson('checkpoint', checkpoint, MAX_CHECKPOINT_BYTES)
      await state.write(() => store.setCheckpoint(job.record, json))
    },
    progress(progress) {
      if (job.run === run) roster.progressed(job, boundedProgress(progress))
    },
    waiting(reason) {
      if (job.run !== run || run.ending !== null) return
      // A run without its client shows that, not what it waits for besides.
      if (job.record.state === 'needs-source') return
      roster.change(job, reason === null ? 'running' : 'waiting', reason === null ? null : clip(reason))
    },
    source: job.session === null ? null : sourceOf(job.session, signal, commit),
  }
}

function sourceOf(
  session: UploadSession,
  signal: AbortSignal,
  commit: (session: UploadSession, offset: number, checkpoint: unknown) => Promise<void>,
): JobSource {
  const iterator = session.attach(signal)
  const offset = session.offset
  let iterated = false
  return {
    offset,
    get size() {
      return session.size
    },
    commit: (offset, checkpoint) => commit(session, offset, checkpoint),
    [Symbol.asyncIterator]() {
      // Bytes pass once; a second loop would silently miss what the first one took.
      if (iterated) throw uploadInvalid('the source of an upload can be read only once in a run')
      iterated = true
      return iterator
    },
  }
}

/** Copies what is known, within its bounds: the report lives on in memory, on disk and in events. */
function boundedProgress({ done, total, unit, note, counters }: JobProgress): JobProgress {
  return {
    done,
    unit,
    ...(total !== undefined && { total }),
    ...(note !== undefined && { note: clip(note) }),
    ...(counters !== undefined && {
      counters: Object.fromEntries(Object.entries(counters).slice(0, MAX_PROGRESS_COUNTERS)),
    }),
  }
}
