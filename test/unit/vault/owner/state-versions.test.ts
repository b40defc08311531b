import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, it } from 'vitest'
import { pieceRoot, signIndex, slabIdOf, slabKeyOf } from '../../../../protocols/chunk/format/index.ts'
import type { HeldColumn, SlabId, SlabIndex } from '../../../../protocols/chunk/types.ts'
import { coalesceMs } from '../../../../src/vault/owner/state-keeper.ts'
import { findVersions, signerOfVersion } from '../../../../src/vault/owner/state-versions.ts'

const SECRET = new Uint8Array(32).fill(5)

async function peer(): Promise<PeerId> {
  return peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
}

function indexOf(version: number): SlabIndex {
  const signer = signerOfVersion(SECRET, version)
  const root = pieceRoot(new Uint8Array(64))
  const group = slabIdOf(signer.publicKey)
  return signIndex(signer, 'test', { group, k: 1, n: 1, sealedBytes: [64], roots: [root] })
}

it('is led on by nobody who says to hold every version', async () => {
  const honest = await peer()
  const liar = await peer()
  const held = indexOf(3)
  let questions = 0
  const chunk = {
    peers: () => [liar, honest],
    have: async (asked: PeerId, slabs: readonly SlabId[]): Promise<HeldColumn[]> => {
      questions += 1
      if (questions > 1_000) throw new Error('the search does not end')
      const all = slabs.map((slab) => ({ slab, column: 0, indexHash: held.hash, untilMs: 1 }))
      return asked.equals(liar) ? all : all.filter(({ slab }) => slabKeyOf(slab) === slabKeyOf(held.slab))
    },
    index: async (asked: PeerId, slab: SlabId): Promise<SlabIndex> => {
      if (asked.equals(liar) || slabKeyOf(slab) !== slabKeyOf(held.slab)) throw new Error('it has it not')
      return held
    },
    fetch: () => {
      throw new Error('nothing is fetched')
    },
  }
  const manifestCodec = { openLayer: () => Promise.reject(new Error('nothing is opened')) }
  const found = await findVersions({ chunk, manifestCodec }, SECRET, AbortSignal.timeout(20_000), {
    count: 8,
    ahead: 1,
  })
  expect(found).toMatchObject([{ version: 3, holders: [{ peer: honest, column: 0 }] }])
})

it('gathers changes for seconds, and for up to a minute where the state is large', () => {
  expect(coalesceMs(0)).toBe(3_000)
  expect(coalesceMs(64 * 1024)).toBe(3_000)
  expect(coalesceMs(10 * 1024 * 1024)).toBe(10_000)
  expect(coalesceMs(1024 ** 3)).toBe(60_000)
})
