import { readFile, stat } from 'node:fs/promises'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import type { Client, Schema } from '../client/index.ts'
import type { CliContext } from './context.ts'

/** A private file: by its link, or by a `.manifest` file that holds it; with a path where a part of a tree is meant. */
export type PrivateAddress =
  | { kind: 'link'; link: string; path?: string }
  | { kind: 'manifest'; file: string }

const LINK_PREFIX = 'p2pnode:'
const MANIFEST_SUFFIX = '.manifest'
/** What public addresses begin with: `/ipfs/`, `/ipns/`, a CID of version 0 or 1. */
const PUBLIC = /^(?:\/ip[fn]s\/|Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{30,})/
/** As the API takes it: the manifest of a tree of some hundred thousand files. */
const MAX_MANIFEST_BYTES = 64 * 1024 * 1024

/** What an address means by its form; undefined: it is one of public content. */
export function privateAddress(text: string): PrivateAddress | undefined {
  if (text.startsWith(LINK_PREFIX)) {
    const slash = text.indexOf('/')
    if (slash === -1) return { kind: 'link', link: text }
    const path = text.slice(slash + 1).replace(/\/+$/, '')
    return { kind: 'link', link: text.slice(0, slash), ...(path === '' ? {} : { path }) }
  }
  if (text.endsWith(MANIFEST_SUFFIX) && !PUBLIC.test(text)) return { kind: 'manifest', file: text }
  return undefined
}

/** A link with where in its tree; a manifest is handed to the node, which reads by it from now on. */
export async function linkOf(
  context: CliContext,
  client: Client,
  address: PrivateAddress,
): Promise<{ link: string; path?: string }> {
  if (address.kind === 'link') {
    const { link, path } = address
    return path === undefined ? { link } : { link, path }
  }
  const bytes = await readManifest(address.file)
  return client.sendFile('/api/v1/vault/manifests', bytes, { signal: context.signal })
}

/** @throws ERR_MANIFEST_FILE */
export async function readManifest(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file)
    if (size <= MAX_MANIFEST_BYTES) return await readFile(file)
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const message = isMissing
      ? `${file} does not exist`
      : `${file} cannot be read: ${(error as Error).message}`
    throw new P2pnodeError('ERR_MANIFEST_FILE', isMissing ? 'not-found' : 'failed', message, { cause: error })
  }
  throw new P2pnodeError('ERR_MANIFEST_FILE', 'usage', `${file} is too large for a manifest`)
}

/**
 * The link of one of the owner's files that was named by link, or by name: `name`, or `name@version` where there are several.
 *
 * @throws ERR_OBJECT_NOT_FOUND, ERR_OBJECT_AMBIGUOUS, ERR_SCOPE
 */
export async function ownLink(context: CliContext, client: Client, target: string): Promise<string> {
  const address = privateAddress(target)
  if (address?.kind === 'link' && address.path !== undefined) {
    throw new P2pnodeError(
      'ERR_LINK_PATH',
      'usage',
      'this works on whole files and trees: leave out the path',
    )
  }
  if (address !== undefined && !(await isOwnName(context, client, target, address)))
    return (await linkOf(context, client, address)).link
  const objects = await objectsNamed(context, client, target)
  const [first, second] = objects
  if (first === undefined) {
    throw new P2pnodeError(
      'ERR_OBJECT_NOT_FOUND',
      'not-found',
      `no private file of this node is called ${target}; p2pnode ls shows them`,
    )
  }
  if (second !== undefined) {
    const versions = objects.map(({ name, version }) => `${name}@${version}`).join(', ')
    throw new P2pnodeError('ERR_OBJECT_AMBIGUOUS', 'usage', `there are several; say which: ${versions}`)
  }
  if (first.link === null)
    throw new P2pnodeError('ERR_SCOPE', 'denied', 'this needs a token with the scope write')
  return first.link
}

/** Names may end in `.manifest` too: a file of that name in this folder comes first. */
async function isOwnName(
  context: CliContext,
  client: Client,
  target: string,
  address: PrivateAddress,
): Promise<boolean> {
  if (address.kind === 'link') return false
  const isFile = await stat(address.file).then(
    () => true,
    () => false,
  )
  return !isFile && (await objectsNamed(context, client, target)).length > 0
}

async function objectsNamed(
  context: CliContext,
  client: Client,
  target: string,
): Promise<Schema<'VaultObject'>[]> {
  const listed = await client.get('/api/v1/vault/objects', { signal: context.signal })
  const objects = listed.objects.filter(({ state }) => state !== 'deleting')
  const named = objects.filter(({ name }) => name === target)
  if (named.length > 0) return named
  const [, name, version] = /^(.+)@([1-9]\d{0,8})$/.exec(target) ?? []
  return objects.filter((object) => object.name === name && object.version === Number(version))
}
