import type { CID } from 'multiformats/cid'
import { P2pnodeError } from '../../protocols/shared/errors.ts'

export function addressInvalid(address: string, reason: string): P2pnodeError {
  return new P2pnodeError('ERR_ADDRESS_INVALID', 'usage', `"${address}" is not an address: ${reason}`, {
    details: { address },
  })
}

export function pathNotFound(path: string, under: CID): P2pnodeError {
  return new P2pnodeError('ERR_NOT_FOUND', 'not-found', `there is no "${path}" under ${under}`, {
    details: { path, cid: under.toString() },
  })
}

/** What one step of the discovery flow answered, for the message of a failure. */
export interface StepAnswer {
  step: string
  answer: string
}

/** On a denylist of this node. What it is named by is all that is said. */
export function contentDenied(what: string): P2pnodeError {
  return new P2pnodeError('ERR_CONTENT_DENIED', 'denied', `${what} is on a denylist of this node`, {
    details: { content: what.slice(0, 256) },
  })
}

/** Asked to do with private content what would tell of it outside of the network. */
export function contentPrivate(cid: CID): P2pnodeError {
  return new P2pnodeError(
    'ERR_CONTENT_PRIVATE',
    'conflict',
    `${cid} is private, and stays so until: p2pnode private rm ${cid}`,
    { details: { cid: cid.toString() } },
  )
}

export function sharedWithPrivate(cid: CID): P2pnodeError {
  return new P2pnodeError(
    'ERR_CONTENT_PRIVATE',
    'conflict',
    `${cid} is a part of other private content, see: p2pnode private ls`,
    { details: { cid: cid.toString() } },
  )
}

/** One gateway's; `details.status` where it answered and is not to blame. */
export function gatewayFailed(
  name: string,
  reason: string,
  details: Record<string, unknown> = {},
): P2pnodeError {
  return new P2pnodeError('ERR_GATEWAY_FAILED', 'unavailable', `${name}: ${reason}`, {
    details: { gateway: name, ...details },
  })
}

export function blockNotFound(cid: CID, answers: StepAnswer[], cause?: unknown): P2pnodeError {
  const tried = answers.map(({ step, answer }) => `${step}: ${answer}`).join('; ')
  return new P2pnodeError('ERR_NOT_FOUND', 'not-found', `${cid} was not found (${tried})`, {
    details: { cid: cid.toString(), steps: answers },
    cause,
  })
}

export function fetchStalled(cid: CID, answers: StepAnswer[], cause?: unknown): P2pnodeError {
  const tried = answers.map(({ step, answer }) => `${step}: ${answer}`).join('; ')
  return new P2pnodeError('ERR_FETCH_STALLED', 'timeout', `no more blocks of ${cid} arrive (${tried})`, {
    details: { cid: cid.toString(), steps: answers },
    cause,
  })
}

export function cancelled(cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the operation was cancelled', { cause })
}

export function notAFile(what: string, type: string): P2pnodeError {
  return new P2pnodeError('ERR_NOT_A_FILE', 'usage', `${what} is a ${type}, not a file`, {
    details: { type },
  })
}

export function notADirectory(what: string, type: string): P2pnodeError {
  return new P2pnodeError('ERR_NOT_A_DIRECTORY', 'usage', `${what} is a ${type}, not a directory`, {
    details: { type },
  })
}

/** The bytes match the CID but are not the UnixFS that the reader needs, or contradict themselves. */
export function dagInvalid(cid: CID, reason: string): P2pnodeError {
  return new P2pnodeError('ERR_DAG_INVALID', 'verification', `${cid} is malformed: ${reason}`, {
    details: { cid: cid.toString() },
  })
}

export function chunkerInvalid(chunker: string, reason: string): P2pnodeError {
  return new P2pnodeError('ERR_CHUNKER_INVALID', 'usage', `chunker "${chunker}": ${reason}`, {
    details: { chunker },
  })
}

export function paramsInvalid(reason: string): P2pnodeError {
  return new P2pnodeError('ERR_PARAMS_INVALID', 'usage', reason)
}

export function treeTooLarge(limit: number): P2pnodeError {
  return new P2pnodeError('ERR_TREE_TOO_LARGE', 'too-large', `a tree may have at most ${limit} entries`, {
    details: { limit },
  })
}

export function carInvalid(offset: number, reason: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_CAR_INVALID',
    'verification',
    `the CAR is malformed at byte ${offset}: ${reason}`,
    {
      details: { offset },
      cause,
    },
  )
}

/** A DAG can be small and have more paths through it than anybody could follow. */
export function carTooLarge(root: CID, reason: string): P2pnodeError {
  return new P2pnodeError('ERR_CAR_TOO_LARGE', 'too-large', `a CAR of ${root} would have no end: ${reason}`, {
    details: { cid: root.toString() },
  })
}

/** The checkpoint names state that is no longer there: only a damaged or tampered data folder gets here. */
export function checkpointLost(reason: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_CHECKPOINT_LOST',
    'failed',
    `the import cannot go on: ${reason}; start it again`,
  )
}
