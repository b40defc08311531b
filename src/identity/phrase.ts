/** A secret of 32 bytes as 24 words (BIP 39, English), which a person writes down. */
import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { phraseInvalid } from './errors.ts'

const SECRET_BYTES = 32
const WORDS = 24
/** 24 words of at most 8 letters, however they are set apart. */
const MAX_PHRASE_CHARS = 2_000

export function phraseOf(secret: Uint8Array): string {
  if (secret.length !== SECRET_BYTES) throw new RangeError(`a secret has ${SECRET_BYTES} bytes`)
  return entropyToMnemonic(secret, wordlist)
}

/**
 * The secret that a phrase spells; upper case and any white space are taken.
 *
 * @throws ERR_PHRASE_INVALID, which says what is wrong without repeating the words
 */
export function secretOf(phrase: string): Uint8Array {
  if (phrase.length > MAX_PHRASE_CHARS) throw phraseInvalid('this is too long to be a recovery phrase')
  const words = phrase
    .normalize('NFKD')
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  if (words.length !== WORDS) {
    throw phraseInvalid(`a recovery phrase has ${WORDS} words, and these are ${words.length}`)
  }
  const known = new Set(wordlist)
  const unknown = words.findIndex((word) => !known.has(word)) + 1
  if (unknown > 0) {
    throw phraseInvalid(`word ${unknown} of the recovery phrase is not in the list of words`, {
      word: unknown,
    })
  }
  try {
    return Uint8Array.from(mnemonicToEntropy(words.join(' '), wordlist))
  } catch {
    throw phraseInvalid(
      'the checksum of the recovery phrase is wrong: a word is another, or two are exchanged',
    )
  }
}
