import { base32 } from 'multiformats/bases/base32'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseName } from '../../../../src/content/names/name.ts'
import { newName } from '../../../support/names.ts'

describe('names', () => {
  it('are one name in every text form of a key', async () => {
    const { key, name } = await newName()
    const cid = CID.createV1(0x72, key.publicKey.toMultihash())
    expect(name.text).toMatch(/^k51/)
    for (const form of [
      name.text,
      cid.toString(base32),
      cid.toString(base58btc),
      base58btc.baseEncode(key.publicKey.toMultihash().bytes),
    ]) {
      expect(parseName(form)).toMatchObject({ kind: 'key', text: name.text })
    }
  })

  it('may be the hash of a key', () => {
    const name = parseName('QmVujd5Vb7moysJj8itnGufN7MEtPRCNHkKpNuA4onsRa3')
    expect(name).toMatchObject({ kind: 'key', text: expect.stringMatching(/^k2k4r8/) })
  })

  it('may be domains', () => {
    expect(parseName('Docs.IPFS.tech.')).toEqual({ kind: 'domain', text: 'docs.ipfs.tech' })
    expect(parseName('_sub.a-b.example')).toMatchObject({ kind: 'domain' })
  })

  it.each([
    '',
    '.',
    'example',
    '..',
    'a..b',
    '-a.example',
    'exa mple.org',
    'example.org/path',
    'ex\u0000ample.org',
    'x'.repeat(64) + '.org',
    `${'a.'.repeat(127)}org`,
    'k'.repeat(2_000),
    'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
    'k51qzi5uqu5d',
  ])('are refused: %j', (text) => {
    expect(() => parseName(text)).toThrow(expect.objectContaining({ code: 'ERR_NAME_INVALID' }))
  })

  it('are refused with an error of ours, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.domain()), (text) => {
        try {
          parseName(text)
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_NAME_INVALID' })
        }
      }),
    )
  })
})
