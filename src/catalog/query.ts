import { searchInvalid } from './errors.ts'
import { MAX_SEARCH_CHARACTERS, MAX_SEARCH_TERMS, MIN_PREFIX_CHARACTERS } from './limits.ts'
import { quoted, wordOfTag, wordsOf } from './words.ts'

/** `-` for what must not occur, a phrase in quotes or a word, `*` for what begins so. */
const TERM = /(-?)(?:"([^"]*)"|([^\s"]+))/gu
/** What has no letter or number in it is no word, and would match nothing. */
const WORD = /[\p{L}\p{N}\p{Co}]/u

/**
 * What people type, as an expression of FTS5; undefined where there is nothing to look for. Each term is quoted, so that nothing in
 * it is an operator.
 *
 * @throws ERR_CATALOG_SEARCH
 */
export function matchExpression(text: string, tag: string | undefined): string | undefined {
  if (text.length > MAX_SEARCH_CHARACTERS)
    throw searchInvalid(`a search has at most ${MAX_SEARCH_CHARACTERS} characters`)
  const wanted: string[] = []
  const unwanted: string[] = []
  for (const [, minus = '', phrase, word] of text.toWellFormed().matchAll(TERM)) {
    const isPrefix = word?.endsWith('*') === true
    const words = phrase ?? (isPrefix ? word.slice(0, -1) : word) ?? ''
    if (!WORD.test(words)) continue
    if (isPrefix && words.length < MIN_PREFIX_CHARACTERS)
      throw searchInvalid(`a beginning has at least ${MIN_PREFIX_CHARACTERS} characters`)
    const term = `${quoted(wordsOf(words))}${isPrefix ? '*' : ''}`
    if (minus === '-') unwanted.push(term)
    else wanted.push(term)
  }
  if (wanted.length + unwanted.length > MAX_SEARCH_TERMS)
    throw searchInvalid(`a search has at most ${MAX_SEARCH_TERMS} words`)
  const tagTerm = tag === undefined ? [] : [`tags : ${requiredTag(tag)}`]
  const all = [...wanted, ...tagTerm]
  if (all.length === 0) {
    if (unwanted.length > 0 || WORD.test(text)) throw searchInvalid('a search says what there must be')
    if (text.trim() !== '') throw searchInvalid('a search has a letter or a number in it')
    return undefined
  }
  const conjunction = all.join(' AND ')
  return unwanted.length === 0 ? conjunction : `(${conjunction}) NOT (${unwanted.join(' OR ')})`
}

function requiredTag(tag: string): string {
  if (tag.length > MAX_SEARCH_CHARACTERS || !WORD.test(tag))
    throw searchInvalid('a tag has a letter or a number in it')
  return quoted(wordOfTag(tag.toWellFormed()))
}
