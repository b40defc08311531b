/**
 * Rules of the compact denylist format (IPIP-383): which content is neither served nor fetched, by CID, path or name, in the clear or
 * hashed. Of several rules that match the last one counts, and `!` before a rule makes it an exception.
 *
 * CIDs are known by their multihash, so that no other text form or codec gets around a rule; only the legacy hashed form, which is
 * over one text, is bound to it. Hashed rules are by SHA-256, as all public lists are.
 */
import { hash } from 'node:crypto'
import { base32 } from 'multiformats/bases/base32'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import { decode as decodeDigest } from 'multiformats/hashes/digest'
import { MAX_LINE_CHARACTERS } from './limits.ts'

const RAW = 0x55
const LIBP2P_KEY = 0x72
const SHA_256 = 0x12
const SHA_256_BYTES = 32
const anyBase = base32.decoder.or(base36.decoder).or(base58btc.decoder)

interface PathRule {
  path: string
  isPrefix: boolean
  place: number
}

/** A rule that cannot be used, and why; for the log. */
export class RuleProblem extends Error {
  override readonly name = 'RuleProblem'
}

export class DenyRules {
  /** Keys to the place of their last rule in the order of all: positive where it denies, negative where it is an exception. */
  readonly #contents = new Map<string, number>()
  readonly #contentPaths = new Map<string, PathRule[]>()
  readonly #names = new Map<string, PathRule[]>()
  readonly #hashed = new Map<string, number>()
  #places = 0

  /** How many rules there are. */
  get size(): number {
    return this.#places
  }

  /** Adds a line of a list. False for an empty line or a comment. @throws RuleProblem */
  add(line: string): boolean {
    if (line.length > MAX_LINE_CHARACTERS) throw new RuleProblem('the line is too long')
    const text = line.trim()
    if (text === '' || text.startsWith('#')) return false
    const isException = text.startsWith('!')
    // Hints follow after a space; none is defined.
    const [rule = ''] = (isException ? text.slice(1) : text).split(/\s/, 1)
    const place = (this.#places + 1) * (isException ? -1 : 1)
    if (rule.startsWith('//')) this.#hashed.set(digestOf(rule.slice(2)), place)
    else if (rule.startsWith('/ipfs/')) this.#addContent(rule.slice('/ipfs/'.length), place)
    else if (rule.startsWith('/ipns/')) this.#addName(rule.slice('/ipns/'.length), place)
    else throw new RuleProblem('no rule begins like this')
    this.#places += 1
    return true
  }

  deniesCid(cid: CID): boolean {
    return this.deniesPath(cid, [])
  }

  /** Whether the path below the CID is denied as it is asked for, or the CID itself. */
  deniesPath(cid: CID, names: readonly string[]): boolean {
    if (this.#places === 0) return false
    const key = keyOf(cid)
    const path = names.join('/')
    return (
      lastOf([
        this.#contents.get(key),
        this.#pathPlace(this.#contentPaths.get(key), path),
        ...this.#hashedPlaces(base58Of(cid), legacyOf(cid), path),
        // The root of a path that is denied.
        ...(path === '' ? [] : this.#hashedPlaces(base58Of(cid), legacyOf(cid), '')),
      ]) > 0
    )
  }

  /** Whether the name is denied, or the path below it. `name`: a domain, or a key in any of its text forms. */
  deniesName(name: string, names: readonly string[]): boolean {
    if (this.#places === 0) return false
    const path = names.join('/')
    const key = nameKey(name)
    const cid = keyCid(name)
    const [modern, legacy] =
      cid === undefined
        ? [`/ipns/${key}`, key]
        : [base58Of(cid), legacyOf(CID.createV1(LIBP2P_KEY, cid.multihash))]
    const rules = this.#names.get(key)
    return (
      lastOf([
        this.#pathPlace(rules, path),
        this.#pathPlace(rules, ''),
        ...this.#hashedPlaces(modern, legacy, path),
        ...(path === '' ? [] : this.#hashedPlaces(modern, legacy, '')),
      ]) > 0
    )
  }

  #addContent(text: string, place: number): void {
    const { first, path, isPrefix } = partsOf(text)
    const key = keyOf(contentCid(first))
    if (path === '' && !isPrefix) this.#contents.set(key, place)
    else push(this.#contentPaths, key, { path, isPrefix, place })
  }

  #addName(text: string, place: number): void {
    const { first, path, isPrefix } = partsOf(text)
    if (first === '') throw new RuleProblem('it names nothing')
    push(this.#names, nameKey(first), { path, isPrefix, place })
  }

  #pathPlace(rules: readonly PathRule[] | undefined, path: string): number | undefined {
    if (rules === undefined) return undefined
    return lastOf(
      rules
        .filter((rule) => (rule.isPrefix ? path.startsWith(rule.path) : path === rule.path))
        .map(({ place }) => place),
    )
  }

  #hashedPlaces(modern: string, legacy: string, path: string): (number | undefined)[] {
    if (this.#hashed.size === 0) return []
    return [
      this.#hashed.get(sha256(path === '' ? modern : `${modern}/${path}`)),
      this.#hashed.get(sha256(`${legacy}/${path}`)),
    ]
  }
}

/** What a local rule of an operator is written as: `/ipfs/CID` for a bare CID. Undefined where it is no rule about content. */
export function contentRule(text: string): string | undefined {
  const rule = text.startsWith('/') ? text : `/ipfs/${text}`
  try {
    if (!text.startsWith('/') && !isContentCid(text)) return undefined
    return new DenyRules().add(rule) ? rule : undefined
  } catch {
    return undefined
  }
}

/** Keys of peers have the codec libp2p-key, and those of old ones look like CIDs of version 0: such a bare text is a peer. */
function isContentCid(text: string): boolean {
  const cid = CID.parse(text, anyBase)
  return cid.version === 1 && cid.code !== LIBP2P_KEY
}

function push(rules: Map<string, PathRule[]>, key: string, rule: PathRule): void {
  const known = rules.get(key)
  if (known === undefined) rules.set(key, [rule])
  else known.push(rule)
}

/** The place of the last of the rules that match; 0 where none does. */
function lastOf(places: readonly (number | undefined)[]): number {
  let last = 0
  for (const place of places) if (place !== undefined && Math.abs(place) > Math.abs(last)) last = place
  return last
}

/** `CID`, `CID/a/b`, `CID/a*` and `CID/a/*`; the latter two are the same. A slash at the end means nothing. */
function partsOf(text: string): { first: string; path: string; isPrefix: boolean } {
  const slash = text.indexOf('/')
  const first = slash === -1 ? text : text.slice(0, slash)
  const rest = slash === -1 ? '' : text.slice(slash + 1)
  const isPrefix = rest.endsWith('*')
  const encoded = (isPrefix ? rest.slice(0, -1) : rest).replace(/\/+$/, '')
  try {
    return { first, path: decodeURIComponent(encoded), isPrefix }
  } catch {
    throw new RuleProblem('its percent-encoding is malformed')
  }
}

/** A CID, or a bare multihash in base58. @throws RuleProblem */
function contentCid(text: string): CID {
  const cid = keyCid(text)
  if (cid === undefined) throw new RuleProblem('it holds no CID')
  return cid
}

function keyCid(text: string): CID | undefined {
  try {
    return text.startsWith('Qm') && text.length === 46 ? CID.parse(text) : CID.parse(text, anyBase)
  } catch {
    try {
      return CID.createV1(RAW, decodeDigest(base58btc.baseDecode(text)))
    } catch {
      return undefined
    }
  }
}

function nameKey(name: string): string {
  const cid = keyCid(name)
  return cid === undefined ? name.toLowerCase() : keyOf(cid)
}

function keyOf(cid: CID): string {
  return Buffer.from(cid.multihash.bytes).toString('latin1')
}

function base58Of(cid: CID): string {
  return base58btc.baseEncode(cid.multihash.bytes)
}

function legacyOf(cid: CID): string {
  return cid.toV1().toString(base32)
}

function sha256(text: string): string {
  return hash('sha256', text, 'buffer').toString('latin1')
}

/** What a hashed rule is known by: a SHA-256 in hexadecimal (legacy), or as a multihash in base58. @throws RuleProblem */
function digestOf(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex').toString('latin1')
  let digest: ReturnType<typeof decodeDigest>
  try {
    digest = decodeDigest(base58btc.baseDecode(text))
  } catch {
    throw new RuleProblem('it is neither a multihash nor a SHA-256')
  }
  if (digest.code !== SHA_256 || digest.size !== SHA_256_BYTES)
    throw new RuleProblem('it is hashed by another function than SHA-256')
  return Buffer.from(digest.digest).toString('latin1')
}
