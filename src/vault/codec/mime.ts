import { lookup } from 'mrmime'

/** First bytes of a file that are enough to know its format. */
export const MIME_SAMPLE_BYTES = 4_100

const UNKNOWN = 'application/octet-stream'

/** Formats that others are built on: where the name tells one, the name knows more. */
const CONTAINERS: ReadonlySet<string> = new Set([
  'application/zip',
  'application/xml',
  'application/x-cfb',
  'application/gzip',
  'application/ogg',
])

/**
 * The MIME type of a file by its first bytes, and by its name where those do not tell: text formats have no mark. For showing
 * and serving only; nothing is decided by it.
 */
export async function mimeOf(name: string, firstBytes: Uint8Array): Promise<string> {
  const byName = typeByName(name)
  const found = await byContent(firstBytes.subarray(0, MIME_SAMPLE_BYTES))
  if (found === undefined) return byName ?? UNKNOWN
  return CONTAINERS.has(found) ? (byName ?? found) : found
}

function typeByName(name: string): string | undefined {
  // Its table is an object: for a file called `__proto__` or `a.constructor` it answers with what every object has.
  const found: unknown = lookup(name)
  return typeof found === 'string' ? found : undefined
}

async function byContent(firstBytes: Uint8Array): Promise<string | undefined> {
  try {
    // Only now: its tables are not needed until something is put.
    const { fileTypeFromBuffer } = await import('file-type')
    const found = await fileTypeFromBuffer(firstBytes)
    return found?.mime
  } catch {
    // A file that is made to look like a format and is not.
    return undefined
  }
}
