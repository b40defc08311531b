import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { bodyBytes, checkAnnouncedLength } from './body.ts'
import type { ApiContext } from './context.ts'
import { mediaTypeUnsupported } from './errors.ts'
import { type Call, type Route, WithStatus } from './route.ts'
import { clientGone, HeldAnswer, sendStream, StreamAnswer } from './streaming.ts'
import { type Part, PartValidator } from './validate.ts'

const BYTES_TYPE = 'application/octet-stream'

/** Puts one route of the table into the server: validation before its handler, the answer's form after it. */
export function registerRoute(app: FastifyInstance, route: Route, context: ApiContext): void {
  const validators = {
    query: validatorOf(route.query, 'query'),
    params: validatorOf(route.params, 'path'),
    headers: validatorOf(route.headers, 'header'),
    body: validatorOf(route.body, 'body'),
  }
  const takesBytes = route.bodyType === 'bytes'
  const usualStatus = Number(Object.keys(route.replies)[0])

  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    if (takesBytes) checkBytes(request)
    const signal = goneSignal(reply)
    const call: Call<unknown, unknown, unknown, unknown> = {
      query: validators.query?.check(request.query),
      params: validators.params?.check(request.params),
      headers: validators.headers?.check(request.headers),
      body: validators.body?.check(request.body),
      bytes: () => bodyBytes(request.raw, { idleTimeoutMs: context.timeouts.uploadIdleMs }),
      method: request.method,
      scope: request.scope ?? 'read',
      rawHeaders: request.headers,
      signal,
    }
    const result = await route.handle(call, context)
    if (result instanceof HeldAnswer) {
      reply.hijack()
      result.hold(reply.raw)
      return reply
    }
    if (result instanceof StreamAnswer) return sendAnswer(context, request, reply, result, signal)
    const [status, body] = result instanceof WithStatus ? [result.status, result.body] : [usualStatus, result]
    return reply
      .code(status)
      .header('cache-control', 'no-store')
      .type('application/json; charset=utf-8')
      .send(body)
  }

  app.route({
    method: route.head === true ? [route.method, 'HEAD'] : route.method,
    url: route.path,
    config: {
      access: route.access,
      ...(route.failures === undefined ? {} : { failures: route.failures }),
    },
    exposeHeadRoute: false,
    handler,
  })
}

async function sendAnswer(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  answer: StreamAnswer,
  signal: AbortSignal,
): Promise<FastifyReply> {
  let committed = false
  try {
    await sendStream(reply.raw, answer, {
      signal,
      stallTimeoutMs: context.timeouts.downloadStallMs,
      bodyless: request.method === 'HEAD' || answer.status === 304,
      onCommitted: () => {
        committed = true
        reply.hijack()
      },
    })
  } catch (error) {
    if (!committed) throw error
    // The status is sent; the destroyed connection is what tells the client.
    const route = request.routeOptions.url
    if (signal.aborted) context.log.debug({ requestId: request.id, route }, 'the client left a stream')
    else context.log.warn({ requestId: request.id, route, err: error }, 'a stream failed on its way')
  }
  return reply
}

function validatorOf(
  schema: ConstructorParameters<typeof PartValidator>[0] | undefined,
  part: Part,
): PartValidator | undefined {
  return schema === undefined ? undefined : new PartValidator(schema, part)
}

/** @throws ERR_MEDIA_TYPE, ERR_BODY_TOO_LARGE */
function checkBytes(request: FastifyRequest): void {
  if (request.headers['content-type'] !== BYTES_TYPE) throw mediaTypeUnsupported(BYTES_TYPE)
  checkAnnouncedLength(request.raw)
}

/** Aborts when the connection ends before the answer does. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(clientGone())
  })
  return gone.signal
}
