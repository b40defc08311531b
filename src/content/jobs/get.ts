import * as dagPb from '@ipld/dag-pb'
import type { CID } from 'multiformats/cid'
import type { JobHandler } from '../../jobs/types.ts'
import type { Storage } from '../../storage/types.ts'
import type { ContentPolicy } from '../../trust/contract.ts'
import type { Fetcher } from '../fetch/fetcher.ts'
import { sourceOf } from '../flow/steps.ts'
import type { PrivateContent } from '../private/private-content.ts'
import { parseAddress } from '../read/address.ts'
import { leaseOfJob } from '../import/add-job.ts'
import type { NameResolver } from '../names/types.ts'
import type { Target } from '../read/resolve.ts'
import type { GetParams, GetResult, PinParams, PinResult } from '../types.ts'
import { fetchAddress } from './fetch-address.ts'

/** Fetches under way at once; each asks several peers by itself. */
const CONCURRENT_GETS = 8

export interface GetJobDependencies {
  storage: Pick<Storage, 'blocks' | 'pins'>
  fetcher: Fetcher
  /** What is private here. */
  privacy?: PrivateContent | undefined
  /** Without it, addresses that begin with a name are refused. */
  names?: NameResolver | undefined
  /** What is read by nobody; without it nothing is. */
  denied?: ContentPolicy | undefined
}

/** The `get` job: fetches everything below an address into the store. What is held already is not fetched again. */
export function getJob(
  dependencies: GetJobDependencies & { onRead?: (cid: CID, sizeBytes: number) => void },
): JobHandler<GetParams, GetResult> {
  return {
    kind: 'get',
    concurrency: CONCURRENT_GETS,
    resumable: true,
    title: ({ address }) => `get ${address}`,
    async run(context) {
      const { address, private: isPrivate } = context.params
      if (isPrivate === true) await dependencies.privacy?.markRoot(parseAddress(address).root)
      const lease = await dependencies.storage.blocks.lease(leaseOfJob(context.id))
      const { target, blocks, arrived } = await fetchAddress(
        { ...dependencies, address, isDeep: true },
        context,
      )
      await lease.release()
      const size = await sizeOf(dependencies, target)
      dependencies.onRead?.(target.cid, size)
      return {
        cid: target.cid.toString(),
        size,
        blocks,
        fetchedBytes: arrived.bytes,
        sources: Object.entries(arrived.sources)
          .filter(([, { blocks }]) => blocks > 0)
          .map(([name, { blocks, bytes }]) => ({ ...sourceOf(name), blocks, bytes })),
      }
    },
    discard: (id) => releaseLease(dependencies, id),
  }
}

/** The `pin` job: fetches what is missing, then pins. */
export function pinJob(
  dependencies: GetJobDependencies & { onPinned(cid: string): void },
): JobHandler<PinParams, PinResult> {
  const { storage, onPinned } = dependencies
  return {
    kind: 'pin',
    concurrency: CONCURRENT_GETS,
    resumable: true,
    title: ({ address }) => `pin ${address}`,
    async run(context) {
      const { address, name = '', kind = 'recursive' } = context.params
      const lease = await storage.blocks.lease(leaseOfJob(context.id))
      const isDeep = kind === 'recursive'
      const onFetched = async ({ cid }: Target): Promise<void> => {
        await storage.pins.add(cid, { name, kind, signal: context.signal })
      }
      const { target, arrived } = await fetchAddress({ ...dependencies, address, isDeep, onFetched }, context)
      await lease.release()
      onPinned(target.cid.toString())
      return { cid: target.cid.toString(), name, kind, fetchedBytes: arrived.bytes }
    },
    discard: (id) => releaseLease(dependencies, id),
  }
}

export async function releaseLease({ storage }: GetJobDependencies, id: string): Promise<void> {
  await (await storage.blocks.lease(leaseOfJob(id))).release()
}

/** Bytes of content of a file; of anything else what its links claim to weigh. */
async function sizeOf({ storage }: GetJobDependencies, { cid, node, resolved }: Target): Promise<number> {
  if (resolved.size !== null) return resolved.size
  const bytes = await storage.blocks.get(cid)
  if (bytes === undefined) return 0
  if (node.type !== 'directory' && node.type !== 'shard') return bytes.length
  return dagPb.decode(bytes).Links.reduce((sum, link) => sum + (link.Tsize ?? 0), bytes.length)
}
