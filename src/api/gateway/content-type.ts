import { LRUCache } from 'lru-cache'
import { lookup } from 'mrmime'
import type { CID } from 'multiformats/cid'
import { MAX_REMEMBERED_TYPES, SNIFFED_BYTES } from './limits.ts'

const UNKNOWN = 'application/octet-stream'

/** What a browser runs as a document of the origin that it comes from. */
const ACTIVE =
  /^(?:text\/html|application\/xhtml\+xml|image\/svg\+xml|(?:text|application)\/xml|application\/pdf)/

/**
 * Types of files: by their names, and only where those say nothing by their first bytes. Browsers are told to take the answer
 * (`nosniff`), so that what is called `notes.txt` is never run as a page.
 */
export class ContentTypes {
  /** What first bytes told, by CID: a player asks for many ranges of one file. */
  readonly #told = new LRUCache<string, string>({ max: MAX_REMEMBERED_TYPES })

  async of(name: string, cid: CID, firstBytes: () => Promise<Uint8Array>): Promise<string> {
    const named = typeByName(name)
    if (named !== undefined) return withCharset(named)
    const key = cid.toString()
    const known = this.#told.get(key)
    if (known !== undefined) return known
    const told = withCharset(await typeByContent((await firstBytes()).subarray(0, SNIFFED_BYTES)))
    this.#told.set(key, told)
    return told
  }
}

/** Whether it must not run in an origin that it shares with other content. */
export function isActive(type: string): boolean {
  return ACTIVE.test(type)
}

function withCharset(type: string): string {
  return type.startsWith('text/') && !type.includes('charset') ? `${type}; charset=utf-8` : type
}

function typeByName(name: string): string | undefined {
  if (!name.includes('.')) return undefined
  // Its table is an object: for a file called `a.constructor` it answers with what every object has.
  const found: unknown = lookup(name)
  return typeof found === 'string' ? found : undefined
}

async function typeByContent(bytes: Uint8Array): Promise<string> {
  if (bytes.length === 0) return 'text/plain'
  const text = textOf(bytes)
  if (text !== undefined) return typeOfText(text)
  try {
    // Only now: its tables are not needed for what has a name.
    const { fileTypeFromBuffer } = await import('file-type')
    return (await fileTypeFromBuffer(bytes))?.mime ?? UNKNOWN
  } catch {
    // A file that is made to look like a format and is not.
    return UNKNOWN
  }
}

/** Undefined where it is no UTF-8, or holds characters that no text has. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    // The end may be cut within a character: that is what `stream` allows.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    return /[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

function typeOfText(text: string): string {
  const start = text
    .replace(/^\uFEFF/, '')
    .trimStart()
    .slice(0, 512)
    .toLowerCase()
  if (/^(?:<!doctype html|<html[\s>]|<head[\s>]|<body[\s>])/.test(start)) return 'text/html'
  if (/^(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?(?:<!doctype svg[^>]*>\s*)?<svg[\s>]/s.test(start))
    return 'image/svg+xml'
  if (start.startsWith('<?xml')) return 'text/xml'
  if (start.startsWith('%pdf-')) return 'application/pdf'
  return isJson(text) ? 'application/json' : 'text/plain'
}

/** A longer file than what was read of it cannot be told: it is text then, which harms nobody. */
function isJson(text: string): boolean {
  const trimmed = text.trim()
  if (!/^[[{]/.test(trimmed)) return false
  try {
    JSON.parse(trimmed)
    return true
  } catch {
    return false
  }
}
