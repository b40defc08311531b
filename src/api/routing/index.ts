/**
 * Delegated routing (`/routing/v1/…`, https://specs.ipfs.tech/routing/http-routing-v1/): others ask this node who has content,
 * where peers are, and for records of names, and have it publish records.
 *
 * @example
 * createGateway({ …, routes: [routingRoutes({ routing, names, isPrivate, log })] })
 */
import { createHash } from 'node:crypto'
import rateLimit from '@fastify/rate-limit'
import { peerIdFromCID, peerIdFromString } from '@libp2p/peer-id'
import type { PeerId } from '@libp2p/interface'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { base64url } from 'multiformats/bases/base64'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import type { MultihashDigest } from 'multiformats/hashes/interface'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { MAX_RECORD_BYTES } from '../../content/names/limits.ts'
import { privateTarget } from '../../content/names/private.ts'
import type { NameService } from '../../content/names/types.ts'
import type { PrivateMark } from '../../content/private/types.ts'
import type { RoutedPeer, RoutingSource } from '../../content/routing/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import { answerOf } from '../errors.ts'
import type { GatewayRoutes } from '../gateway/types.ts'
import { clientGone } from '../streaming.ts'
import { type PeersAnswer, sendPeers, wantsStream } from './answers.ts'
import { badRequest, busy, notAcceptable, notImplemented, unknownPath, unprocessable } from './errors.ts'
import { filtered, readFilters } from './filters.ts'
import {
  CACHE_EMPTY_SECONDS,
  CACHE_RECORD_SECONDS,
  JSON_TIMEOUT_MS,
  MAX_COUNTED_ADDRESSES,
  MAX_LOOKUPS,
  MAX_PARAM_CHARACTERS,
  MAX_PUTS_PER_MINUTE,
  MAX_REQUESTS_PER_MINUTE,
  STREAM_TIMEOUT_MS,
} from './limits.ts'

const RECORD_TYPE = 'application/vnd.ipfs.ipns-record'
const LIBP2P_KEY = 0x72
const MINUTE_MS = 60_000

const anyBase = base32.decoder.or(base36.decoder).or(base58btc.decoder).or(base64url.decoder)

export interface RoutingDependencies {
  routing: RoutingSource
  names: Pick<NameService, 'record' | 'import'>
  /** Records that lead to what is private are not shown. */
  isPrivate: PrivateMark['isPrivate']
  log: Logger
  /** Requests of one address in a minute; other than the usual one in tests. */
  maxRequestsPerMinute?: number
}

/** The rest of the path; a named part of it would be cut off at 100 characters by servers that say nothing else. */
interface Params {
  '*': string
}

/** The routes, for the gateway's port or any server of fastify. */
export function routingRoutes(dependencies: RoutingDependencies): GatewayRoutes {
  const { routing, names, isPrivate, maxRequestsPerMinute = MAX_REQUESTS_PER_MINUTE } = dependencies
  const log = dependencies.log.child({ part: 'routing-api' })
  let lookups = 0

  /** Runs one look-up of at most `MAX_LOOKUPS`, with a signal that ends it with its time or its client. */
  async function lookUp(
    request: FastifyRequest,
    reply: FastifyReply,
    find: (
      signal: AbortSignal,
    ) => Omit<PeersAnswer, 'streamed' | 'gone'> | Promise<Omit<PeersAnswer, 'streamed' | 'gone'>>,
  ): Promise<unknown> {
    if (lookups >= MAX_LOOKUPS) throw busy()
    lookups += 1
    const streamed = wantsStream(request.headers.accept)
    const gone = goneSignal(reply)
    const ended = new AbortController()
    const timeout = AbortSignal.timeout(streamed ? STREAM_TIMEOUT_MS : JSON_TIMEOUT_MS)
    try {
      const answer = await find(AbortSignal.any([gone, timeout, ended.signal]))
      return await sendPeers(reply, { ...answer, streamed, gone })
    } finally {
      ended.abort(new Error('answered'))
      lookups -= 1
    }
  }

  return (app) => {
    void app.register(rateLimit, {
      max: maxRequestsPerMinute,
      timeWindow: MINUTE_MS,
      cache: MAX_COUNTED_ADDRESSES,
    })
    void app.register(async (routes) => {
      routes.removeAllContentTypeParsers()
      routes.addContentTypeParser(
        RECORD_TYPE,
        { parseAs: 'buffer', bodyLimit: MAX_RECORD_BYTES },
        (_request, body, done) => done(null, body),
      )
      // What is no record is refused by the route, in words.
      routes.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined))
      routes.setErrorHandler((error, _request, reply) => sendFailure(error, reply, log))

      routes.get<{ Params: Params }>('/routing/v1/providers/*', async (request, reply) => {
        const cid = cidOf(request.params['*'])
        const filters = readFilters(request.query as Record<string, unknown>)
        return lookUp(request, reply, (signal) => ({
          field: 'Providers',
          peers: passing(routing.providers(cid, { signal }), filters),
        }))
      })

      routes.get<{ Params: Params }>('/routing/v1/peers/*', async (request, reply) => {
        const id = peerOf(request.params['*'])
        const filters = readFilters(request.query as Record<string, unknown>)
        return lookUp(request, reply, async (signal) => {
          const peer = await routing.peer(id, { signal })
          return { field: 'Peers', peers: passing(peer === undefined ? [] : [peer], filters) }
        })
      })

      routes.get<{ Params: Params }>('/routing/v1/dht/closest/peers/*', async (request, reply) => {
        const key = keyOf(request.params['*'])
        const filters = readFilters(request.query as Record<string, unknown>)
        return lookUp(request, reply, async (signal) => ({
          field: 'Peers',
          peers: passing(await routing.closest(key, { signal }), filters),
        }))
      })

      routes.get<{ Params: Params }>('/routing/v1/ipns/*', async (request, reply) => {
        if (!acceptsRecord(request.headers.accept)) throw notAcceptable(`ask with Accept: ${RECORD_TYPE}`)
        const name = nameOf(request.params['*'])
        const signal = AbortSignal.any([goneSignal(reply), AbortSignal.timeout(STREAM_TIMEOUT_MS)])
        const record = await recordOf(names, name, signal)
        const isHidden = record !== undefined && privateTarget(record.value, isPrivate) !== undefined
        return sendRecord(reply, isHidden ? undefined : record)
      })

      routes.put<{ Params: Params }>(
        '/routing/v1/ipns/*',
        {
          bodyLimit: MAX_RECORD_BYTES,
          config: { rateLimit: { max: MAX_PUTS_PER_MINUTE, timeWindow: MINUTE_MS } },
        },
        async (request, reply) => {
          if (!(request.body instanceof Uint8Array))
            throw notAcceptable(`send with Content-Type: ${RECORD_TYPE}`)
          const name = nameOf(request.params['*'])
          try {
            await names.import(name, request.body, { keep: false, signal: goneSignal(reply) })
          } catch (error) {
            // Whatever is wrong with a record, the specification has one status for it.
            if (error instanceof P2pnodeError && ['verification', 'conflict', 'denied'].includes(error.kind))
              throw badRequest(error.message)
            throw error
          }
          return reply.code(200).header('cache-control', 'no-store').send()
        },
      )

      for (const path of ['providers/*', 'peers/*', 'dht/closest/peers/*', 'ipns/*']) {
        routes.route({
          method: path.startsWith('ipns') ? ['POST', 'PATCH', 'DELETE'] : ['POST', 'PUT', 'PATCH', 'DELETE'],
          url: `/routing/v1/${path}`,
          handler: async () => {
            throw notImplemented()
          },
        })
      }
      routes.route({
        method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
        url: '/routing/*',
        handler: async () => {
          throw unknownPath()
        },
      })
    })
  }
}

async function* passing(
  peers: AsyncIterable<RoutedPeer> | Iterable<RoutedPeer>,
  filters: ReturnType<typeof readFilters>,
): AsyncGenerator<RoutedPeer> {
  for await (const peer of peers) {
    const left = filtered(peer, filters)
    if (left !== undefined) yield left
  }
}

type Found = Awaited<ReturnType<NameService['record']>>

async function recordOf(
  names: Pick<NameService, 'record'>,
  name: string,
  signal: AbortSignal,
): Promise<Found | undefined> {
  try {
    return await names.record(name, { signal })
  } catch (error) {
    // What is on a denylist is as if it were not there.
    if (error instanceof P2pnodeError && ['not-found', 'denied'].includes(error.kind)) return undefined
    throw error
  }
}

/** No record is no error: an answer of another type. */
function sendRecord(reply: FastifyReply, record: Found | undefined): FastifyReply {
  if (record === undefined) {
    return reply
      .headers({ 'cache-control': `public, max-age=${CACHE_EMPTY_SECONDS}`, vary: 'Accept' })
      .type('text/plain; charset=utf-8')
      .send('no record found\n')
  }
  const leftSeconds = Math.max(0, Math.floor((record.validUntilMs - Date.now()) / 1000))
  const ttlSeconds = Math.floor(record.ttlMs / 1000) || CACHE_RECORD_SECONDS
  return reply
    .headers({
      'cache-control': `public, max-age=${Math.min(ttlSeconds, leftSeconds)}, stale-while-revalidate=${leftSeconds}, stale-if-error=${leftSeconds}`,
      etag: `"${createHash('sha256').update(record.bytes).digest('base64url')}"`,
      expires: new Date(record.validUntilMs).toUTCString(),
      'last-modified': new Date().toUTCString(),
      vary: 'Accept',
    })
    .type(RECORD_TYPE)
    .send(Buffer.from(record.bytes))
}

function acceptsRecord(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((part) => {
    const type = part.split(';', 1)[0]?.trim().toLowerCase()
    return type === RECORD_TYPE || type === 'application/*' || type === '*/*'
  })
}

/** @throws ERR_REQUEST_INVALID (422) */
function cidOf(text: string): CID {
  try {
    if (text.length <= MAX_PARAM_CHARACTERS)
      return text.startsWith('Qm') ? CID.parse(text) : CID.parse(text, anyBase)
  } catch {
    // What is wrong with it is no help.
  }
  throw unprocessable('this is not a CID')
}

/** @throws ERR_REQUEST_INVALID (422) */
function peerOf(text: string): PeerId {
  try {
    if (text.length > MAX_PARAM_CHARACTERS) throw new Error('too long')
    if (/^(?:Qm|1)/.test(text)) return peerIdFromString(text)
    const cid = CID.parse(text, anyBase)
    if (cid.code === LIBP2P_KEY) return peerIdFromCID(cid)
  } catch {
    // What is wrong with it is no help.
  }
  throw unprocessable('this is not a peer id: expected base58 (12D3…, Qm…) or the CID of a key (k51…, bafz…)')
}

/** A CID, or a peer id. @throws ERR_REQUEST_INVALID (422) */
function keyOf(text: string): MultihashDigest {
  if (!/^1[1-9A-HJ-NP-Za-km-z]{20,}$/.test(text)) return cidOf(text).multihash
  return Digest.decode(peerOf(text).toMultihash().bytes)
}

/** The canonical text of a name. @throws ERR_REQUEST_INVALID (400) */
function nameOf(text: string): string {
  try {
    return peerOf(text).toCID().toString(base36)
  } catch {
    throw badRequest('this is not an IPNS name: expected the CID of a key (k51…, bafz…) or a peer id')
  }
}

/** Aborts when the connection ends before the answer does. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(clientGone())
  })
  return gone.signal
}

function sendFailure(error: unknown, reply: FastifyReply, log: Logger): void {
  const own = error as { statusCode?: number; message?: string }
  const isOwn = error instanceof P2pnodeError
  const isRefusal = !isOwn && own.statusCode !== undefined && own.statusCode >= 400 && own.statusCode < 500
  const { status, headers, body } = answerOf(error)
  if (isRefusal) log.debug({ status: own.statusCode }, 'a request for routing was refused')
  else if (status === 500) log.error({ err: error }, 'a request for routing failed')
  if (reply.raw.headersSent) {
    // The status is sent; the destroyed connection is what tells the client.
    reply.raw.destroy()
    return
  }
  void reply
    .code(isRefusal ? (own.statusCode ?? 400) : status)
    .headers({ ...headers, 'cache-control': 'no-store' })
    .type('text/plain; charset=utf-8')
    .send(`${isRefusal ? own.message : body.error.message}\n`)
}
