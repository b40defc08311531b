import type { CID } from 'multiformats/cid'
import type { Content } from '../../../protocols/content/types.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { MAX_PROXIES_PER_BLOCK, MAX_REFUSING_PEERS, PROXY_HEAD_START_MS, REFUSED_FOR_MS } from './limits.ts'
import type { FoundBlock, Step, StepPlan } from './types.ts'

export interface ProxyOptions {
  content: Pick<Content, 'proxies' | 'fetchByProxy'>
  /** How long one peer may take over one block. */
  deadlineMs: number
}

/**
 * Asks peers of this network to fetch from IPFS what this node cannot, one after the other. What they send is verified like
 * everything; they learn what is asked for.
 */
export function proxyStep({ content, deadlineMs }: ProxyOptions): Step {
  /** Until when a peer that refused is left alone, the oldest first. */
  const refusing = new Map<string, number>()

  function refused(peer: string): void {
    refusing.delete(peer)
    const [oldest] = refusing.keys()
    if (refusing.size >= MAX_REFUSING_PEERS && oldest !== undefined) refusing.delete(oldest)
    refusing.set(peer, performance.now() + REFUSED_FOR_MS)
  }

  return {
    name: 'proxy',
    headStartMs: PROXY_HEAD_START_MS,
    open({ providersOf }: StepPlan) {
      const stop = new AbortController()
      /** The peer that brought the last block is asked first. */
      let lead: string | undefined
      return {
        async fetch(cid: CID, { signal }): Promise<FoundBlock> {
          const now = performance.now()
          const peers = content
            .proxies()
            .filter((peer) => (refusing.get(peer.toString()) ?? 0) < now)
            .toSorted((a, b) => Number(b.toString() === lead) - Number(a.toString() === lead))
            .slice(0, MAX_PROXIES_PER_BLOCK)
          const answers: string[] = []
          for (const peer of peers) {
            const name = peer.toString()
            const deadline = AbortSignal.timeout(deadlineMs)
            try {
              const bounded = AbortSignal.any([signal, stop.signal, deadline])
              const bytes = await content.fetchByProxy(cid, { peer, root: providersOf, signal: bounded })
              lead = name
              return { bytes, from: name }
            } catch (error) {
              signal.throwIfAborted()
              if (error instanceof P2pnodeError && error.code === 'ERR_PROXY_REFUSED') refused(name)
              answers.push(deadline.aborted ? `${name} took too long` : (error as Error).message)
            }
          }
          throw new Error(answers.length === 0 ? 'no connected peer does this' : answers.join(', '))
        },
        close: () => stop.abort(),
      }
    },
  }
}
