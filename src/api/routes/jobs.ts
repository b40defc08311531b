import { notFound } from '../errors.ts'
import { presentJob } from '../present.ts'
import { route, type Route, WithStatus } from '../route.ts'
import {
  CompleteUpload,
  JobList,
  JobListQuery,
  JobParams,
  JobRecord,
  JobWaitQuery,
  OpenUpload,
  UploadHeaders,
  UploadOpened,
  UploadStatus,
} from '../schemas/jobs.ts'
import type { JobRecord as Job, Jobs, UploadStatus as Upload } from '../../jobs/types.ts'

const DEFAULT_WAIT_MS = 30_000

const LINKS_HIDDEN = 'Links to private files are hidden from tokens with the scope read.'

export const jobRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/jobs',
    operationId: 'listJobs',
    tag: 'jobs',
    access: 'read',
    summary: 'Jobs, newest first',
    description: LINKS_HIDDEN,
    query: JobListQuery,
    replies: { 200: { description: 'at most `limit` jobs', schema: JobList } },
    handle: async ({ query, scope }, { jobs }) => ({
      jobs: jobs.list(query).map((job) => presentJob(job, scope)),
    }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/jobs/:id',
    operationId: 'showJob',
    tag: 'jobs',
    access: 'read',
    summary: 'One job',
    description: LINKS_HIDDEN,
    params: JobParams,
    replies: { 200: { description: 'the job', schema: JobRecord } },
    handle: async ({ params, scope }, { jobs }) => presentJob(jobNamed(jobs, params.id), scope),
  }),
  route({
    method: 'POST',
    path: '/api/v1/jobs/:id/cancel',
    operationId: 'cancelJob',
    tag: 'jobs',
    access: 'write',
    summary: 'Cancel a job',
    params: JobParams,
    replies: { 200: { description: 'the job', schema: JobRecord } },
    handle: async ({ params }, { jobs }) => {
      jobNamed(jobs, params.id)
      return jobs.cancel(params.id)
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/jobs/:id/wait',
    operationId: 'waitForJob',
    tag: 'jobs',
    access: 'read',
    summary: 'Wait until a job ended',
    description: `Answers as soon as the job ended, or with the job as it is after \`timeoutMs\`; then ask again. ${LINKS_HIDDEN}`,
    params: JobParams,
    query: JobWaitQuery,
    replies: { 200: { description: 'the job', schema: JobRecord } },
    handle: async ({ params, query, scope, signal }, { jobs, closing }) => {
      jobNamed(jobs, params.id)
      const patience = new AbortController()
      const timer = setTimeout(() => patience.abort(), query.timeoutMs ?? DEFAULT_WAIT_MS)
      const over = AbortSignal.any([signal, closing, patience.signal])
      try {
        return presentJob(await jobs.wait(params.id, over), scope)
      } catch (error) {
        if (!over.aborted) throw error
        return presentJob(jobNamed(jobs, params.id), scope)
      } finally {
        clearTimeout(timer)
      }
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/uploads',
    operationId: 'openUpload',
    tag: 'jobs',
    access: 'write',
    summary: 'Begin an upload, or take it up again',
    description:
      'Starts the job that takes the bytes. The same kind and fingerprint with an unfinished session takes that up: ask its offset, and send from there.',
    body: OpenUpload,
    replies: {
      201: { description: 'a new session', schema: UploadOpened },
      200: { description: 'an unfinished session was taken up', schema: UploadOpened },
    },
    handle: async ({ body }, { jobs }) => {
      const known = new Set(unfinishedIds(jobs, body.kind))
      const job = await jobs.submit(body.kind, body.params, {
        upload: { fingerprint: body.fingerprint, size: body.size },
      })
      const upload = jobs.uploadOfJob(job.id)
      if (upload === undefined) throw notFound('upload', job.id)
      return new WithStatus(known.has(job.id) ? 200 : 201, { upload, job })
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/uploads/:id',
    operationId: 'showUpload',
    tag: 'jobs',
    access: 'read',
    summary: 'How far an upload is',
    params: JobParams,
    replies: { 200: { description: 'the session', schema: UploadStatus } },
    handle: async ({ params }, { jobs }) => uploadNamed(jobs, params.id),
  }),
  route({
    method: 'PATCH',
    path: '/api/v1/uploads/:id',
    operationId: 'appendToUpload',
    tag: 'jobs',
    access: 'write',
    summary: 'Send one part',
    description:
      'The body is at most 64 MiB of raw bytes, taken as fast as the job takes them. A wrong offset is answered 409 ERR_UPLOAD_OFFSET with the right one in `details.offset`.',
    params: JobParams,
    headers: UploadHeaders,
    bodyType: 'bytes',
    replies: { 200: { description: 'the session after this part', schema: UploadStatus } },
    handle: async ({ params, headers, bytes, signal }, { jobs }) => {
      uploadNamed(jobs, params.id)
      return jobs.append(params.id, headers['upload-offset'], bytes(), signal)
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/uploads/:id/complete',
    operationId: 'completeUpload',
    tag: 'jobs',
    access: 'write',
    summary: 'Say that no byte follows',
    params: JobParams,
    body: CompleteUpload,
    replies: { 200: { description: 'the session', schema: UploadStatus } },
    handle: async ({ params, body }, { jobs }) => {
      uploadNamed(jobs, params.id)
      return jobs.complete(params.id, body.size)
    },
  }),
]

/** @throws ERR_JOB_NOT_FOUND */
function jobNamed(jobs: Jobs, id: string): Job {
  const job = jobs.get(id)
  if (job === undefined) throw notFound('job', id)
  return job
}

/** @throws ERR_UPLOAD_NOT_FOUND */
function uploadNamed(jobs: Jobs, id: string): Upload {
  const upload = jobs.upload(id)
  if (upload === undefined) throw notFound('upload', id)
  return upload
}

function unfinishedIds(jobs: Jobs, kind: string): string[] {
  return jobs
    .list({ kind, limit: 1000 })
    .filter((job) => job.endedAtMs === null)
    .map((job) => job.id)
}
