import { isIP } from 'node:net'
import type { CID } from 'multiformats/cid'
import { badRequest, invalidPath } from './errors.ts'
import { checkRoot, cidLabel, inlineDns, isDnsName, keyText, readCid, readKey, uninlineDns } from './ids.ts'
import { MAX_LABEL_CHARACTERS, MAX_PATH_NAMES } from './limits.ts'

/** What a request names: a root, names below it, and where the client sees them. */
export interface Target {
  root: Root
  /** Names below the root, decoded. */
  path: string[]
  hasTrailingSlash: boolean
  query: URLSearchParams
  /** With its `?`, as it came; or empty. */
  search: string
  place: Place
}

/** A CID, or a name that leads to one. */
export type Root =
  | { namespace: 'ipfs'; cid: CID; text: string }
  /** `key`: an IPNS name; else a DNS name. */
  | { namespace: 'ipns'; name: string; key: CID | undefined }

/** Where a client sees the root of the content. */
export type Place =
  | { kind: 'path' }
  /** An origin of its own; `gateway` is the authority of the gateway's own pages. */
  | { kind: 'subdomain'; gateway: string }
  /** The host itself is the name. */
  | { kind: 'dnslink'; host: string }

/** What to do with a request: serve something, send the client elsewhere, or leave it to other routes. */
export type Decision =
  | { kind: 'target'; target: Target }
  | { kind: 'redirect'; status: 301 | 302; location: string }
  /** Neither path nor host name content. */
  | { kind: 'other' }
  /** Content of that name, if it has any; else `otherwise`. */
  | { kind: 'maybe-dnslink'; target: Target; otherwise: Exclude<Decision, { kind: 'maybe-dnslink' }> }

export interface RequestLine {
  /** As it came: a path with its query. */
  url: string
  /** Authority (RFC 9110, section 7.2) that the client asked, a proxy's word for it before the request's own. */
  authority: string
  scheme: 'http' | 'https'
}

const CONTENT_PATH = /^\/ip[fn]s(?:\/|$)/

/**
 * Tells from host and path what a request is about, by the specifications of path, subdomain and DNSLink gateways.
 *
 * @param hosts names under which roots have an origin of their own
 * @throws ERR_ADDRESS_INVALID, ERR_REQUEST_INVALID
 */
export function decide(line: RequestLine, hosts: readonly string[]): Decision {
  const { path, search } = splitUrl(line.url)
  const host = hostName(line.authority)
  const gateway = hosts.find((name) => host === name || host.endsWith(`.${name}`))
  if (gateway !== undefined && host !== gateway) {
    const prefix = host.slice(0, -gateway.length - 1)
    const [, label, namespace] = /^(.+)\.(ipfs|ipns)$/.exec(prefix) ?? []
    if (label !== undefined && namespace !== undefined) {
      const authority = line.authority.slice(prefix.length + 1)
      return onSubdomain({ line, path, search, label, namespace, authority })
    }
  }
  const byPath = onPath(line, path, search, host === gateway)
  // Paths of other services are never those of a website.
  if (gateway !== undefined || !isDnsName(host) || isIP(host) !== 0 || path.startsWith('/routing/'))
    return byPath()
  const root: Root = { namespace: 'ipns', name: host, key: undefined }
  const target: Target = {
    root,
    ...namesOf(path),
    ...queryOf(search),
    place: { kind: 'dnslink', host: line.authority },
  }
  return { kind: 'maybe-dnslink', target, otherwise: tryDecide(byPath) }
}

type Plain = Exclude<Decision, { kind: 'maybe-dnslink' }>

/** A path that is no path of content is one of a website all the same. */
function tryDecide(byPath: () => Plain): Plain {
  try {
    return byPath()
  } catch {
    return { kind: 'other' }
  }
}

interface SubdomainRequest {
  line: RequestLine
  path: string
  search: string
  label: string
  namespace: string
  /** Of the gateway that the subdomain belongs to, with its port. */
  authority: string
}

function onSubdomain(request: SubdomainRequest): Plain {
  const { line, path, search, label, namespace, authority } = request
  const elsewhere = (canonical: string): Plain => ({
    kind: 'redirect',
    status: 301,
    location: `${line.scheme}://${canonical}.${namespace}.${authority}${ascii(path)}${search}`,
  })
  const place: Place = { kind: 'subdomain', gateway: authority }
  const rest = { ...namesOf(path), ...queryOf(search), place }
  if (namespace === 'ipfs') {
    if (label.length > MAX_LABEL_CHARACTERS && readCid(label) !== undefined) cidLabel(readCid(label) as CID)
    const cid = readCid(label)
    if (cid === undefined) throw invalidPath(`/ipfs/${label}`, 'the host does not begin with a CID')
    const canonical = cidLabel(checkRoot(cid))
    if (canonical !== label) return elsewhere(canonical)
    return { kind: 'target', target: { root: { namespace: 'ipfs', cid, text: canonical }, ...rest } }
  }
  const key = readKey(label)
  if (key !== undefined) {
    const canonical = keyText(key)
    if (canonical !== label) return elsewhere(canonical)
    return { kind: 'target', target: { root: { namespace: 'ipns', name: canonical, key }, ...rest } }
  }
  const name = label.includes('.') ? label : uninlineDns(label)
  if (!isDnsName(name)) throw invalidPath(`/ipns/${label}`, 'the host does not begin with a name')
  return { kind: 'target', target: { root: { namespace: 'ipns', name, key: undefined }, ...rest } }
}

/** What a path alone says; on a host with subdomains its root is sent to one. */
function onPath(line: RequestLine, path: string, search: string, hasSubdomains: boolean): () => Plain {
  return () => {
    if (!CONTENT_PATH.test(path)) return { kind: 'other' }
    const uri = new URLSearchParams(search).get('uri')
    if (uri !== null && /^\/ip[fn]s\/?$/.test(path)) {
      return { kind: 'redirect', status: 301, location: pathOfUri(uri) }
    }
    const [, namespace = '', rawRoot = '', rawRest = ''] = /^\/(ip[fn]s)(?:\/([^/]*)(.*))?$/s.exec(path) ?? []
    const root = rootOf(namespace, decodeName(rawRoot, path), path)
    if (hasSubdomains) {
      const rest = ascii(rawRest === '' ? '/' : rawRest)
      return {
        kind: 'redirect',
        status: 301,
        location: `${line.scheme}://${labelOf(root)}.${namespace}.${line.authority}${rest}${search}`,
      }
    }
    if (root.namespace === 'ipns' && root.key !== undefined && keyText(root.key) !== rawRoot) {
      const location = `/ipns/${keyText(root.key)}${ascii(rawRest)}${search}`
      return { kind: 'redirect', status: 302, location }
    }
    const target: Target = { root, ...namesOf(rawRest), ...queryOf(search), place: { kind: 'path' } }
    return { kind: 'target', target }
  }
}

function rootOf(namespace: string, text: string, path: string): Root {
  if (namespace === 'ipfs') {
    const cid = readCid(text)
    if (cid === undefined) throw invalidPath(path, 'expected a CID after /ipfs/')
    return { namespace: 'ipfs', cid: checkRoot(cid), text }
  }
  const key = readKey(text)
  if (key !== undefined) return { namespace: 'ipns', name: keyText(key), key }
  const name = text.toLowerCase()
  if (!isDnsName(name)) throw invalidPath(path, 'expected a key or a DNS name after /ipns/')
  return { namespace: 'ipns', name, key: undefined }
}

function labelOf(root: Root): string {
  if (root.namespace === 'ipfs') return cidLabel(root.cid)
  return root.key === undefined ? inlineDns(root.name) : keyText(root.key)
}

/** `ipfs://CID/path` as the path of a gateway. */
function pathOfUri(uri: string): string {
  const [, namespace, rest] = /^(ipfs|ipns):\/\/([^?#]+(?:\?[^#]*)?)/.exec(uri) ?? []
  if (namespace === undefined || rest === undefined) throw badRequest('uri is no ipfs:// or ipns:// address')
  return ascii(`/${namespace}/${rest}`)
}

/** @throws ERR_ADDRESS_INVALID */
function namesOf(path: string): { path: string[]; hasTrailingSlash: boolean } {
  // A name of content has no slash, so one that is encoded parts names as well.
  const names = decodeName(path, path)
    .split('/')
    .filter((name) => name !== '')
  if (names.length > MAX_PATH_NAMES) throw invalidPath(path, `it has more than ${MAX_PATH_NAMES} names`)
  if (names.some((name) => name === '.' || name === '..' || name.includes('\0'))) {
    throw invalidPath(path, 'its names may not be "." or "..", nor contain a null byte')
  }
  return { path: names, hasTrailingSlash: path.endsWith('/') }
}

function decodeName(text: string, path: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalidPath(path, 'its percent-encoding is malformed')
  }
}

function queryOf(search: string): { query: URLSearchParams; search: string } {
  return { query: new URLSearchParams(search), search: ascii(search) }
}

function splitUrl(url: string): { path: string; search: string } {
  const at = url.indexOf('?')
  return at < 0 ? { path: url, search: '' } : { path: url.slice(0, at), search: url.slice(at) }
}

/** Host of an authority without its port and final dot, in lower case. */
export function hostName(authority: string): string {
  return authority.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '')
}

/** Safe in a header: what is no printable ASCII is percent-encoded. */
export function ascii(text: string): string {
  return text.toWellFormed().replace(/[^\x21-\x7e]+/g, (part) => encodeURIComponent(part))
}
