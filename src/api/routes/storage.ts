import type { Jobs, JobRecord as Job } from '../../jobs/types.ts'
import { parseCid } from '../parse.ts'
import { presentPin, presentUsage } from '../present.ts'
import { route, type Route } from '../route.ts'
import { JobRecord, StartPin } from '../schemas/jobs.ts'
import { PinList, PinListQuery, PinParams, StorageUsage, Unpinned, UnpinQuery } from '../schemas/storage.ts'

export const storageRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/storage',
    operationId: 'storage',
    tag: 'storage',
    access: 'read',
    summary: 'What is stored, and the quota',
    replies: { 200: { description: 'the usage', schema: StorageUsage } },
    handle: async (_call, context) => presentUsage(context),
  }),
  route({
    method: 'GET',
    path: '/api/v1/pins',
    operationId: 'listPins',
    tag: 'storage',
    access: 'read',
    summary: 'What is pinned, by creation',
    query: PinListQuery,
    replies: { 200: { description: 'a page', schema: PinList } },
    handle: async ({ query }, { storage }) => {
      const { cid, ...filter } = query
      const page = storage.pins.list(cid === undefined ? filter : { ...filter, cid: parseCid(cid) })
      return { pins: page.pins.map(presentPin), nextAfterId: page.nextAfterId }
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/pins',
    operationId: 'pin',
    tag: 'storage',
    access: 'write',
    summary: 'Keep content',
    description: 'Starts a job that fetches what is missing, then pins.',
    body: StartPin,
    replies: { 202: { description: 'the job', schema: JobRecord } },
    handle: async ({ body }, { jobs }) =>
      jobs.submit('pin', { address: body.address, name: body.name ?? '', kind: body.kind ?? 'recursive' }),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/pins/:cid',
    operationId: 'unpin',
    tag: 'storage',
    access: 'write',
    summary: 'No longer keep content',
    description: 'Removes every pin of the CID; with `name` or `kind` only those.',
    params: PinParams,
    query: UnpinQuery,
    replies: { 200: { description: 'the pins that were removed', schema: Unpinned } },
    handle: async ({ params, query, signal }, { storage }) => {
      const removed = await storage.pins.remove(parseCid(params.cid), { ...query, signal })
      return { removed: removed.map(presentPin) }
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/gc',
    operationId: 'collect',
    tag: 'storage',
    access: 'write',
    summary: 'Remove blocks that nothing needs',
    description: 'One at a time: an unfinished collection is returned.',
    replies: { 202: { description: 'the job', schema: JobRecord } },
    handle: async (_call, { jobs }) => submitOnce(jobs, 'gc'),
  }),
  route({
    method: 'POST',
    path: '/api/v1/scrub',
    operationId: 'scrub',
    tag: 'storage',
    access: 'write',
    summary: 'Read every block and heal what rotted',
    description: 'One at a time: an unfinished scrub is returned.',
    replies: { 202: { description: 'the job', schema: JobRecord } },
    handle: async (_call, { jobs }) => submitOnce(jobs, 'scrub'),
  }),
]

async function submitOnce(jobs: Jobs, kind: string): Promise<Job> {
  const unfinished = jobs.list({ kind, limit: 1000 }).find((job) => job.endedAtMs === null)
  return unfinished ?? jobs.submit(kind, {})
}
