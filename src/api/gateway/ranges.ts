import { randomUUID } from 'node:crypto'
import type { Range } from '../range.ts'
import type { Chunk } from '../streaming.ts'
import { rangeUnsatisfiable } from './errors.ts'
import { MAX_RANGES } from './limits.ts'

type Headers = Readonly<Record<string, string | string[] | undefined>>

/**
 * The byte ranges that a request asks for (RFC 9110, section 14), or undefined for the whole: without a Range header, for
 * a form that is not known, for more or longer ranges than anybody needs (14.2: a server may ignore it), and where
 * If-Range names other content.
 *
 * @throws ERR_RANGE (416) where no range begins within the content
 */
export function rangesAsked(headers: Headers, sizeBytes: number, entityTag: string): Range[] | undefined {
  const header = headers['range']
  if (typeof header !== 'string') return undefined
  const condition = headers['if-range']
  if (condition !== undefined && condition !== entityTag) return undefined
  const [, list] = /^bytes=(.+)$/i.exec(header) ?? []
  if (list === undefined) return undefined
  const texts = list.split(',', MAX_RANGES + 1).map((text) => text.trim())
  if (texts.length > MAX_RANGES) return undefined
  const ranges: Range[] = []
  let total = 0
  for (const text of texts) {
    const [, first, last] = /^(\d{0,15})-(\d{0,15})$/.exec(text) ?? []
    if (first === undefined || last === undefined || first + last === '') return undefined
    if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
    const range = withinSize(first, last, sizeBytes)
    if (range === undefined) continue
    ranges.push(range)
    total += range.end - range.start + 1
  }
  if (ranges.length === 0) throw rangeUnsatisfiable(sizeBytes)
  // Ranges that overlap would make more bytes of the content than it has.
  return ranges.length > 1 && total > sizeBytes ? undefined : ranges
}

function withinSize(first: string, last: string, sizeBytes: number): Range | undefined {
  if (first === '') {
    const suffix = Number(last)
    if (suffix === 0 || sizeBytes === 0) return undefined
    return { start: Math.max(0, sizeBytes - suffix), end: sizeBytes - 1 }
  }
  const start = Number(first)
  if (start >= sizeBytes) return undefined
  return { start, end: last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) }
}

export interface Ranged {
  status: 200 | 206
  headers: Record<string, string | number>
  chunks: AsyncIterable<Chunk> | Iterable<Chunk>
}

/** The whole, one range, or several as `multipart/byteranges` (RFC 9110, section 14.6). */
export function ranged(
  ranges: readonly Range[] | undefined,
  content: { sizeBytes: number; type: string; read: (range: Range) => AsyncIterable<Uint8Array> },
): Ranged {
  const { sizeBytes, type, read } = content
  const accepts = { 'accept-ranges': 'bytes' }
  const [only, ...more] = ranges ?? []
  if (only === undefined) {
    const whole = { start: 0, end: sizeBytes - 1 }
    const headers = { ...accepts, 'content-type': type, 'content-length': sizeBytes }
    return { status: 200, headers, chunks: sizeBytes === 0 ? [] : read(whole) }
  }
  if (more.length === 0) {
    const headers = {
      ...accepts,
      'content-type': type,
      'content-length': only.end - only.start + 1,
      'content-range': `bytes ${only.start}-${only.end}/${sizeBytes}`,
    }
    return { status: 206, headers, chunks: read(only) }
  }
  const boundary = randomUUID()
  const parts = (ranges as readonly Range[]).map((range) => ({
    range,
    head: `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: bytes ${range.start}-${range.end}/${sizeBytes}\r\n\r\n`,
  }))
  const end = `\r\n--${boundary}--\r\n`
  const length = parts.reduce(
    (sum, { range, head }) => sum + head.length + range.end - range.start + 1,
    end.length,
  )
  const headers = {
    ...accepts,
    'content-type': `multipart/byteranges; boundary=${boundary}`,
    'content-length': length,
  }
  async function* chunks(): AsyncGenerator<Chunk> {
    for (const { range, head } of parts) {
      yield head
      yield* read(range)
    }
    yield end
  }
  return { status: 206, headers, chunks: chunks() }
}
