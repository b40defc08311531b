import type { Static } from 'typebox'
import { checkCid, checkMeta } from '../../content/pinning/check.ts'
import { MAX_ORIGINS } from '../../content/pinning/limits.ts'
import type { NewPin, PinRequest, PinRequestQuery, PinRequestStatus } from '../../content/pinning/types.ts'
import type { ApiContext } from '../context.ts'
import { invalidRequest, notFound } from '../errors.ts'
import { route, type Route, WithStatus } from '../route.ts'
import { PinBody, PinResults, PinsQuery, PinStatus, RequestIdParams } from '../schemas/pinning.ts'

const STATUSES: readonly PinRequestStatus[] = ['queued', 'pinning', 'pinned', 'failed']
const MAX_CIDS = 10
const DEFAULT_LIMIT = 10
/** RFC 3339, section 5.6. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/

/** The Pinning Service API: requests of other programs that something be kept here. */
export const pinningRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/pins',
    operationId: 'getPins',
    tag: 'pinning',
    access: 'read',
    failures: 'pinning',
    summary: 'Pin requests that fit, the newest first',
    query: PinsQuery,
    replies: { 200: { description: 'a page; the next one is before the oldest of it', schema: PinResults } },
    handle: async ({ query }, context) => {
      const { count, requests } = context.pinning.list(queryOf(query))
      const delegates = delegatesOf(context)
      return { count, results: requests.map((request) => presented(request, delegates)) }
    },
  }),
  route({
    method: 'POST',
    path: '/pins',
    operationId: 'addPin',
    tag: 'pinning',
    access: 'write',
    failures: 'pinning',
    summary: 'Ask for a pin',
    description:
      'Worked on in the background; the origins are dialled, and the delegates are addresses of this node.',
    body: PinBody,
    replies: { 202: { description: 'the request', schema: PinStatus } },
    handle: async ({ body }, context) =>
      presented(await context.pinning.add(pinOf(body)), delegatesOf(context)),
  }),
  route({
    method: 'GET',
    path: '/pins/:requestid',
    operationId: 'getPinByRequestId',
    tag: 'pinning',
    access: 'read',
    failures: 'pinning',
    summary: 'What became of a pin request',
    params: RequestIdParams,
    replies: { 200: { description: 'the request', schema: PinStatus } },
    handle: async ({ params }, context) => {
      const request = context.pinning.get(params.requestid)
      if (request === undefined) throw notFound('pin_request', params.requestid)
      return presented(request, delegatesOf(context))
    },
  }),
  route({
    method: 'POST',
    path: '/pins/:requestid',
    operationId: 'replacePinByRequestId',
    tag: 'pinning',
    access: 'write',
    failures: 'pinning',
    summary: 'Put another pin in the place of one',
    params: RequestIdParams,
    body: PinBody,
    replies: { 202: { description: 'the new request', schema: PinStatus } },
    handle: async ({ params, body }, context) =>
      presented(await context.pinning.replace(params.requestid, pinOf(body)), delegatesOf(context)),
  }),
  route({
    method: 'DELETE',
    path: '/pins/:requestid',
    operationId: 'deletePinByRequestId',
    tag: 'pinning',
    access: 'write',
    failures: 'pinning',
    summary: 'Let go of a pin',
    params: RequestIdParams,
    replies: { 202: { description: 'it is gone' } },
    handle: async ({ params, signal }, { pinning }) => {
      await pinning.remove(params.requestid, { signal })
      return new WithStatus(202, undefined)
    },
  }),
]

const pinOf = ({ cid, name, origins, meta }: Static<typeof PinBody>): NewPin => ({
  cid,
  name: name ?? null,
  origins: origins ?? null,
  meta: meta ?? null,
})

function presented(request: PinRequest, delegates: string[]): Static<typeof PinStatus> {
  const { id, status, createdMs, reason, cid, name, origins, meta } = request
  return {
    requestid: id,
    status,
    created: new Date(createdMs).toISOString(),
    pin: {
      cid,
      ...(name === null ? {} : { name }),
      origins: [...origins],
      ...(meta === null ? {} : { meta: { ...meta } }),
    },
    delegates,
    ...(reason === null ? {} : { info: { status_details: reason } }),
  }
}

/** The specification wants one at least; a node that nobody can dial is named by its peer id. */
function delegatesOf({ network, id }: Pick<ApiContext, 'network' | 'id'>): string[] {
  const addresses = network.addresses().slice(0, MAX_ORIGINS)
  return addresses.length > 0 ? addresses : [`/p2p/${id().peerId}`]
}

/** @throws ERR_REQUEST_INVALID, ERR_PIN_CID, ERR_PIN_META */
function queryOf(query: Static<typeof PinsQuery>): PinRequestQuery {
  const { cid, name, match, status, before, after, limit, meta } = query
  const cids = cid === undefined ? undefined : parts(cid)
  if (cids !== undefined && (cids.length === 0 || cids.length > MAX_CIDS))
    throw invalidRequest(`cid takes 1 to ${MAX_CIDS} CIDs`, { part: 'query' })
  cids?.forEach(checkCid)
  const statuses = status === undefined ? (['pinned'] as const) : parts(status).map(statusOf)
  if (statuses.length === 0) throw invalidRequest('status names nothing', { part: 'query' })
  return {
    statuses,
    limit: limit ?? DEFAULT_LIMIT,
    ...(cids === undefined ? {} : { cids }),
    ...(name === undefined ? {} : { name }),
    ...(match === undefined ? {} : { match }),
    ...(before === undefined ? {} : { beforeMs: timeOf('before', before) }),
    ...(after === undefined ? {} : { afterMs: timeOf('after', after) }),
    ...(meta === undefined ? {} : { meta: metaOf(meta) }),
  }
}

const parts = (list: string): string[] => list.split(',').filter((part) => part !== '')

function statusOf(text: string): PinRequestStatus {
  const status = STATUSES.find((known) => known === text)
  if (status === undefined) throw invalidRequest(`status is one of ${STATUSES.join(', ')}`, { part: 'query' })
  return status
}

function timeOf(name: string, text: string): number {
  const timeMs = DATE_TIME.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(timeMs))
    throw invalidRequest(`${name} is no time in the form of RFC 3339`, { part: 'query' })
  return timeMs
}

function metaOf(text: string): Record<string, string> {
  let meta: unknown
  try {
    meta = JSON.parse(text)
  } catch {
    meta = undefined
  }
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta))
    throw invalidRequest('meta is no JSON object', { part: 'query' })
  const given = meta as Record<string, unknown>
  checkMeta(given)
  return given
}
