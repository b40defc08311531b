import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import { keyOf } from '../../../protocols/content/hash.ts'
import {
  IPFS_HEAD_START_MS,
  MAX_DIALLED_PROVIDERS,
  MAX_SEARCHED_ROOTS,
  PROVIDERS_TIMEOUT_MS,
  SEARCHED_FOR_MS,
} from './limits.ts'
import type { Candidate } from '../router/types.ts'
import { Tally } from './tally.ts'
import type { FoundBlock, Step, StepOptions, StepPlan } from './types.ts'

const IPFS: Candidate = { kind: 'ipfs', id: 'ipfs' }

/** One block from the public IPFS network, verified. Waits for the signal where nobody has it. */
export type IpfsBlocks = (cid: CID, options: { signal: AbortSignal }) => Promise<Uint8Array>

export interface IpfsOptions {
  blocks: IpfsBlocks
  libp2p: Pick<Libp2p, 'peerId' | 'contentRouting' | 'dial' | 'getConnections'>
  /** A block that nobody has sent after so long is not to be had from IPFS now. */
  deadlineMs: number
}

/**
 * Asks the public IPFS network by Bitswap. Only roots are announced there, as a rule: for a part of a DAG the root's providers
 * are looked for and connected to, and then asked for it as everybody is who is connected.
 */
export function ipfsStep({ blocks, libp2p, deadlineMs }: IpfsOptions): Step {
  /** By root: when its providers were looked for, oldest first. */
  const searched = new Map<string, number>()

  function searchProviders(root: CID, signal: AbortSignal): void {
    const key = keyOf(root)
    const before = searched.get(key)
    if (before !== undefined && performance.now() - before < SEARCHED_FOR_MS) return
    searched.delete(key)
    forgetOldest(searched, MAX_SEARCHED_ROOTS)
    searched.set(key, performance.now())
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(PROVIDERS_TIMEOUT_MS)])
    // Best effort: Bitswap goes on looking by itself. A search that was broken off is worth another one.
    connectProviders(libp2p, root, bounded).catch(() => searched.delete(key))
  }

  return {
    name: 'ipfs',
    headStartMs: IPFS_HEAD_START_MS,
    sources: () => [IPFS],
    open({ providersOf }: StepPlan, { tally = new Tally() }: StepOptions = {}) {
      const stop = new AbortController()
      return {
        async fetch(cid: CID, { signal }): Promise<FoundBlock> {
          if (keyOf(cid) !== keyOf(providersOf)) searchProviders(providersOf, stop.signal)
          const deadline = AbortSignal.timeout(deadlineMs)
          try {
            const bounded = AbortSignal.any([signal, stop.signal, deadline])
            // That nobody sends it may well be because nobody has it.
            const bytes = await tally.ask(
              IPFS,
              signal,
              () => blocks(cid, { signal: bounded }),
              () => 'missing',
            )
            return { bytes, from: '' }
          } catch (error) {
            throw deadline.aborted ? new Error(`nobody sent it within ${deadlineMs / 1_000} s`) : error
          }
        },
        close: () => stop.abort(),
      }
    },
  }
}

async function connectProviders(
  libp2p: IpfsOptions['libp2p'],
  root: CID,
  signal: AbortSignal,
): Promise<void> {
  const dials: Promise<unknown>[] = []
  for await (const { id } of libp2p.contentRouting.findProviders(root, { signal })) {
    if (id.equals(libp2p.peerId) || libp2p.getConnections(id).length > 0) continue
    dials.push(libp2p.dial(id, { signal }).catch(() => {}))
    if (dials.length >= MAX_DIALLED_PROVIDERS) break
  }
  await Promise.all(dials)
}
