import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { describe, expect, it } from 'vitest'
import {
  ChunkRefusedError,
  chunkInvalid,
  chunkNotFound,
  ChunkStatus,
} from '../../../../protocols/chunk/errors.ts'
import type { SlabIndex } from '../../../../protocols/chunk/types.ts'
import { ByteRate } from '../../../../src/vault/restore/byte-rate.ts'
import { Prover } from '../../../../src/vault/restore/prove.ts'

const index = {
  slab: new Uint8Array(32),
  sealedBytes: [20_000],
  pieceBytes: () => 20_000,
} as unknown as SlabIndex
const never = new AbortController().signal

async function somePeer(): Promise<PeerId> {
  return peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
}

/** What is reported of a peer that is connected, or not, and answers in some way. */
async function reported(
  answer: (signal: AbortSignal) => Promise<void>,
  { isConnected = true, signal = never }: { isConnected?: boolean; signal?: AbortSignal } = {},
): Promise<string[]> {
  const peer = await somePeer()
  const kinds: string[] = []
  const prover = new Prover({
    chunk: {
      peers: () => (isConnected ? [peer] : []),
      audit: (_peer, _index, _place, within) => answer(within),
    },
    trust: {
      report(name, kind) {
        expect(name).toBe(peer.toString())
        kinds.push(kind)
      },
    },
    rate: new ByteRate(),
    bytesPerSecond: Number.POSITIVE_INFINITY,
    timeoutMs: 20,
  })
  await prover.prove(peer, index, 0, signal).catch(() => {})
  return kinds
}

const silence = (signal: AbortSignal): Promise<void> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })

describe('an audit', () => {
  it('leaves the evidence that it is', async () => {
    expect(await reported(async () => {})).toEqual(['audit-passed'])
    expect(await reported(() => Promise.reject(chunkInvalid('a wrong proof')))).toEqual(['audit-failed'])
    expect(await reported(() => Promise.reject(chunkNotFound('that')))).toEqual(['audit-failed'])
  })

  it('holds silence against whoever is connected, and against nobody else', async () => {
    expect(await reported(silence)).toEqual(['audit-unanswered'])
    expect(await reported(silence, { isConnected: false })).toEqual([])
    // To be told that it has too much to do is an answer.
    expect(await reported(() => Promise.reject(new ChunkRefusedError(ChunkStatus.busy)))).toEqual([])
    expect(await reported(() => Promise.reject(new Error('the connection broke')))).toEqual([])
    // It showed that the owner deleted the slab.
    expect(await reported(() => Promise.reject(new ChunkRefusedError(ChunkStatus.tombstoned)))).toEqual([])
  })

  it('says nothing of a peer where it was this node that gave up', async () => {
    const stopping = new AbortController()
    const asked = reported(
      (signal) => {
        stopping.abort(new Error('the node stops'))
        return signal.aborted ? Promise.reject(signal.reason as Error) : silence(signal)
      },
      { signal: stopping.signal },
    )
    expect(await asked).toEqual([])
  })
})
