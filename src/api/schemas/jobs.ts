import { Type } from 'typebox'
import { Address, CidText, Count, Identifier, Instant, Limit, Name, PinName } from './common.ts'
import { MAX_JOB_WAIT_MS } from '../limits.ts'
import { PutParams } from './vault.ts'

export const JobState = Type.Enum(
  ['queued', 'running', 'waiting', 'needs-source', 'done', 'failed', 'cancelled'],
  {
    type: 'string',
  },
)

const JobProgress = Type.Object({
  done: Type.Number(),
  total: Type.Optional(Type.Number()),
  unit: Type.Enum(['bytes', 'blocks', 'items'], { type: 'string' }),
  note: Type.Optional(Type.String()),
  counters: Type.Optional(Type.Record(Type.String(), Type.Number())),
})

const JobFailure = Type.Object({
  code: Type.String(),
  kind: Type.String(),
  message: Type.String(),
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
})

export const JobRecord = Type.Object(
  {
    id: Type.String(),
    kind: Type.String(),
    state: JobState,
    title: Type.String(),
    params: Type.Unknown(),
    progress: Type.Union([JobProgress, Type.Null()]),
    reason: Type.Union([Type.String(), Type.Null()], { description: 'why the job waits' }),
    result: Type.Unknown(),
    error: Type.Union([JobFailure, Type.Null()]),
    createdAtMs: Instant,
    updatedAtMs: Instant,
    endedAtMs: Type.Union([Instant, Type.Null()]),
  },
  { $id: 'JobRecord' },
)

export const JobList = Type.Object({ jobs: Type.Array(JobRecord) }, { $id: 'JobList' })

export const JobParams = Type.Object({ id: Identifier }, { additionalProperties: false })

export const JobListQuery = Type.Object(
  { state: Type.Optional(JobState), kind: Type.Optional(Identifier), limit: Type.Optional(Limit) },
  { additionalProperties: false },
)

export const JobWaitQuery = Type.Object(
  { timeoutMs: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_JOB_WAIT_MS, default: 30_000 })) },
  { additionalProperties: false },
)

export const UploadStatus = Type.Object(
  {
    id: Type.String(),
    jobId: Type.String(),
    state: JobState,
    offset: Type.Integer({ minimum: 0, description: 'send from here' }),
    committedOffset: Type.Integer({ minimum: 0, description: 'survives a crash of the daemon' }),
    size: Type.Union([Count, Type.Null()]),
  },
  { $id: 'UploadStatus' },
)

export const UploadOpened = Type.Object({ upload: UploadStatus, job: JobRecord }, { $id: 'UploadOpened' })

const Private = Type.Boolean({
  default: false,
  description: 'only for peers of this network; it stays so until it is made public',
})

const AddParams = Type.Object(
  {
    source: Type.Enum(['file', 'tree'], {
      type: 'string',
      description: 'the file itself, or a tar stream of a tree',
    }),
    name: Name,
    profile: Type.Enum(['unixfs-v1-2025', 'unixfs-v0-2015'], { type: 'string', default: 'unixfs-v1-2025' }),
    chunker: Type.Optional(
      Type.String({ pattern: '^(size-[1-9][0-9]{0,8}|fastcdc)$', description: 'size-N (bytes) or fastcdc' }),
    ),
    pin: Type.Union([PinName, Type.Null()], { description: "the pin's name; null: do not pin" }),
    preserveMode: Type.Boolean({ default: false }),
    private: Type.Optional(Private),
  },
  { $id: 'AddParams', additionalProperties: false },
)

const CarImportParams = Type.Object(
  {
    pin: Type.Union([PinName, Type.Null()], {
      description: "name of the pins of the CAR's roots; null: do not pin",
    }),
    private: Type.Optional(Private),
  },
  { $id: 'CarImportParams', additionalProperties: false },
)

const uploadMembers = {
  fingerprint: Type.String({
    minLength: 1,
    maxLength: 256,
    description: 'names the source, so that the same upload is taken up again after an interruption',
  }),
  size: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
    description: 'bytes in all, where they are known',
  }),
}

export const OpenUpload = Type.Union(
  [
    Type.Object(
      { kind: Type.Literal('add'), params: AddParams, ...uploadMembers },
      { $id: 'OpenAddUpload', additionalProperties: false },
    ),
    Type.Object(
      { kind: Type.Literal('car-import'), params: CarImportParams, ...uploadMembers },
      { $id: 'OpenCarImportUpload', additionalProperties: false },
    ),
    Type.Object(
      { kind: Type.Literal('put'), params: PutParams, ...uploadMembers },
      { $id: 'OpenPutUpload', additionalProperties: false },
    ),
  ],
  { $id: 'OpenUpload' },
)

export const CompleteUpload = Type.Object(
  { size: Type.Integer({ minimum: 0, description: 'bytes in all' }) },
  { $id: 'CompleteUpload', additionalProperties: false },
)

export const UploadHeaders = Type.Object({
  'upload-offset': Type.Integer({ minimum: 0, description: 'where this part begins in the whole upload' }),
})

export const StartGet = Type.Object(
  {
    address: Address,
    private: Type.Optional(
      Type.Boolean({ description: 'known to be private: nobody outside of this network is asked for it' }),
    ),
  },
  { $id: 'StartGet', additionalProperties: false },
)

export const StartPin = Type.Object(
  {
    address: Address,
    name: Type.Optional(PinName),
    kind: Type.Optional(Type.Enum(['recursive', 'direct'], { type: 'string', default: 'recursive' })),
  },
  { $id: 'StartPin', additionalProperties: false },
)

export const ProvideBody = Type.Object({ cid: CidText }, { $id: 'ProvideBody', additionalProperties: false })
