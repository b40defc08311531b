import type { Static } from 'typebox'
import type { Resolved as ResolvedContent } from '../content/types.ts'
import type { JobRecord } from '../jobs/types.ts'
import type { Pin } from '../storage/types.ts'
import type { ApiContext } from './context.ts'
import type { Resolved } from './schemas/content.ts'
import { includes, type Scope } from './tokens.ts'
import type { PinRecord, StorageUsage } from './schemas/storage.ts'

/** Values of the services in the form in which the API shows them. */

/** A capability link as it stands in a text: docs/vault-format.md. */
const LINK_TEXT = /p2pnode:[1-9A-HJ-NP-Za-km-z]{16,}/g

/**
 * A job as a token with the scope `read` may see it: such a token looks at the node, and a link would let it read private
 * files.
 */
export function withoutLinks(job: JobRecord): JobRecord {
  const text = JSON.stringify(job)
  return text.includes('p2pnode:')
    ? (JSON.parse(text.replace(LINK_TEXT, 'p2pnode:[hidden]')) as JobRecord)
    : job
}

export const presentJob = (job: JobRecord, scope: Scope): JobRecord =>
  includes(scope, 'write') ? job : withoutLinks(job)

export const presentPin = (pin: Pin): Static<typeof PinRecord> => ({
  cid: pin.cid.toString(),
  name: pin.name,
  kind: pin.kind,
  state: pin.state,
  createdAtMs: pin.createdAtMs,
})

export const presentResolved = (resolved: ResolvedContent): Static<typeof Resolved> => ({
  root: resolved.root.toString(),
  cid: resolved.cid.toString(),
  path: resolved.path,
  name: resolved.name,
  type: resolved.type,
  size: resolved.size,
  mode: resolved.mode,
})

export const presentUsage = (context: Pick<ApiContext, 'storage'>): Static<typeof StorageUsage> => {
  const usage = context.storage.blocks.usage()
  return {
    usedBytes: usage.usedBytes,
    quotaBytes: usage.quotaBytes,
    blocks: usage.blocks,
    blockBytes: usage.blockBytes,
    quarantined: usage.quarantined,
    pins: context.storage.pins.count(),
  }
}
