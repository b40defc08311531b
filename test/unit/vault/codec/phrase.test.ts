import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../../protocols/shared/errors.ts'
import { ownerSecretOf, phraseOf } from '../../../../src/vault/codec/index.ts'

const secrets = fc.uint8Array({ minLength: 32, maxLength: 32 })

function failure(phrase: string): P2pnodeError {
  try {
    ownerSecretOf(phrase)
  } catch (error) {
    if (error instanceof P2pnodeError) return error
    throw error
  }
  return expect.fail('it was taken')
}

describe('a recovery phrase', () => {
  it('comes back as the secret, however it is set', () => {
    fc.assert(
      fc.property(secrets, (secret) => {
        const phrase = phraseOf(secret)
        expect(phrase.split(' ').length).toBe(24)
        expect(ownerSecretOf(phrase)).toEqual(secret)
        expect(ownerSecretOf(`  ${phrase.toUpperCase().replaceAll(' ', '\n\t ')}\n`)).toEqual(secret)
      }),
      { numRuns: 20 },
    )
    // Of the vectors of BIP 39.
    expect(phraseOf(new Uint8Array(32))).toBe(`${'abandon '.repeat(23)}art`)
  })

  it('that is wrong is told what is wrong, and is not repeated', () => {
    const words = phraseOf(new Uint8Array(32).fill(7)).split(' ')
    expect(failure(words.slice(1).join(' '))).toMatchObject({
      code: 'ERR_PHRASE_INVALID',
      kind: 'usage',
      message: 'a recovery phrase has 24 words, and these are 23',
    })
    const unknown = failure([...words.slice(0, 23), 'zzzz'].join(' '))
    expect(unknown).toMatchObject({ code: 'ERR_PHRASE_INVALID', details: { word: 24 } })
    const exchanged = failure([...words.slice(0, 22), words[23], words[22]].join(' '))
    expect(exchanged.code).toBe('ERR_PHRASE_INVALID')
    for (const { message } of [unknown, exchanged]) {
      for (const word of new Set(words)) expect(message.split(/\W/)).not.toContain(word)
    }
    expect(failure('').code).toBe('ERR_PHRASE_INVALID')
    expect(failure('zoo '.repeat(1_000_000)).message).toContain('too long')
    expect(() => phraseOf(new Uint8Array(16))).toThrow(RangeError)
  })

  it('is never made out of garbage', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(failure(text).code).toBe('ERR_PHRASE_INVALID')
      }),
    )
  })
})
