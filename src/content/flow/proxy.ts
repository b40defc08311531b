import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import type { Content } from '../../../protocols/content/types.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { MAX_PROXIES_PER_BLOCK, MAX_REFUSING_PEERS, PROXY_HEAD_START_MS, REFUSED_FOR_MS } from './limits.ts'
import type { Candidate } from '../router/types.ts'
import { type Miss, Tally } from './tally.ts'
import type { FoundBlock, Step, StepOptions, StepPlan } from './types.ts'

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
    forgetOldest(refusing, MAX_REFUSING_PEERS)
    refusing.set(peer, performance.now() + REFUSED_FOR_MS)
  }

  const willing = (): PeerId[] => {
    const now = performance.now()
    return content.proxies().filter((peer) => (refusing.get(peer.toString()) ?? 0) < now)
  }

  return {
    name: 'proxy',
    headStartMs: PROXY_HEAD_START_MS,
    sources: () => willing().map((peer) => sourceOf(peer.toString())),
    open({ providersOf }: StepPlan, { order = [], tally = new Tally() }: StepOptions = {}) {
      const places = new Map(order.map((id, place) => [id, place]))
      const stop = new AbortController()
      /** The peer that brought the last block is asked first. */
      let lead: string | undefined
      const placeOf = (peer: PeerId): number => {
        const id = peer.toString()
        return id === lead ? -1 : (places.get(id) ?? places.size)
      }
      return {
        async fetch(cid: CID, { signal }): Promise<FoundBlock> {
          const peers = willing()
            .toSorted((a, b) => placeOf(a) - placeOf(b))
            .slice(0, MAX_PROXIES_PER_BLOCK)
          const answers: string[] = []
          for (const peer of peers) {
            const name = peer.toString()
            const deadline = AbortSignal.timeout(deadlineMs)
            try {
              const bounded = AbortSignal.any([signal, stop.signal, deadline])
              const bytes = await tally.ask(
                sourceOf(name),
                signal,
                () => content.fetchByProxy(cid, { peer, root: providersOf, signal: bounded }),
                missOf,
              )
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

function sourceOf(id: string): Candidate {
  return { kind: 'proxy', id }
}

/** To do no such thing for us, or not to find it, is nothing to hold against it. */
function missOf(error: unknown): Miss {
  const isAnswer =
    error instanceof P2pnodeError && ['ERR_PROXY_REFUSED', 'ERR_NOT_FOUND'].includes(error.code)
  return isAnswer ? 'missing' : 'failed'
}
