import type { ApiContext } from '../context.ts'
import { scopeMissing, vaultAbsent } from '../errors.ts'
import { route, type Route } from '../route.ts'
import { JobRecord } from '../schemas/jobs.ts'
import {
  HealthBody,
  LeaveBody,
  LinkBody,
  LinkPathBody,
  PruneBody,
  ShareBody,
  Shared,
  VaultEntry,
  VaultHealth,
  VaultInspection,
  VaultObjectList,
  VaultResolved,
} from '../schemas/vault.ts'
import { ndjson, StreamAnswer } from '../streaming.ts'
import { includes } from '../tokens.ts'
import type { VaultService } from '../../vault/types.ts'

/** @throws ERR_VAULT_ABSENT */
export function vaultOf({ vault }: Pick<ApiContext, 'vault'>): VaultService {
  if (vault === undefined) throw vaultAbsent()
  return vault
}

/**
 * Private files. Links are secrets, so they travel in bodies: addresses end up in logs of proxies and in histories. The one
 * exception is what players read, routes/vault-files.ts.
 */
export const vaultRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/vault/objects',
    operationId: 'vaultObjects',
    tag: 'vault',
    access: 'read',
    summary: "The owner's private files, by name and version",
    description: 'Links are given to tokens with the scope write.',
    replies: { 200: { description: 'every object', schema: VaultObjectList } },
    handle: async ({ scope }, context) => {
      const showLinks = includes(scope, 'write')
      const objects = await vaultOf(context).list()
      return { objects: objects.map((object) => ({ ...object, link: showLinks ? object.link : null })) }
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/resolve',
    operationId: 'vaultResolve',
    tag: 'vault',
    access: 'read',
    summary: 'What a link leads to',
    body: LinkPathBody,
    replies: { 200: { description: 'the file, tree, or part of a tree', schema: VaultResolved } },
    handle: async ({ body, signal }, context) =>
      vaultOf(context).resolve(body.link, { signal, ...pathOf(body) }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/entries',
    operationId: 'vaultEntries',
    tag: 'vault',
    access: 'read',
    summary: 'Entries of a folder of a tree',
    description: 'One JSON text a line, by name.',
    body: LinkPathBody,
    replies: { 200: { description: 'entries', schema: VaultEntry, type: 'application/x-ndjson' } },
    handle: async ({ body, signal }, context) => {
      const entries = await vaultOf(context).entries(body.link, { signal, ...pathOf(body) })
      return new StreamAnswer(
        200,
        { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' },
        ndjson(entries, (entry) => entry),
      )
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/health',
    operationId: 'vaultHealth',
    tag: 'vault',
    access: 'read',
    summary: 'Measured health of a file, slab by slab',
    description: 'A verify link is enough.',
    body: HealthBody,
    replies: { 200: { description: 'what is live', schema: VaultHealth } },
    handle: async ({ body, signal }, context) =>
      vaultOf(context).health(body.link, { signal, fresh: body.fresh ?? false }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/inspect',
    operationId: 'vaultInspect',
    tag: 'vault',
    access: 'read',
    summary: 'What a link says, without its key',
    body: LinkBody,
    replies: { 200: { description: 'nothing secret', schema: VaultInspection } },
    handle: async ({ body, signal }, context) => vaultOf(context).inspect({ link: body.link }, signal),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/share',
    operationId: 'vaultShare',
    tag: 'vault',
    access: 'write',
    summary: 'The same file with less power, or with all of it',
    description: 'The power `owner` needs the scope admin: it can delete.',
    body: ShareBody,
    replies: { 200: { description: 'a link, or what state import takes', schema: Shared } },
    handle: async ({ body, scope }, context) => {
      if (body.power === 'owner' && !includes(scope, 'admin')) throw scopeMissing('admin', scope)
      return { text: await vaultOf(context).share(body.link, body.power) }
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/rm',
    operationId: 'vaultRemove',
    tag: 'vault',
    access: 'write',
    summary: "Delete one of the owner's files from its holders",
    description: 'The result says what is confirmed and what is pending at holders that are away.',
    body: LinkBody,
    replies: { 202: { description: 'the job', schema: JobRecord } },
    handle: async ({ body }, context) => submit(context, 'rm', { link: body.link }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/repair',
    operationId: 'vaultRepair',
    tag: 'vault',
    access: 'write',
    summary: 'Make missing columns of a file again, now',
    description: 'A verify link is enough.',
    body: LinkBody,
    replies: { 202: { description: 'the job', schema: JobRecord } },
    handle: async ({ body }, context) => submit(context, 'repair', { link: body.link }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/prune',
    operationId: 'vaultPrune',
    tag: 'vault',
    access: 'write',
    summary: 'Remove what has expired, was deleted or was abandoned',
    body: PruneBody,
    replies: { 202: { description: 'the job', schema: JobRecord } },
    handle: async ({ body }, context) => submit(context, 'prune', { dryRun: body.dryRun }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/leave',
    operationId: 'vaultLeave',
    tag: 'vault',
    access: 'admin',
    summary: 'Hand every column that this node holds over to others',
    description: 'The node goes on afterwards, lending nothing; POST /stop ends it.',
    body: LeaveBody,
    replies: { 202: { description: 'the job', schema: JobRecord } },
    handle: async ({ body }, context) => submit(context, 'leave', { force: body.force }),
  }),
]

const submit = (context: ApiContext, kind: string, params: object) => {
  vaultOf(context)
  return context.jobs.submit(kind, params)
}

/** The path of a body as an option, left out where there is none. */
export const pathOf = ({ path }: { path?: string | undefined }): { path?: string } =>
  path === undefined ? {} : { path }
