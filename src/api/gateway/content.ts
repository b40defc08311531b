import type { CID } from 'multiformats/cid'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { findEntry } from '../../content/read/directory.ts'
import { readFile } from '../../content/read/file.ts'
import { decodeNode } from '../../content/read/node.ts'
import { type PathEnd, walkPath } from '../../content/read/path.ts'
import type { OpenReader, ReadPlan } from '../../content/types.ts'
import type { ContentPolicy, NamedContent } from '../../trust/contract.ts'
import { contentDisposition } from '../disposition.ts'
import { answer } from './answer.ts'
import { answerFile } from './answer-file.ts'
import { ContentTypes } from './content-type.ts'
import type { GatewayBlocks } from './blocks.ts'
import {
  badRequest,
  gone,
  nameUnresolved,
  notCached,
  notFound,
  notImplemented,
  redirectsInvalid,
} from './errors.ts'
import { type Answer, cacheControl, type Exchange } from './exchange.ts'
import { MEDIA_TYPES, negotiate } from './format.ts'
import { readCid } from './ids.ts'
import { FILE_READ_AHEAD, MAX_REDIRECTS_FILE_BYTES } from './limits.ts'
import { isRedirect, parseRedirects, type Redirection, redirectionOf } from './redirects-file.ts'
import type { Target } from './target.ts'
import type { GatewayNames } from './types.ts'

export interface GatewayContentOptions {
  blocks: GatewayBlocks
  names: GatewayNames | undefined
  /** What is given to nobody, by path and name; `blocks` asks the same of CIDs. */
  contentPolicy?: ContentPolicy | undefined
  /** Whether others may be asked, for blocks and for names. */
  mayFetch: boolean
  isDeserialized: boolean
}

export interface ContentRequest {
  target: Target
  headers: Exchange['headers']
  isHead: boolean
  signal: AbortSignal
}

/** An answer, and what to call once it has been sent or given up. */
export interface OpenAnswer {
  answer: Answer
  close: () => Promise<void>
}

const REDIRECTS_FILE = '_redirects'
/** What was asked for comes from outside: in a message it is cut. */
const MAX_SHOWN_CHARACTERS = 256

/** What the content of a root is served by: names, paths, formats, and the redirects that a website brings. */
export class GatewayContent {
  readonly #options: GatewayContentOptions
  readonly #types = new ContentTypes()

  constructor(options: GatewayContentOptions) {
    this.#options = options
  }

  /** Whether the name leads anywhere; an error of the resolver counts as no. */
  async hasName(name: string, signal: AbortSignal): Promise<boolean> {
    const { names, mayFetch } = this.#options
    if (names === undefined) return false
    try {
      await names.resolve(name, { signal, offline: !mayFetch })
      return true
    } catch {
      signal.throwIfAborted()
      return false
    }
  }

  /** @throws as `answer`, and ERR_NAME_…, ERR_NOT_CACHED, ERR_REDIRECTS_INVALID, ERR_NOT_IMPLEMENTED */
  async serve(request: ContentRequest): Promise<OpenAnswer> {
    const readers: OpenReader[] = []
    const close = async (): Promise<void> => {
      await Promise.all(readers.map((reader) => reader.close()))
    }
    try {
      return { answer: await this.#serve(request, readers), close }
    } catch (error) {
      await close()
      throw isOnlyIfCached(request.headers) && isNotFound(error) ? notCached() : error
    }
  }

  async #serve(request: ContentRequest, readers: OpenReader[]): Promise<Answer> {
    const { target, headers, isHead, signal } = request
    const { root, path, hasTrailingSlash } = target
    refuseServiceWorker(target, headers)
    const negotiated = negotiate(text(headers['accept']), target.query)
    if (negotiated.format === 'ipns-record') return this.#record(request)
    this.#assertGiven(root.namespace === 'ipns' ? { name: root.name, path } : { cid: root.cid, path }, target)
    const { rootCid, namePath, ttlMs } = await this.#resolve(request)
    if (root.namespace === 'ipns') this.#assertGiven({ cid: rootCid, path: [...namePath, ...path] }, target)
    const open = (plan: ReadPlan): OpenReader => {
      const reader = this.#options.blocks.open(plan, isOnlyIfCached(headers))
      readers.push(reader)
      return reader
    }
    const assertGiven = (whole: readonly string[]): void =>
      this.#assertGiven({ cid: rootCid, path: [...whole] }, target)
    const exchangeOf = (end: PathEnd, shownPath: readonly string[], search: string): Exchange => ({
      root,
      place: target.place,
      rootCid,
      path: [...namePath, ...shownPath],
      shownPath,
      hasTrailingSlash,
      cid: end.cid,
      roots: end.roots,
      ttlMs,
      negotiated,
      query: target.query,
      search,
      headers,
      isHead,
      signal,
      types: this.#types,
      assertGiven,
      open: (plan) => open({ dag: end.cid, providersOf: rootCid, ...plan }),
    })
    const walk = (names: readonly string[]): Promise<PathEnd> => {
      const whole = [...namePath, ...names]
      const plan: ReadPlan = { dag: rootCid, providersOf: rootCid, scope: 'block' }
      return walkPath(open(whole.length === 0 ? plan : { ...plan, path: whole }), rootCid, whole, signal)
    }
    let end: PathEnd
    try {
      end = await walk(path)
    } catch (error) {
      const isSite =
        target.place.kind !== 'path' && negotiated.format !== 'raw' && negotiated.format !== 'car'
      if (!isSite || !isMissingPath(error)) throw error
      const redirection = await this.#redirection(target, { rootCid, namePath, open, walk, signal })
      if (redirection === undefined) throw error
      return redirected(redirection, {
        walk,
        exchangeOf,
        assertGiven: (names) => assertGiven([...namePath, ...names]),
      })
    }
    if (end.rest.length > 0)
      throw notImplemented(`"${end.rest.join('/')}" is inside of ${end.cid}; only links are followed`)
    return answer(exchangeOf(end, path, target.search), this.#options.isDeserialized)
  }

  /** @throws ERR_DENIED */
  #assertGiven(content: NamedContent, { root, path }: Target): void {
    if (this.#options.contentPolicy?.decideContent('read', content).allowed !== false) return
    const first = root.namespace === 'ipns' ? root.name : root.cid.toString()
    throw gone(`/${[root.namespace, first, ...path].join('/')}`.slice(0, MAX_SHOWN_CHARACTERS))
  }

  async #resolve({
    target: { root },
    headers,
    signal,
  }: ContentRequest): Promise<{ rootCid: CID; namePath: string[]; ttlMs: number | undefined }> {
    if (root.namespace === 'ipfs') return { rootCid: root.cid, namePath: [], ttlMs: undefined }
    const { names, mayFetch } = this.#options
    if (names === undefined) throw notImplemented('this gateway resolves no names')
    const offline = !mayFetch || isOnlyIfCached(headers)
    try {
      const { path, ttlMs } = await names.resolve(root.name, { signal, offline })
      const [, text = '', ...namePath] = path.split('/').filter((name) => name !== '')
      const rootCid = readCid(text)
      if (rootCid === undefined) throw new Error(`it leads to ${path.slice(0, 128)}`)
      return { rootCid, namePath, ttlMs }
    } catch (error) {
      throw unresolved(root.name, root.key !== undefined, error, signal)
    }
  }

  /** The record of a name, for a client that verifies it. */
  async #record({ target, headers, isHead, signal }: ContentRequest): Promise<Answer> {
    const { root, path, query } = target
    if (root.namespace !== 'ipns' || root.key === undefined || path.length > 0)
      throw badRequest('only /ipns/KEY, without a path, has a record')
    const { names, mayFetch } = this.#options
    if (names?.record === undefined) throw notImplemented('this gateway has no records')
    const asked = { signal, offline: !mayFetch || isOnlyIfCached(headers) }
    try {
      const { bytes, ttlMs } = await names.record(root.name, asked)
      const told = {
        ...cacheControl({ ttlMs }),
        'x-content-type-options': 'nosniff',
        'x-ipfs-path': `/ipns/${root.name}`,
        etag: `"${Buffer.from(bytes).toString('base64url').slice(-43)}"`,
        'content-type': MEDIA_TYPES['ipns-record'],
        'content-length': bytes.byteLength,
        'content-disposition': contentDisposition(
          'attachment',
          query.get('filename') ?? `${root.name}.ipns-record`,
        ),
      }
      return { status: 200, headers: told, chunks: isHead ? [] : [bytes], route: 'record' }
    } catch (error) {
      signal.throwIfAborted()
      // One answer for a record that leads to private content and for one that nobody has.
      if (isNotFound(error)) throw notFound(`no record of ${root.name} could be had`)
      throw unresolved(root.name, true, error, signal)
    }
  }

  /** What the website's own rules say of a path that does not exist. */
  async #redirection(target: Target, site: Site): Promise<Redirection | undefined> {
    const file = await redirectsFile(site)
    if (file === undefined) return undefined
    try {
      return redirectionOf(parseRedirects(file), target.path, target.query)
    } catch (error) {
      throw redirectsInvalid((error as Error).message)
    }
  }
}

interface Site {
  rootCid: CID
  namePath: string[]
  open: (plan: ReadPlan) => OpenReader
  walk: (names: readonly string[]) => Promise<PathEnd>
  signal: AbortSignal
}

/** @throws ERR_REDIRECTS_INVALID where it is larger than the specification allows */
async function redirectsFile({ rootCid, open, walk, signal }: Site): Promise<string | undefined> {
  const top = await walk([])
  const reader = open({ dag: top.cid, providersOf: rootCid, scope: 'block', path: [REDIRECTS_FILE] })
  const directory = decodeNode(top.cid, await reader.get(top.cid, signal))
  if (directory.type !== 'directory' && directory.type !== 'shard') return undefined
  const cid = await findEntry(reader, top.cid, directory, REDIRECTS_FILE, signal)
  if (cid === undefined) return undefined
  const content = open({ dag: cid, providersOf: rootCid, scope: 'entity' })
  const node = decodeNode(cid, await content.get(cid, signal))
  if (node.type !== 'file') return undefined
  if (node.sizeBytes > MAX_REDIRECTS_FILE_BYTES)
    throw redirectsInvalid(`redirects file size cannot exceed ${MAX_REDIRECTS_FILE_BYTES} bytes`)
  const parts: Uint8Array[] = []
  for await (const part of readFile(content, cid, { ahead: FILE_READ_AHEAD, signal })) parts.push(part)
  return new TextDecoder().decode(Buffer.concat(parts))
}

interface Redirecting {
  walk: (names: readonly string[]) => Promise<PathEnd>
  exchangeOf: (end: PathEnd, shownPath: readonly string[], search: string) => Exchange
  /** @throws ERR_DENIED */
  assertGiven: (names: readonly string[]) => void
}

/** Sends the client elsewhere, or serves another file in place of what does not exist. */
async function redirected(
  { status, to }: Redirection,
  { walk, exchangeOf, assertGiven }: Redirecting,
): Promise<Answer> {
  if (isRedirect(status)) {
    return { status, headers: { location: to }, chunks: [], route: 'redirect' }
  }
  const [path = '', search = ''] = to.split('#', 1)[0]?.split('?', 2) ?? []
  const names = decodedNames(path)
  assertGiven(names)
  const end = await walk(names)
  const exchange = exchangeOf(end, names, search === '' ? '' : `?${search}`)
  const node = decodeNode(end.cid, await exchange.open({ scope: 'block' }).get(end.cid, exchange.signal))
  if (node.type !== 'file') throw notFound(`${path} of _redirects is no file`)
  return answerFile(exchange, { cid: end.cid, node, name: names.at(-1) ?? '', status })
}

function decodedNames(path: string): string[] {
  try {
    return decodeURIComponent(path)
      .split('/')
      .filter((name) => name !== '')
  } catch {
    throw redirectsInvalid('the percent-encoding of a path is malformed')
  }
}

/** A script without a slash after its root would be let to govern all roots. */
function refuseServiceWorker(
  { root, path, hasTrailingSlash, place }: Target,
  headers: Exchange['headers'],
): void {
  if (headers['service-worker'] !== 'script' || place.kind !== 'path') return
  if (path.length === 0 && !hasTrailingSlash)
    throw badRequest(`a service worker may not be registered for /${root.namespace}/ as a whole`)
}

function isOnlyIfCached(headers: Exchange['headers']): boolean {
  return /(?:^|[\s,])only-if-cached(?:$|[\s,])/i.test(text(headers['cache-control']) ?? '')
}

function text(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(',') : header
}

function isNotFound(error: unknown): boolean {
  return error instanceof P2pnodeError && error.kind === 'not-found'
}

/** The path leads nowhere in a DAG that is whole as far as it goes; a block that nobody has is something else. */
function isMissingPath(error: unknown): boolean {
  return isNotFound(error) && Object.hasOwn((error as P2pnodeError).details, 'path')
}

/**
 * A key whose record cannot be had may have one tomorrow; a DNS name without a link is not there.
 */
function unresolved(name: string, isKey: boolean, error: unknown, signal: AbortSignal): unknown {
  signal.throwIfAborted()
  const isOurs = error instanceof P2pnodeError
  if (isOurs && error.code === 'ERR_CONTENT_DENIED') return gone(`/ipns/${name}`)
  if (isOurs && (error.kind === 'usage' || error.kind === 'timeout' || error.code === 'ERR_NOT_IMPLEMENTED'))
    return error
  if (isOurs && !isKey && error.kind === 'not-found') return notFound(`${name} has no DNSLink`)
  return nameUnresolved(name, error)
}
