import type { Static } from 'typebox'
import type { Resolved as ResolvedContent } from '../content/types.ts'
import type { Pin } from '../storage/types.ts'
import type { ApiContext } from './context.ts'
import type { Resolved } from './schemas/content.ts'
import type { PinRecord, StorageUsage } from './schemas/storage.ts'

/** Values of the services in the form in which the API shows them. */

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
