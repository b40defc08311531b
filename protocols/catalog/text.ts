/** What entries may say: texts that are shown to people, and addresses that are followed. */
import { NOT_SHOWN } from '../shared/not-shown.ts'
import {
  MAX_ADDRESS_BYTES,
  MAX_DESCRIPTION_BYTES,
  MAX_MIME_BYTES,
  MAX_TAG_BYTES,
  MAX_TAGS,
  MAX_TITLE_BYTES,
} from './limits.ts'
import type { Entry } from './types.ts'

const TYPE_NAME = String.raw`[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,62}`
const MIME = new RegExp(`^${TYPE_NAME}/${TYPE_NAME}$`)
/** Addresses of other forms are not followed by anything here; a link to a script must not stand in a list. */
const ADDRESS = /^(?:\/ip[fn]s\/[A-Za-z0-9._-]+(?:\/.*)?|p2pnode:[1-9A-HJ-NP-Za-km-z]+)$/s

/** What is wrong with an entry's texts, in words for whoever wrote it; undefined where nothing is. */
export function entryProblem(entry: Entry): string | undefined {
  const { title, description, tags, mime, sizeBytes, address } = entry
  if (title.trim() === '') return 'an entry needs a title'
  return (
    lineProblem('a title', title, MAX_TITLE_BYTES) ??
    lineProblem('a description', description.replaceAll('\n', ' '), MAX_DESCRIPTION_BYTES) ??
    (tags.length > MAX_TAGS ? `an entry has at most ${MAX_TAGS} tags` : undefined) ??
    tags.map(tagProblem).find((problem) => problem !== undefined) ??
    (mime === '' || (mime.length <= MAX_MIME_BYTES && MIME.test(mime))
      ? undefined
      : 'a MIME type looks like video/mp4') ??
    (sizeBytes === null || (Number.isSafeInteger(sizeBytes) && sizeBytes >= 0)
      ? undefined
      : 'a size is a whole number of bytes') ??
    addressProblem(address)
  )
}

function tagProblem(tag: string): string | undefined {
  return tag.trim() === '' ? 'a tag has a character at least' : lineProblem('a tag', tag, MAX_TAG_BYTES)
}

function addressProblem(address: string): string | undefined {
  if (!ADDRESS.test(address)) return 'an address begins with /ipfs/, /ipns/ or p2pnode:'
  return lineProblem('an address', address, MAX_ADDRESS_BYTES)
}

function lineProblem(what: string, text: string, maxBytes: number): string | undefined {
  if (Buffer.byteLength(text) > maxBytes) return `${what} has at most ${maxBytes} bytes`
  // A lone half of a surrogate pair would come out as another text.
  if (!text.isWellFormed() || NOT_SHOWN.test(text)) return `${what} must not have control characters`
  return undefined
}
