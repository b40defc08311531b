import type { ContentPolicy } from '../../trust/contract.ts'
import { parseAddress } from '../read/address.ts'
import { assertNotDenied } from '../denied.ts'
import type { DnsLinks } from './dnslink.ts'
import { nameLoop, nameNotFound, targetInvalid } from './errors.ts'
import type { RecordFinder } from './finder.ts'
import { MAX_DEPTH, MAX_TTL_MS } from './limits.ts'
import { type Name, parseName } from './name.ts'
import type { NameQuery, ResolvedName } from './types.ts'

export interface NameWalkOptions {
  finder: Pick<RecordFinder, 'find'>
  dnsLinks: Pick<DnsLinks, 'resolve'>
  now: () => number
  /** Names that are not followed, and content to which none leads; by default there is neither. */
  denied?: ContentPolicy | undefined
}

/** Follows names until one leads to content. */
export async function walkNames(
  text: string,
  query: NameQuery,
  options: NameWalkOptions,
): Promise<ResolvedName> {
  const visited = new Set<string>()
  const first = splitPath(text)
  let name = parseName(first.name)
  let rest = first.rest
  let ttlMs = MAX_TTL_MS
  for (;;) {
    if (visited.has(name.text)) throw nameLoop(text, 'leads back to itself')
    visited.add(name.text)
    if (visited.size > MAX_DEPTH) throw nameLoop(text, `goes through more than ${MAX_DEPTH} names`)
    assertNotDenied(options.denied, 'read', `/ipns/${name.text}${rest}`)
    const step = await stepFrom(name, query, options)
    ttlMs = Math.min(ttlMs, step.ttlMs)
    const path = step.value.replace(/\/+$/, '') + rest
    if (path.startsWith('/ipfs/')) {
      const target = checkedPath(name, path)
      assertNotDenied(options.denied, 'read', target)
      return { path: target, ttlMs: Math.max(0, ttlMs) }
    }
    if (!path.startsWith('/ipns/')) throw targetInvalid(name.text, step.value)
    const next = splitPath(path.slice('/ipns/'.length))
    name = nextName(name, next.name, step.value)
    rest = next.rest
  }
}

async function stepFrom(
  name: Name,
  query: NameQuery,
  { finder, dnsLinks, now }: NameWalkOptions,
): Promise<{ value: string; ttlMs: number }> {
  if (name.kind === 'domain') return dnsLinks.resolve(name.text, query)
  const record = await finder.find(name, query)
  if (record === undefined) {
    const who = query.offline === true ? 'this node knows no valid record' : 'nobody has a valid record of it'
    throw nameNotFound(name.text, who)
  }
  // What is left of its ttl, and never longer than the record lives.
  const freshMs = record.ttlMs - Math.max(0, now() - record.checkedMs)
  return { value: record.value, ttlMs: Math.min(Math.max(0, freshMs), record.validUntilMs - now()) }
}

function splitPath(text: string): { name: string; rest: string } {
  const slash = text.indexOf('/')
  return slash === -1 ? { name: text, rest: '' } : { name: text.slice(0, slash), rest: text.slice(slash) }
}

function checkedPath(name: Name, path: string): string {
  try {
    const { root, path: names } = parseAddress(path)
    return [`/ipfs/${root}`, ...names].join('/')
  } catch {
    throw targetInvalid(name.text, path)
  }
}

function nextName(from: Name, text: string, value: string): Name {
  try {
    return parseName(text)
  } catch {
    throw targetInvalid(from.text, value)
  }
}
