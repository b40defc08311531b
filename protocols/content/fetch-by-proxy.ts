import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Policy } from '../../src/trust/contract.ts'
import { Status } from '../shared/status.ts'
import { cancelled, hashUnsupported, notFound, proxyRefused, streamFailed } from './errors.ts'
import { isSupportedHash } from './hash.ts'
import type { StreamPool } from './stream-pool.ts'

/**
 * One block that a peer fetches from elsewhere. Callers share a stream; each block is a Proxy of its own, so that it comes when
 * it comes.
 */
export async function fetchByProxy(
  cid: CID,
  { peer, root, signal }: { peer: PeerId; root: CID; signal: AbortSignal },
  { pool, trust }: { pool: StreamPool; trust: Policy },
): Promise<Uint8Array> {
  if (signal.aborted) throw cancelled(signal.reason)
  if (!isSupportedHash(cid)) throw hashUnsupported(cid.multihash.code)
  if (!trust.decide(peer.toString(), 'fetch', { cid: cid.toString() }).allowed)
    throw proxyRefused(peer.toString())
  const stream = await pool.share(peer, signal)
  if (stream.isFull) throw streamFailed('too much is under way')
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      stream.cancel(wantId)
      reject(cancelled(signal.reason))
    }
    const end = (error: Error): void => {
      signal.removeEventListener('abort', onAbort)
      reject(error)
    }
    const wantId = stream.wantByProxy([cid], root, {
      onBlock: (_cid, bytes, creditBytes) => {
        stream.release(creditBytes)
        signal.removeEventListener('abort', onAbort)
        resolve(bytes)
      },
      // `onDone` tells why.
      onMissing: () => {},
      onDone: (status) =>
        end(status === Status.refused ? proxyRefused(peer.toString()) : notFound(cid, { asked: 1 })),
      onLost: (error) => end(error),
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
