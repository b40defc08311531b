/**
 * Makes what is logged safe to keep and to show: secrets are hidden, sizes are bounded, bytes and foreign objects become
 * short texts. Applied to every line, since nobody can know what an object from elsewhere holds.
 */

export const HIDDEN = '[hidden]'

/** Deeper than any record of ours; a cycle ends here too. */
const MAX_DEPTH = 6
/** Items of one object or list that a line shows. */
const MAX_ITEMS = 50
/** Characters of one text that a line shows: remote text must not fill the log. */
const MAX_TEXT_CHARS = 4096

/** Names, without case and separators, whose values are secrets wherever they stand. */
const SECRET_NAME =
  /(token|passphrase|password|secret|seed|apikey|privatekey|readkey|verifykey|filekey|authorization|cookie)$/

/** Each begins with what rarely occurs, so that the search is linear in any text. */
const SECRET_TEXTS: readonly [RegExp, string][] = [
  // Authorization headers (RFC 6750).
  [/\bBearer\s+[\w.~+/=-]+/gi, `Bearer ${HIDDEN}`],
  // Credentials in URLs.
  [/:\/\/[^/?#\s"]*@/g, `://${HIDDEN}@`],
  // Capability links, in URLs too: whoever has one can read the file.
  // Invitations: whoever has one can come in.
  [/\bp2pnode-swarm:[1-9A-HJ-NP-Za-km-z]+/g, `p2pnode-swarm:${HIDDEN}`],
  [/\bp2pnode-owner:[\w-]+/g, `p2pnode-owner:${HIDDEN}`],
  [/\bp2pnode(?::|%3[Aa])[1-9A-HJ-NP-Za-km-z]{16,}/g, `p2pnode:${HIDDEN}`],
]

/** The record as it may be logged; the original is not changed. */
export function redact(record: Record<string, unknown>): Record<string, unknown> {
  return redactObject(record, 0)
}

export function redactText(text: string): string {
  // What lies beyond twice the bound is never shown, wherever a secret is cut.
  const near = text.length <= 2 * MAX_TEXT_CHARS ? text : text.slice(0, 2 * MAX_TEXT_CHARS)
  const safe = SECRET_TEXTS.reduce(
    (rest, [pattern, replacement]) => rest.replaceAll(pattern, replacement),
    near,
  )
  return safe.length <= MAX_TEXT_CHARS
    ? safe
    : `${safe.slice(0, MAX_TEXT_CHARS)}… (${text.length} characters)`
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`
  if (depth >= MAX_DEPTH) return '…'
  if (value instanceof Error) return redactError(value, depth)
  if (Array.isArray(value) || value instanceof Set) return redactList([...value], depth)
  if (value instanceof Map) {
    return redactObject(Object.fromEntries([...value].map(([key, item]) => [nameOf(key), item])), depth)
  }
  const text = textOf(value)
  return text === undefined ? redactObject(value as Record<string, unknown>, depth) : redactText(text)
}

function redactList(items: unknown[], depth: number): unknown[] {
  const shown = items.slice(0, MAX_ITEMS).map((item) => redactValue(item, depth + 1))
  return items.length > MAX_ITEMS ? [...shown, `… ${items.length - MAX_ITEMS} more`] : shown
}

function redactObject(object: Record<string, unknown>, depth: number): Record<string, unknown> {
  const entries = Object.entries(object)
  const shown = entries
    .slice(0, MAX_ITEMS)
    .map(([name, value]) => [name, isSecret(name, value) ? HIDDEN : redactValue(value, depth + 1)])
  if (entries.length > MAX_ITEMS) shown.push(['…', `${entries.length - MAX_ITEMS} more`])
  return Object.fromEntries(shown) as Record<string, unknown>
}

/** What an error says: its own fields too, such as `code` and `details`, and what caused it. */
function redactError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error
  const own = redactObject(Object.fromEntries(Object.entries(error)), depth)
  return {
    ...own,
    type: name,
    message: redactText(message),
    ...(stack === undefined ? {} : { stack: redactText(stack) }),
    ...(cause === undefined ? {} : { cause: redactValue(cause, depth + 1) }),
  }
}

/** Numbers and booleans under such a name are counts and switches. */
function isSecret(name: string, value: unknown): boolean {
  const isHolder = typeof value === 'string' || (typeof value === 'object' && value !== null)
  return isHolder && SECRET_NAME.test(name.toLowerCase().replaceAll(/[-_]/g, ''))
}

/** CIDs, peer ids, multiaddrs, URLs and dates have a text form of their own; one that throws or gives none does not count. */
function textOf(value: object): string | undefined {
  if (value.toString === Object.prototype.toString || typeof value.toString !== 'function') return undefined
  try {
    return String(value)
  } catch {
    return undefined
  }
}

/** The key of a map as a name in a line. */
function nameOf(key: unknown): string {
  if (typeof key !== 'object' || key === null) return String(key)
  return textOf(key) ?? '<object>'
}
