import { ascii } from './target.ts'

/**
 * The `_redirects` file of a website (https://specs.ipfs.tech/http-gateways/web-redirects-file/): lines `from to [status]`, looked at
 * in their order when a path does not exist.
 */
export interface RedirectRule {
  /** Names of the path; `:name` takes any one, and a `*` at the end all that are left. */
  from: readonly string[]
  to: string
  status: number
}

const STATUSES: ReadonlySet<number> = new Set([200, 301, 302, 303, 307, 308, 404, 410, 451])
const DEFAULT_STATUS = 301
const SPLAT = 'splat'

/** @throws RangeError that says what is wrong in which line */
export function parseRedirects(text: string): RedirectRule[] {
  const rules: RedirectRule[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    try {
      rules.push(parseRule(trimmed))
    } catch (error) {
      throw new RangeError(`line ${index + 1}: ${(error as Error).message}`)
    }
  }
  return rules
}

function parseRule(line: string): RedirectRule {
  const [from = '', to, status, ...more] = line.split(/[ \t]+/)
  if (to === undefined) throw new RangeError('expected "from to [status]"')
  if (more.length > 0) throw new RangeError('there is more than "from to [status]"')
  if (!from.startsWith('/')) throw new RangeError('"from" must begin with a slash')
  const code = status === undefined ? DEFAULT_STATUS : /^\d{3}$/.test(status) ? Number(status) : Number.NaN
  if (!STATUSES.has(code)) throw new RangeError(`the status ${JSON.stringify(status)} is not supported`)
  const isElsewhere = /^https?:\/\/[^/]/i.test(to)
  if (!isElsewhere && (!to.startsWith('/') || to.startsWith('//')))
    throw new RangeError('"to" must be a path, or an http or https URL')
  if (isElsewhere && !isRedirect(code)) throw new RangeError(`with the status ${code} "to" must be a path`)
  return { from: namesOfRule(from), to, status: code }
}

export function isRedirect(status: number): boolean {
  return status >= 300 && status < 400
}

function namesOfRule(from: string): string[] {
  const names = from.split('/').filter((name) => name !== '')
  const placeholders = new Set<string>()
  for (const [index, name] of names.entries()) {
    if (name.includes('*') && (name !== '*' || index !== names.length - 1))
      throw new RangeError('an asterisk stands alone, at the end of "from"')
    if (!name.startsWith(':')) continue
    if (placeholders.has(name)) throw new RangeError(`the placeholder ${name} stands twice in "from"`)
    placeholders.add(name)
  }
  return names
}

export interface Redirection {
  status: number
  /** With placeholders filled in and the request's query merged, safe in a header. */
  to: string
}

/** What the first rule that fits says of a path (decoded names), or undefined. */
export function redirectionOf(
  rules: readonly RedirectRule[],
  path: readonly string[],
  query: URLSearchParams,
): Redirection | undefined {
  for (const rule of rules) {
    const values = match(rule.from, path)
    if (values === undefined) continue
    return { status: rule.status, to: withQuery(fill(rule.to, values), query) }
  }
  return undefined
}

function match(from: readonly string[], path: readonly string[]): Map<string, string> | undefined {
  const values = new Map<string, string>()
  for (const [index, name] of from.entries()) {
    if (name === '*') {
      const rest = path.slice(index).map(encodeURIComponent).join('/')
      return values.set(SPLAT, rest)
    }
    const given = path[index]
    if (given === undefined) return undefined
    if (name.startsWith(':')) values.set(name.slice(1), encodeURIComponent(given))
    else if (name !== given && name !== encodeURIComponent(given)) return undefined
  }
  return path.length === from.length ? values : undefined
}

/** Values are percent-encoded, so that none of them reaches beyond its place. */
function fill(to: string, values: ReadonlyMap<string, string>): string {
  return to.replace(/:([A-Za-z_]\w*)/g, (whole, name: string) => values.get(name) ?? whole)
}

/** Parameters of the request go before those of the rule. */
function withQuery(to: string, query: URLSearchParams): string {
  const [beforeHash = '', hash] = to.split('#', 2)
  const at = beforeHash.indexOf('?')
  const path = at < 0 ? beforeHash : beforeHash.slice(0, at)
  const own = at < 0 ? '' : beforeHash.slice(at + 1)
  const fragment = hash === undefined ? '' : `#${hash}`
  if (query.size === 0) return ascii(`${path}${own === '' ? '' : `?${own}`}${fragment}`)
  const merged = new URLSearchParams(own)
  for (const name of new Set(query.keys())) merged.delete(name)
  for (const [name, value] of query) merged.append(name, value)
  return ascii(`${path}?${merged}${fragment}`)
}
