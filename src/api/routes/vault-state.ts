import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { wholeBody } from '../body.ts'
import { invalidRequest } from '../errors.ts'
import { MAX_VAULT_FILE_BYTES } from '../limits.ts'
import { route, type Route } from '../route.ts'
import {
  ExportStateBody,
  ImportedState,
  ImportStateHeaders,
  LinkBody,
  OpenedManifest,
  RecoverBody,
  RecoveredState,
  RecoveryPhrase,
  VaultInspection,
} from '../schemas/vault.ts'
import { StreamAnswer } from '../streaming.ts'
import { vaultOf } from './vault.ts'

/** Manifests and the owner's state: whole files with keys in them. */
export const vaultStateRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/api/v1/vault/manifests',
    operationId: 'openManifest',
    tag: 'vault',
    access: 'write',
    summary: 'Take a .manifest file',
    description: "From now on its link reads here even where the manifest's holders are gone.",
    bodyType: 'bytes',
    replies: { 200: { description: 'the link of the file', schema: OpenedManifest } },
    handle: async ({ bytes }, context) => ({
      link: await vaultOf(context).openManifest(await whole(bytes())),
    }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/manifests/file',
    operationId: 'manifestFile',
    tag: 'vault',
    access: 'write',
    summary: "The .manifest file of one of the owner's objects",
    body: LinkBody,
    replies: { 200: { description: 'the file; it holds the read key', type: 'application/octet-stream' } },
    handle: async ({ body, signal }, context) =>
      fileOf(await vaultOf(context).manifestFile(body.link, signal)),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/manifests/inspect',
    operationId: 'inspectManifest',
    tag: 'vault',
    access: 'read',
    summary: 'What a .manifest file says, without its key',
    bodyType: 'bytes',
    replies: { 200: { description: 'nothing secret', schema: VaultInspection } },
    handle: async ({ bytes, signal }, context) =>
      vaultOf(context).inspect({ manifest: await whole(bytes()) }, signal),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/state/export',
    operationId: 'exportState',
    tag: 'vault',
    access: 'admin',
    summary: "The owner's state as a file",
    description:
      'With a passphrase it opens anywhere by that; without one where this owner is, or was recovered.',
    body: ExportStateBody,
    replies: { 200: { description: 'what state import takes', type: 'application/octet-stream' } },
    handle: async ({ body }, context) => fileOf(await vaultOf(context).exportState(body.passphrase)),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/state/import',
    operationId: 'importState',
    tag: 'vault',
    access: 'admin',
    summary: "Add an exported state to this node's owner",
    bodyType: 'bytes',
    headers: ImportStateHeaders,
    replies: { 200: { description: 'what was added', schema: ImportedState } },
    handle: async ({ bytes, headers }, context) =>
      vaultOf(context).importState(await whole(bytes()), decoded(headers['state-passphrase'])),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/state/phrase',
    operationId: 'recoveryPhrase',
    tag: 'vault',
    access: 'admin',
    summary: 'The recovery phrase',
    replies: { 200: { description: 'the words', schema: RecoveryPhrase } },
    handle: async (_call, context) => ({ phrase: await vaultOf(context).recoveryPhrase() }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/vault/state/recover',
    operationId: 'recoverState',
    tag: 'vault',
    access: 'admin',
    summary: "Bring the owner's state back from its holders",
    body: RecoverBody,
    replies: { 200: { description: 'what was found', schema: RecoveredState } },
    handle: async ({ body, signal }, context) => vaultOf(context).recover(body.phrase, signal),
  }),
]

const fileOf = (bytes: Uint8Array): StreamAnswer =>
  new StreamAnswer(
    200,
    {
      'content-type': 'application/octet-stream',
      'content-length': bytes.byteLength,
      'cache-control': 'no-store',
    },
    bytes.byteLength === 0 ? [] : [bytes],
  )

/** @throws ERR_BODY_TOO_LARGE, ERR_VAULT_FILE_EMPTY */
async function whole(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const file = await wholeBody(bytes, MAX_VAULT_FILE_BYTES)
  if (file.length === 0) throw new P2pnodeError('ERR_VAULT_FILE_EMPTY', 'usage', 'The file is empty')
  return file
}

/** @throws ERR_REQUEST_INVALID */
function decoded(header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  try {
    return decodeURIComponent(header)
  } catch {
    throw invalidRequest('The header state-passphrase is not percent-encoded', { part: 'header' })
  }
}
