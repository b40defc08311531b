import { randomBytes } from 'node:crypto'

/** Crockford's base 32 in lower case: sorts as the numbers do, and has no letters that look alike. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const TIME_CHARS = 10
const RANDOM_BYTES = 10
const RANDOM_CHARS = 16

/**
 * Makes ids of the form of a ULID: 48 bits of time in milliseconds, 80 random bits. Ids of one generator grow strictly, also
 * within a millisecond and when the clock is set back: the random part then counts up.
 */
export function createIds(now: () => number): () => string {
  let lastMs = 0
  let random = 0n
  return () => {
    const nowMs = Math.floor(now())
    if (nowMs > lastMs) {
      lastMs = nowMs
      // The top bit stays clear: 2^79 ids fit into a millisecond before the counter could overflow.
      random = BigInt(`0x${randomBytes(RANDOM_BYTES).toString('hex')}`) >> 1n
    } else {
      random += 1n
    }
    return encode(BigInt(lastMs), TIME_CHARS) + encode(random, RANDOM_CHARS)
  }
}

function encode(value: bigint, chars: number): string {
  let text = ''
  for (let rest = value; text.length < chars; rest >>= 5n) text = ALPHABET[Number(rest & 31n)] + text
  return text
}
