import type { Static, TObject, TSchema } from 'typebox'
import type { ApiContext } from './context.ts'
import type { Scope } from './tokens.ts'
import type { HeldAnswer, StreamAnswer } from './streaming.ts'

/**
 * What a request must be allowed to do. `read-unless-loopback`: nothing on loopback, `read` from elsewhere.
 * `read-unless-public`: the same, but only where the operator set `vault.publicRead`.
 */
export type Access = 'none' | 'read-unless-loopback' | 'read-unless-public' | 'read' | 'write' | 'admin'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** One successful answer of a route. */
export interface ReplyDefinition {
  description: string
  /** JSON unless `type` says otherwise; then the schema of one item for NDJSON, and none for plain bytes. */
  schema?: TSchema
  type?: string
}

/** The values of one request, after validation. */
export interface Call<Query, Params, Headers, Body> {
  readonly query: Query
  readonly params: Params
  readonly headers: Headers
  readonly body: Body
  /** The body of a route with `bodyType: 'bytes'`, as it arrives: bounded, with an idle timeout. */
  readonly bytes: () => AsyncIterable<Uint8Array>
  readonly method: string
  /** What the caller's token allows; `read` where the route asks for none. */
  readonly scope: Scope
  /** Raw headers, lower case, for what HTTP itself defines (`range`, `if-none-match`). */
  readonly rawHeaders: Readonly<Record<string, string | string[] | undefined>>
  /** Aborts when the client is gone or the server gives up on the request. */
  readonly signal: AbortSignal
}

/** A status other than the route's first one. */
export class WithStatus<Body> {
  readonly status: number
  readonly body: Body
  constructor(status: number, body: Body) {
    this.status = status
    this.body = body
  }
}

type StaticOf<Schema> = Schema extends TSchema ? Static<Schema> : undefined

export type JsonBody<Replies extends Record<number, ReplyDefinition>> = {
  [Status in keyof Replies]: StaticOf<Replies[Status] extends { schema: infer Schema } ? Schema : undefined>
}[keyof Replies]

export type HandlerResult<Body> = Body | WithStatus<Body> | StreamAnswer | HeldAnswer

/** One route: everything about it that validation, documentation and the server need, in one value. */
export interface Route {
  method: Method
  /** Fastify's form (`/api/v1/jobs/:id`). */
  path: string
  operationId: string
  tag: Tag
  access: Access
  summary: string
  description?: string
  query?: TObject
  params?: TObject
  /** Request headers of our own (`Upload-Offset`). */
  headers?: TObject
  body?: TSchema
  /** `bytes`: the body is streamed to the handler and never parsed. */
  bodyType?: 'json' | 'bytes'
  /** The shape of failures, where another specification than ours gives it. */
  failures?: 'pinning'
  /** Answers also to HEAD; the handler looks at `method`. */
  head?: boolean
  replies: Record<number, ReplyDefinition>
  handle(call: Call<unknown, unknown, unknown, unknown>, context: ApiContext): Promise<HandlerResult<unknown>>
}

export type Tag =
  | 'node'
  | 'network'
  | 'trust'
  | 'messages'
  | 'swarm'
  | 'jobs'
  | 'content'
  | 'names'
  | 'catalog'
  | 'pinning'
  | 'vault'
  | 'storage'
  | 'events'
  | 'tokens'

/** Declares a route with the handler's types taken from its schemas. */
export function route<
  const Replies extends Record<number, ReplyDefinition>,
  Query extends TObject | undefined = undefined,
  Params extends TObject | undefined = undefined,
  Headers extends TObject | undefined = undefined,
  Body extends TSchema | undefined = undefined,
>(
  definition: Omit<Route, 'query' | 'params' | 'headers' | 'body' | 'replies' | 'handle'> & {
    query?: Query
    params?: Params
    headers?: Headers
    body?: Body
    replies: Replies
    handle(
      call: Call<StaticOf<Query>, StaticOf<Params>, StaticOf<Headers>, StaticOf<Body>>,
      context: ApiContext,
    ): Promise<HandlerResult<JsonBody<Replies>>>
  },
): Route {
  return definition as unknown as Route
}
