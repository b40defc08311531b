import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ed25519FromSeed } from '../../../src/identity/ed25519.ts'

describe('an Ed25519 key pair', () => {
  it('is that of RFC 8032, section 7.1, test 1', () => {
    const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
    expect(Buffer.from(ed25519FromSeed(seed).publicKey.raw).toString('hex')).toBe(
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    )
  })

  it('is the same that libp2p derives, and signs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 32, maxLength: 32 }), async (seed) => {
        const ours = ed25519FromSeed(seed)
        const theirs = await generateKeyPairFromSeed('Ed25519', seed)
        expect(ours.raw).toEqual(theirs.raw)
        const words = new TextEncoder().encode('words')
        expect(await theirs.publicKey.verify(words, await ours.sign(words))).toBe(true)
      }),
      { numRuns: 20 },
    )
  })
})
