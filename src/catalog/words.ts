/** How texts become words: the same for what is kept and for what is searched. */

/** Scripts that put no spaces between words; each of their characters counts as one. */
const UNSPACED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/gu
/** Stands around each tag, so that one is found as a whole and two never run into each other. */
const TAG_EDGE = '0tag0'

export function wordsOf(text: string): string {
  return text.replaceAll(UNSPACED, ' $& ')
}

export function wordsOfTags(tags: readonly string[]): string {
  return tags.length === 0 ? '' : `${TAG_EDGE} ${tags.map(wordsOf).join(` ${TAG_EDGE} `)} ${TAG_EDGE}`
}

/** A tag as a whole, as a phrase of FTS5. */
export function tagPhrase(tag: string): string {
  return quoted(wordsOfTags([tag]))
}

/** As a string of FTS5: whatever is in it are words, never operators. */
export function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}
