import { P2pnodeError } from '../../protocols/shared/errors.ts'
import type { JobFailure } from './types.ts'
import {
  MAX_ERROR_DETAILS_BYTES,
  MAX_FINGERPRINT_CHARS,
  MAX_TEXT_CHARS,
  MAX_UNFINISHED_JOBS,
} from './limits.ts'

export function jobNotFound(id: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_JOB_NOT_FOUND',
    'not-found',
    `there is no job ${clip(id)}; it may have ended long ago`,
  )
}

export function uploadNotFound(id: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_UPLOAD_NOT_FOUND',
    'not-found',
    `there is no upload ${clip(id)}; start a new one`,
  )
}

export function jobKindUnknown(kind: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_JOB_KIND_UNKNOWN',
    'usage',
    `this node knows no jobs of the kind ${clip(kind)}`,
  )
}

/** Parameters, a checkpoint or a result that is over its bound, or is not JSON. */
export function jobDataInvalid(what: 'parameters' | 'checkpoint' | 'result', reason: string): P2pnodeError {
  return new P2pnodeError('ERR_JOB_DATA', 'too-large', `the job's ${what} cannot be stored: ${reason}`)
}

/** What a job's row holds was sealed under a key that this node does not have any more. */
export function jobSealed(cause?: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_JOB_SEALED',
    'failed',
    'what this job was about is sealed under another owner key; start it again',
    { cause },
  )
}

export function jobsFull(): P2pnodeError {
  return new P2pnodeError(
    'ERR_JOBS_FULL',
    'busy',
    `${MAX_UNFINISHED_JOBS} jobs wait or run already; try again when some have ended`,
  )
}

export function jobsStopped(): P2pnodeError {
  return new P2pnodeError('ERR_JOBS_STOPPED', 'unavailable', 'the node is stopping')
}

export function jobCancelled(): P2pnodeError {
  return new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the job was cancelled')
}

/** The daemon ended while a job ran that cannot go on. */
export function jobInterrupted(): P2pnodeError {
  return new P2pnodeError(
    'ERR_JOB_INTERRUPTED',
    'failed',
    'the daemon stopped while the job ran; start it again',
  )
}

/** A run that is set aside until its client comes back; never seen outside this room. */
export function jobSuspended(): P2pnodeError {
  return new P2pnodeError('ERR_JOB_SUSPENDED', 'unavailable', 'the job waits for its client')
}

/** The client that has the bytes did not come back in time. */
export function sourceTimeout(timeoutMs: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_SOURCE_TIMEOUT',
    'timeout',
    `nobody sent the rest of the upload within ${Math.round(timeoutMs / 1_000)} s`,
    { details: { timeoutMs } },
  )
}

/** The bytes do not begin, or end, where the session stands; send from `offset`. */
export function uploadOffset(offset: number, given: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_UPLOAD_OFFSET',
    'conflict',
    `the upload stands at byte ${offset}, not ${given}; send from there`,
    { details: { offset } },
  )
}

export function uploadBusy(): P2pnodeError {
  return new P2pnodeError('ERR_UPLOAD_BUSY', 'conflict', 'another part of this upload is being sent')
}

/** No byte may follow: the upload was completed. */
export function uploadClosed(): P2pnodeError {
  return new P2pnodeError('ERR_UPLOAD_CLOSED', 'conflict', 'the upload is complete; no bytes may follow')
}

/** More or fewer bytes than were announced. */
export function uploadSize(declared: number, actual: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_UPLOAD_SIZE',
    'usage',
    `the upload was announced with ${declared} bytes and has ${actual > declared ? 'at least ' : ''}${actual}; did the source change?`,
    { details: { declared, actual } },
  )
}

export function uploadInvalid(reason: string): P2pnodeError {
  return new P2pnodeError('ERR_UPLOAD_INVALID', 'usage', reason)
}

export function fingerprintInvalid(): P2pnodeError {
  return uploadInvalid(`an upload needs a fingerprint of 1 to ${MAX_FINGERPRINT_CHARS} characters`)
}

/** What a job's record keeps of an error: all of one that was raised on purpose, nothing of any other. */
export function failureOf(error: unknown): JobFailure {
  if (!(error instanceof P2pnodeError)) {
    return {
      code: 'ERR_INTERNAL',
      kind: 'failed',
      message: 'the job failed unexpectedly; the log has the details',
    }
  }
  const failure: JobFailure = { code: error.code, kind: error.kind, message: clip(error.message) }
  return hasStorableDetails(error.details) ? { ...failure, details: error.details } : failure
}

/** The error that a record keeps, to throw at a client whose bytes the job no longer takes. */
export function errorOf(failure: JobFailure): P2pnodeError {
  return new P2pnodeError(failure.code, failure.kind as P2pnodeError['kind'], failure.message, {
    ...(failure.details !== undefined && { details: failure.details }),
  })
}

export function clip(text: string): string {
  return text.length <= MAX_TEXT_CHARS ? text : `${text.slice(0, MAX_TEXT_CHARS - 1)}…`
}

function hasStorableDetails(details: Record<string, unknown>): boolean {
  if (Object.keys(details).length === 0) return false
  try {
    return Buffer.byteLength(JSON.stringify(details)) <= MAX_ERROR_DETAILS_BYTES
  } catch {
    return false
  }
}
