import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { base58btc } from 'multiformats/bases/base58'
import { describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../../protocols/shared/errors.ts'
import { formatLink, parseLink } from '../../../../src/vault/codec/index.ts'
import type { Link } from '../../../../src/vault/types.ts'

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const links: fc.Arbitrary<Link> = fc.record({
  power: fc.constantFrom('read', 'verify'),
  slab: bytes32,
  key: bytes32,
})

function failure(text: string): P2pnodeError {
  try {
    parseLink(text)
  } catch (error) {
    if (error instanceof P2pnodeError) return error
    throw error
  }
  return expect.fail(`${text} was taken`)
}

/** A text with the right checksum over whatever bytes. */
function checked(body: Uint8Array): string {
  const sum = createHash('sha256').update(body).digest().subarray(0, 4)
  return `p2pnode:${base58btc.baseEncode(Buffer.concat([body, sum]))}`
}

describe('a link', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(links, (link) => {
        expect(parseLink(formatLink(link))).toEqual(link)
      }),
    )
  })

  it('with any one character exchanged, left out or put in is called mistyped', () => {
    const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
    fc.assert(
      fc.property(
        links,
        fc.nat(),
        fc.constantFrom(...alphabet.split('')),
        fc.constantFrom('exchange', 'drop', 'insert'),
        (link, at, character, how) => {
          const text = formatLink(link)
          const place = 'p2pnode:'.length + (at % (text.length - 'p2pnode:'.length))
          const rest = text.slice(how === 'insert' ? place : place + 1)
          const changed = text.slice(0, place) + (how === 'drop' ? '' : character) + rest
          fc.pre(changed !== text)
          expect(failure(changed)).toMatchObject({ code: 'ERR_LINK_CHECKSUM', kind: 'usage' })
        },
      ),
    )
  })

  it('cut off anywhere is called mistyped', () => {
    const text = formatLink({ power: 'read', slab: randomBytes(32), key: randomBytes(32) })
    for (let end = 'p2pnode:'.length; end < text.length; end++) {
      expect(failure(text.slice(0, end)).code).toBe('ERR_LINK_CHECKSUM')
    }
  })

  it('of an unknown version or kind is named so', () => {
    const rest = randomBytes(64)
    expect(failure(checked(Buffer.concat([Buffer.of(2, 1), rest])))).toMatchObject({
      code: 'ERR_LINK_INVALID',
      kind: 'usage',
      message: expect.stringContaining('version 2') as string,
    })
    expect(failure(checked(Buffer.concat([Buffer.of(1, 9), rest])))).toMatchObject({
      code: 'ERR_LINK_INVALID',
      message: expect.stringContaining('kind 9') as string,
    })
    expect(failure(checked(Buffer.concat([Buffer.of(1, 1), rest, Buffer.of(0)]))).code).toBe(
      'ERR_LINK_INVALID',
    )
    expect(failure(checked(Buffer.of(1, 1))).code).toBe('ERR_LINK_INVALID')
  })

  it('is never made out of garbage', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `p2pnode:${text}`),
        ),
        (text) => {
          expect(['ERR_LINK_INVALID', 'ERR_LINK_CHECKSUM']).toContain(failure(text).code)
        },
      ),
    )
    expect(failure(`p2pnode:${'z'.repeat(1_000_000)}`).code).toBe('ERR_LINK_INVALID')
    // A key must not stand in a message.
    const secret = formatLink({ power: 'read', slab: randomBytes(32), key: randomBytes(32) }).slice(8, 100)
    expect(failure(`p2pnode:${secret}0`).message).not.toContain(secret.slice(0, 20))
  })

  it('of keys that are none is not made', () => {
    expect(() => formatLink({ power: 'read', slab: randomBytes(31), key: randomBytes(32) })).toThrow(
      RangeError,
    )
  })
})
