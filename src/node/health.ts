import type { ApiDependencies } from '../api/index.ts'
import type { OpenStorage } from '../storage/open.ts'

export type NodeState = 'new' | 'starting' | 'ready' | 'stopping' | 'stopped'
export type NodeHealth = ReturnType<ApiDependencies['health']>

/** What `status` and `/health/ready` say of a node in a state, and why. */
export function healthOf(node: {
  storage: OpenStorage
  /** What ended the writer of blocks.db; undefined while it lives. */
  storageFailure: unknown
  state: NodeState
}): NodeHealth {
  const { storage, storageFailure, state } = node
  const problems = problemsOf(storage)
  if (storageFailure !== undefined) {
    problems.push('nothing can be stored any more: the writer of blocks.db failed; see the log and restart')
  }
  if (state === 'starting') return { state: 'starting', problems }
  if (state !== 'ready') return { state: 'stopping', problems }
  if (storageFailure !== undefined) return { state: 'failed', problems }
  return { state: problems.length > 0 ? 'degraded' : 'ready', problems }
}

/** Rot that nobody could heal is the one lasting problem a running node can have by itself. */
function problemsOf(storage: OpenStorage): string[] {
  const { usedBytes, quotaBytes, quarantined } = storage.blocks.usage()
  const problems: string[] = []
  if (quarantined > 0) problems.push(`${quarantined} blocks are rotten and not healed: run p2pnode scrub`)
  if (usedBytes >= quotaBytes)
    problems.push('the storage quota is used up: run p2pnode gc, or raise storage.quota')
  return problems
}
