/** How texts become words: the same for what is kept and for what is searched. */
import { hash } from 'node:crypto'

/** Scripts that put no spaces between words; each of their characters counts as one. */
const UNSPACED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/gu

export function wordsOf(text: string): string {
  return text.replaceAll(UNSPACED, ' $& ')
}

/** The words of each tag, and behind them one that stands for it as a whole and keeps it apart from the next. */
export function wordsOfTags(tags: readonly string[]): string {
  return tags.map((tag) => `${wordsOf(tag)} ${wordOfTag(tag)}`).join(' ')
}

/** One word for a tag as a whole, whatever its case and accents: looked up at once, however many tags have its words. */
export function wordOfTag(tag: string): string {
  const folded = tag.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase().trim().replaceAll(/\s+/g, ' ')
  return `0tag${hash('sha256', folded, 'hex').slice(0, 16)}`
}

/** As a string of FTS5: whatever is in it are words, never operators. */
export function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}
