import type { FetchResponse, ParamsOption, RequestBodyOption } from 'openapi-fetch'
import type { components, paths } from './api.gen.ts'
import { type EventsOptions, followEvents, type NodeEvent } from './events.ts'
import { failureOfJob } from './errors.ts'
import type { Endpoint } from './locate.ts'
import { bodyOf, Transport } from './transport.ts'
import { type UploadOptions, uploadSource } from './upload.ts'

type Method = 'get' | 'post' | 'delete'

/** Paths that have an operation of the method. */
type PathsWith<M extends Method> = {
  [Path in keyof paths]: paths[Path][M] extends { responses: object } ? Path : never
}[keyof paths]

type Operation<M extends Method, Path extends keyof paths> = paths[Path][M] extends infer Found extends {
  responses: Record<string | number, unknown>
}
  ? Found
  : never

/** Parameters and body of an operation as openapi-fetch types them, without its runtime (see transport.ts). */
type Arguments<Op> = ParamsOption<Op> & RequestBodyOption<Op> & { signal?: AbortSignal | undefined }

/** Optional where the operation needs nothing. */
type Rest<Op> = Record<never, never> extends Arguments<Op> ? [init?: Arguments<Op>] : [init: Arguments<Op>]

type Data<M extends Method, Path extends keyof paths> = NonNullable<
  FetchResponse<Operation<M, Path>, Record<never, never>, 'application/json'>['data']
>

/** Any schema of the document by its name. */
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name]

/** Bytes on their way: the answer's own headers, and a body that fails where it ends before it is whole. */
export interface Download {
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: AsyncIterable<Uint8Array>
}

interface PlainInit {
  params?: { query?: object; path?: object; header?: object }
  body?: unknown
  signal?: AbortSignal | undefined
}

export type DownloadPath =
  | '/api/v1/content/cat'
  | '/api/v1/content/tar'
  | '/api/v1/content/car'
  | '/api/v1/backup'
  | '/metrics'

interface Lines {
  '/api/v1/content/ls': Schema<'Entry'>
  '/api/v1/messages': Schema<'HeardMessage'>
  '/api/v1/providers': Schema<'Provider'>
}

export type LinesPath = keyof Lines

type Line<Path extends LinesPath> = Lines[Path]

/** Streams of bytes whose question holds a secret, which an address would give away. */
export type PostedDownloadPath =
  | '/api/v1/vault/cat'
  | '/api/v1/vault/tar'
  | '/api/v1/vault/manifests/file'
  | '/api/v1/vault/state/export'

/** Paths that take a whole file, which fits into memory. */
export type FilePath = '/api/v1/names/import' | '/api/v1/vault/manifests' | '/api/v1/vault/state/import'

type BodyOf<Path extends keyof paths> =
  Operation<'post', Path> extends { requestBody?: { content: { 'application/json': infer Body } } }
    ? Body
    : never

type QueryOf<Path extends keyof paths, Verb extends 'get' | 'post' = 'get'> =
  Operation<Verb, Path> extends { parameters: { query?: infer Query } } ? NonNullable<Query> : never

/** How long one question for a job waits; then progress is told and it is asked again. */
const WAIT_STEP_MS = 500

/**
 * One daemon's API, typed by its document. Calls return the data of the answer and throw the daemon's own error
 * (`P2pnodeError`), or ERR_NO_DAEMON, ERR_CONNECTION_LOST, ERR_CONNECTION_IDLE, ERR_CANCELLED.
 */
export class Client {
  readonly transport: Transport

  constructor(endpoint: Endpoint) {
    this.transport = new Transport(endpoint)
  }

  get<Path extends PathsWith<'get'>>(
    path: Path,
    ...[init]: Rest<Operation<'get', Path>>
  ): Promise<Data<'get', Path>> {
    return this.#call('GET', path, init) as Promise<Data<'get', Path>>
  }

  post<Path extends PathsWith<'post'>>(
    path: Path,
    ...[init]: Rest<Operation<'post', Path>>
  ): Promise<Data<'post', Path>> {
    return this.#call('POST', path, init) as Promise<Data<'post', Path>>
  }

  delete<Path extends PathsWith<'delete'>>(
    path: Path,
    ...[init]: Rest<Operation<'delete', Path>>
  ): Promise<Data<'delete', Path>> {
    return this.#call('DELETE', path, init) as Promise<Data<'delete', Path>>
  }

  /** Opens a stream of bytes; resolves once the daemon has its first byte. */
  async download<Path extends DownloadPath>(
    path: Path,
    options: {
      query?: QueryOf<Path>
      headers?: Record<string, string>
      signal?: AbortSignal | undefined
    } = {},
  ): Promise<Download> {
    const response = await this.transport.open({
      method: 'GET',
      path: pathWith(path, options.query === undefined ? {} : { query: options.query }),
      ...(options.headers === undefined ? {} : { headers: options.headers }),
      signal: options.signal,
    })
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: bodyOf(response, this.transport.endpoint.url, options.signal),
    }
  }

  /** As `download`, where the question goes in the body. */
  async downloadPosted<Path extends PostedDownloadPath>(
    path: Path,
    options: { body: BodyOf<Path>; signal?: AbortSignal | undefined },
  ): Promise<Download> {
    const response = await this.#posted(path, options)
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: bodyOf(response, this.transport.endpoint.url, options.signal),
    }
  }

  /** Entries of a folder of a private tree, as they arrive. */
  async *vaultEntries(options: {
    body: BodyOf<'/api/v1/vault/entries'>
    signal?: AbortSignal | undefined
  }): AsyncGenerator<Schema<'VaultEntry'>> {
    const response = await this.#posted('/api/v1/vault/entries', options)
    yield* linesOf<Schema<'VaultEntry'>>(bodyOf(response, this.transport.endpoint.url, options.signal))
  }

  /** Sends a file that fits into memory. */
  async sendFile<Path extends FilePath>(
    path: Path,
    bytes: Uint8Array,
    options: {
      query?: QueryOf<Path, 'post'>
      headers?: Record<string, string>
      signal?: AbortSignal | undefined
    } = {},
  ): Promise<Data<'post', Path>> {
    return (await this.transport.json({
      method: 'POST',
      path: pathWith(path, options.query === undefined ? {} : { query: options.query }),
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': bytes.byteLength,
        ...options.headers,
      },
      body: onePart(bytes),
      signal: options.signal,
    })) as Data<'post', Path>
  }

  /** Items of a stream of JSON lines, as they arrive. */
  async *lines<Path extends LinesPath>(
    path: Path,
    options: { query: QueryOf<Path>; signal?: AbortSignal | undefined },
  ): AsyncGenerator<Line<Path>> {
    const response = await this.transport.open({
      method: 'GET',
      path: pathWith(path, { query: options.query }),
      signal: options.signal,
    })
    yield* linesOf<Line<Path>>(bodyOf(response, this.transport.endpoint.url, options.signal))
  }

  /** Sends the bytes of a source for a job, resuming where it was interrupted; see `UploadOptions`. */
  upload(options: UploadOptions): Promise<Schema<'UploadOpened'>> {
    return uploadSource(this, options)
  }

  /** What happens at the node, reconnecting and resuming by itself until the signal aborts. */
  events(options: EventsOptions): AsyncGenerator<NodeEvent> {
    return followEvents(this.transport, options)
  }

  /**
   * Waits until a job ended and returns it, in whatever way it ended; `onChange` gets it about twice a second before.
   */
  async waitForJob(
    id: string,
    options: { signal?: AbortSignal | undefined; onChange?: (job: Schema<'JobRecord'>) => void } = {},
  ): Promise<Schema<'JobRecord'>> {
    for (;;) {
      const job = await this.get('/api/v1/jobs/{id}/wait', {
        params: { path: { id }, query: { timeoutMs: WAIT_STEP_MS } },
        signal: options.signal,
      })
      options.onChange?.(job)
      if (job.endedAtMs !== null) return job
    }
  }

  /** As `waitForJob`; @throws the job's own error where it failed or was cancelled */
  async resultOfJob(
    id: string,
    options: { signal?: AbortSignal | undefined; onChange?: (job: Schema<'JobRecord'>) => void } = {},
  ): Promise<unknown> {
    const job = await this.waitForJob(id, options)
    if (job.state === 'done') return job.result
    throw failureOfJob(
      job.error ?? { code: 'ERR_JOB_CANCELLED', kind: 'cancelled', message: `${job.title} was cancelled` },
    )
  }

  /** Ends kept connections. A process may also just exit: idle ones do not hold it. */
  close(): void {
    this.transport.close()
  }

  #posted(path: string, options: { body: unknown; signal?: AbortSignal | undefined }) {
    return this.transport.open({
      method: 'POST',
      path,
      body: JSON.stringify(options.body),
      signal: options.signal,
    })
  }

  #call(method: string, path: string, init: PlainInit | undefined): Promise<unknown> {
    return this.transport.json({
      method,
      path: pathWith(path, init?.params ?? {}),
      ...(init?.body === undefined ? {} : { body: JSON.stringify(init.body) }),
      signal: init?.signal,
    })
  }
}

async function* onePart(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** A path of the document with its parameters put in. */
export function pathWith(path: string, params: { query?: object; path?: object }): string {
  const values = (params.path ?? {}) as Record<string, unknown>
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name])))
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(params.query ?? {})) {
    if (value !== undefined && value !== null) query.append(key, String(value))
  }
  return query.size === 0 ? filled : `${filled}?${query.toString()}`
}

/** JSON texts, one a line. */
async function* linesOf<T>(body: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line !== '') yield JSON.parse(line) as T
    }
  }
}
