import type { RoutedPeer } from '../../content/routing/types.ts'
import { unprocessable } from './errors.ts'
import { MAX_ADDRESSES, MAX_FILTER_CHARACTERS, MAX_FILTERS } from './limits.ts'

/** What a client wants to hear of (IPIP-484). */
export interface Filters {
  addrs: Terms
  protocols: Terms
}

interface Terms {
  wanted: ReadonlySet<string>
  unwanted: ReadonlySet<string>
}

const UNKNOWN = 'unknown'

/** Reads `filter-addrs` and `filter-protocols`. @throws ERR_REQUEST_INVALID (422) */
export function readFilters(query: Readonly<Record<string, unknown>>): Filters {
  return { addrs: termsOf(query, 'filter-addrs'), protocols: termsOf(query, 'filter-protocols') }
}

/** The peer with the addresses that pass, or undefined where it is not wanted. */
export function filtered(peer: RoutedPeer, { addrs, protocols }: Filters): RoutedPeer | undefined {
  if (!passes(protocols, peer.protocols)) return undefined
  if (isEmpty(addrs)) return { ...peer, addrs: peer.addrs.slice(0, MAX_ADDRESSES) }
  // Without any address there is nothing that a negative filter could refuse.
  if (peer.addrs.length === 0) return addrs.wanted.size === 0 || addrs.wanted.has(UNKNOWN) ? peer : undefined
  const left = peer.addrs.filter((address) => passes(addrs, address.split('/').slice(1)))
  return left.length === 0 ? undefined : { ...peer, addrs: left.slice(0, MAX_ADDRESSES) }
}

function passes({ wanted, unwanted }: Terms, names: readonly string[]): boolean {
  const lower = names.map((name) => name.toLowerCase())
  if (lower.some((name) => unwanted.has(name))) return false
  if (wanted.size === 0) return true
  return lower.length === 0 ? wanted.has(UNKNOWN) : lower.some((name) => wanted.has(name))
}

const isEmpty = ({ wanted, unwanted }: Terms): boolean => wanted.size === 0 && unwanted.size === 0

function termsOf(query: Readonly<Record<string, unknown>>, name: string): Terms {
  const value = query[name] ?? ''
  if (typeof value !== 'string') throw unprocessable(`${name} may be given once`)
  const terms = value
    .toLowerCase()
    .split(',')
    .map((term) => term.trim())
    .filter((term) => term !== '')
  if (terms.length > MAX_FILTERS || terms.some((term) => term.length > MAX_FILTER_CHARACTERS + 1))
    throw unprocessable(`${name} takes ${MAX_FILTERS} names of at most ${MAX_FILTER_CHARACTERS} characters`)
  return {
    wanted: new Set(terms.filter((term) => !term.startsWith('!'))),
    unwanted: new Set(terms.filter((term) => term.startsWith('!')).map((term) => term.slice(1))),
  }
}
