import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Policy } from '../../src/trust/contract.ts'
import { cancelled, hashUnsupported, notFound } from './errors.ts'
import { inlineBytes, isSupportedHash } from './hash.ts'
import { HEDGE_AFTER_MS } from './limits.ts'
import type { StreamPool } from './stream-pool.ts'

export interface FetchedBlock {
  bytes: Uint8Array
  peer: PeerId
  /** By the peer's word, for peers of this network alone. */
  isPrivate: boolean
}

/**
 * One block from the first of `peers` that has it. They are asked one after the other; one that takes longer than
 * HEDGE_AFTER_MS is not waited for before the next is asked as well.
 *
 * @throws ERR_NOT_FOUND, ERR_CANCELLED, ERR_HASH_UNSUPPORTED
 */
export async function fetchBlock(
  cid: CID,
  options: { peers: PeerId[]; maxBytes?: number; signal: AbortSignal; self: PeerId },
  init: { pool: StreamPool; trust: Policy },
): Promise<FetchedBlock> {
  if (options.signal.aborted) throw cancelled(options.signal.reason)
  const inline = inlineBytes(cid)
  if (inline !== undefined) return { bytes: inline, peer: options.self, isPrivate: false }
  if (!isSupportedHash(cid)) throw hashUnsupported(cid.multihash.code)
  const text = cid.toString()
  const allowed = options.peers.filter(
    (peer) => init.trust.decide(peer.toString(), 'fetch', { cid: text }).allowed,
  )
  const end = new AbortController()
  const signal = AbortSignal.any([options.signal, end.signal])
  const answers = new Set<Promise<FetchedBlock | undefined>>()
  try {
    for (const peer of allowed) {
      const answer = ask(init.pool, peer, cid, options.maxBytes, signal).catch(() => undefined)
      answers.add(answer)
      void answer.then((block) => block === undefined && answers.delete(answer))
      const first = await Promise.race([...answers, answer, pause(HEDGE_AFTER_MS, signal)])
      if (first !== undefined) return first
      if (options.signal.aborted) break
    }
    while (answers.size > 0 && !options.signal.aborted) {
      const first = await Promise.race(answers)
      if (first !== undefined) return first
    }
  } finally {
    end.abort()
  }
  if (options.signal.aborted) throw cancelled(options.signal.reason)
  throw notFound(cid, { asked: allowed.length })
}

async function ask(
  pool: StreamPool,
  peer: PeerId,
  cid: CID,
  maxBytes: number | undefined,
  signal: AbortSignal,
): Promise<FetchedBlock | undefined> {
  const stream = await pool.share(peer, signal)
  if (stream.isFull) return undefined
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      stream.cancel(wantId)
      reject(signal.reason as Error)
    }
    const settle = (block: FetchedBlock | undefined): void => {
      signal.removeEventListener('abort', onAbort)
      resolve(block)
    }
    const wantId = stream.wantCids([cid], {
      maxBytes,
      onBlock: (_cid, bytes, creditBytes, isPrivate) => {
        stream.release(creditBytes)
        settle({ bytes, peer, isPrivate })
      },
      onMissing: () => settle(undefined),
      onDone: () => settle(undefined),
      onLost: () => settle(undefined),
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

function pause(ms: number, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      resolve(undefined)
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}
