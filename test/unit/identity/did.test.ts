import { createPublicKey } from 'node:crypto'
import {
  generateKeyPair,
  generateKeyPairFromSeed,
  privateKeyFromProtobuf,
  privateKeyFromRaw,
  publicKeyFromRaw,
  publicKeyToProtobuf,
} from '@libp2p/crypto/keys'
import { peerIdFromCID, peerIdFromPrivateKey, peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { describe, expect, it } from 'vitest'
import { didFromPeerId } from '../../../src/identity/index.ts'

const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))

/** Test vectors of the W3C CCG's did:key repository (test-vectors/ed25519-x25519.json): the seed ends in this byte. */
const ED25519_DIDS = [
  'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp',
  'did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG',
  'did:key:z6MknGc3ocHs3zdPiJbnaaqDi58NGb4pk1Sp9WxWufuXSdxf',
  'did:key:z6MkvqoYXQfDDJRv8L4wKzxYeuKyVZBfi9Qo6Ro8MiLH3kDQ',
]

/** The Ed25519 key of libp2p's specification (peer-ids, "Test vectors"), as its protobuf messages. */
const PRIVATE_PROTOBUF =
  '080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e'
const PUBLIC_PROTOBUF = '080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e'

describe('did:key', () => {
  it.each(ED25519_DIDS)('agrees with the published vector %s', async (did) => {
    const seed = new Uint8Array(32).fill(ED25519_DIDS.indexOf(did), 31)
    const key = await generateKeyPairFromSeed('Ed25519', seed)
    expect(didFromPeerId(peerIdFromPrivateKey(key))).toBe(did)
  })

  it('agrees with the published vector of secp256k1', () => {
    const key = privateKeyFromRaw(hex('9085d2bef69286a6cbb51623c8fa258629945cd55ca705cc4e66700396894e0c'))
    expect(key.type).toBe('secp256k1')
    expect(didFromPeerId(peerIdFromPrivateKey(key))).toBe(
      'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme',
    )
  })

  it('agrees with the published vector of RSA, whose key must be known', () => {
    const n =
      'sbX82NTV6IylxCh7MfV4hlyvaniCajuP97GyOqSvTmoEdBOflFvZ06kR_9D6ctt45Fk6hskfnag2GG69NALVH2o4RCR6tQiLRpKcMRtDYE_thEmfBvDzm_VVkOIYfxu-Ipuo9J_S5XDNDjczx2v-3oDh5-CIHkU46hvFeCvpUS-L8TJSbgX0kjVk_m4eIb9wh63rtmD6Uz_KBtCo5mmR4TEtcLZKYdqMp3wCjN-TlgHiz_4oVXWbHUefCEe8rFnX1iQnpDHU49_SaXQoud1jCaexFn25n-Aa8f8bc5Vm-5SeRwidHa6ErvEhTvf1dz6GoNPp2iRvm-wJ1gxwWJEYPQ'
    const spki = createPublicKey({ key: { kty: 'RSA', n, e: 'AQAB' }, format: 'jwk' }).export({
      type: 'spki',
      format: 'der',
    })
    const peerId = peerIdFromPublicKey(publicKeyFromRaw(Uint8Array.from(spki)))
    expect(didFromPeerId(peerId)).toBe(
      'did:key:z4MXj1wBzi9jUstyPMS4jQqB6KdJaiatPkAtVtGc6bQEQEEsKTic4G7Rou3iBf9vPmT5dbkm9qsZsuVNjq8HCuW1w24nhBFGkRE4cd2Uf2tfrB3N7h4mnyPp1BF3ZttHTYv3DLUPi1zMdkULiow3M1GfXkoC6DoxDUm1jmN6GBj22SjVsr6dxezRVQc7aj9TxE7JLbMH1wh5X3kA58H3DFW8rnYMakFGbca5CB2Jf6CnGQZmL7o5uJAdTwXfy2iiiyPxXEGerMhHwhjTA1mKYobyk2CpeEcmvynADfNZ5MBvcCS7m3XkFCMNUYBS9NQ3fze6vMSUPsNa6GVYmKx2x6JrdEjCk3qRMMmyjnjCMfR4pXbRMZa3i',
    )
    expect(didFromPeerId(peerIdFromString(peerId.toString()))).toBeUndefined()
  })
})

describe('the peer id', () => {
  it('agrees with the vectors of the libp2p specification', () => {
    const key = privateKeyFromProtobuf(hex(PRIVATE_PROTOBUF))
    expect(Buffer.from(publicKeyToProtobuf(key.publicKey)).toString('hex')).toBe(PUBLIC_PROTOBUF)
    const peerId = peerIdFromPrivateKey(key)
    // "If the serialized bytes are at most 42 long, the multihash is the identity of them."
    expect(Buffer.from(peerId.toMultihash().bytes).toString('hex')).toBe(`0024${PUBLIC_PROTOBUF}`)
    expect(peerId.toString()).toMatch(/^12D3KooW/)
  })

  it('names the same peer and DID in both published text forms', async () => {
    const peerId = peerIdFromString('12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA')
    expect(peerIdFromCID(peerId.toCID()).toString()).toBe(peerId.toString())
    expect(didFromPeerId(peerIdFromCID(peerId.toCID()))).toBe(didFromPeerId(peerId))
    const key = await generateKeyPair('Ed25519')
    const own = peerIdFromPrivateKey(key)
    expect(didFromPeerId(peerIdFromString(own.toString()))).toBe(didFromPeerId(own))
  })
})
