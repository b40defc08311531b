/**
 * Convergence: what gossip has lost, or said while this node was away, is found by comparing whole sets with peers.
 *
 * ```ts
 * const convergence = createConvergence({ networkName, self, trust, log })
 * const libp2p = await createLibp2p({ …, services: { reconcile: convergence.protocol } })
 * const end = convergence.register(catalogSet)
 * convergence.start(libp2p.services.reconcile)
 * convergence.hasten('catalog')
 * convergence.stop()
 * ```
 *
 * A set is compared with each peer that connects, by the one of the two whose id is the smaller, and once a round with
 * one peer chosen at random: epidemic anti-entropy (Demers et al., "Epidemic Algorithms for Replicated Database
 * Maintenance", PODC 1987), in both directions at once.
 */
import type { PeerId } from '@libp2p/interface'
import { NOTHING_COMPARED, reconcile } from '../../../protocols/reconcile/index.ts'
import type { Reconcile, ReconciledSet, ReconcileStatistics } from '../../../protocols/reconcile/types.ts'
import type { Bandwidth } from '../../../protocols/shared/bandwidth.ts'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import { someOf } from '../../../protocols/shared/some-of.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Evidence, Policy } from '../../trust/contract.ts'
import { RateLimits } from '../rate.ts'
import {
  CONCURRENT_SESSIONS,
  HASTE_MS,
  LEFT_ALONE_MS,
  MAX_LEFT_ALONE,
  MAX_RATED_PEERS,
  MAX_WAITING_PEERS,
  ROUND_JITTER,
  ROUND_MS,
  SESSION_RATE,
  SETTLE_MS,
} from './limits.ts'
import { sessions } from './sessions.ts'

export interface ConvergenceOptions {
  networkName: string
  /** Text form of this node's peer id. */
  self: string
  trust: Policy & Evidence
  bandwidth?: Bandwidth | undefined
  log: Logger
  /** Tests pass their own. */
  roundMs?: number
  settleMs?: number
}

export interface Convergence {
  /** For libp2p's services, as `reconcile`. */
  readonly protocol: ReturnType<typeof reconcile>
  /**
   * Keeps a set the same with others from now on; returns the function that ends it. May be called before the start.
   *
   * @throws RangeError as `Reconcile.register`
   */
  register(set: ReconciledSet): () => void
  /** Something of this set was missed: it is compared soon, not only with the next round. Does nothing for a set that is not there. */
  hasten(set: string): void
  start(service: Reconcile): void
  stop(): void
  statistics(): ReconcileStatistics
}

export function createConvergence(options: ConvergenceOptions): Convergence {
  const { networkName, self, trust, roundMs = ROUND_MS, settleMs = SETTLE_MS } = options
  const log = options.log.child({ part: 'convergence' })
  const rates = new RateLimits(MAX_RATED_PEERS, () => performance.now())
  const sets = new Map<ReconciledSet, () => void>()
  /** Comparisons that wait, by peer and set, in the order they came. */
  const waiting = new Map<string, { peer: PeerId; set: ReconciledSet }>()
  const leftAlone = new Map<string, number>()
  const hasty = new Map<string, NodeJS.Timeout>()
  const settling = new Map<string, NodeJS.Timeout>()
  const stopping = new AbortController()
  let service: Reconcile | undefined
  let end: (() => void) | undefined
  let timer: NodeJS.Timeout | undefined
  let busy = 0

  const keyOf = (peer: PeerId, { name }: ReconciledSet): string => `${peer.toString()} ${name}`

  function enqueue(peer: PeerId, set: ReconciledSet): void {
    const key = keyOf(peer, set)
    if (waiting.size >= MAX_WAITING_PEERS || (leftAlone.get(key) ?? 0) > performance.now()) return
    waiting.set(key, { peer, set })
    while (busy < CONCURRENT_SESSIONS && waiting.size > 0) void work()
  }

  async function work(): Promise<void> {
    busy += 1
    try {
      for (const [key, { peer, set }] of waiting) {
        waiting.delete(key)
        if (sets.has(set) && !stopping.signal.aborted) await compare(peer, set)
      }
    } finally {
      busy -= 1
    }
  }

  async function compare(peer: PeerId, set: ReconciledSet): Promise<void> {
    try {
      if (service === undefined) return
      for await (const _ of sessions(service, peer, set, { signal: stopping.signal }));
    } catch (error) {
      const key = keyOf(peer, set)
      leftAlone.delete(key)
      forgetOldest(leftAlone, MAX_LEFT_ALONE)
      leftAlone.set(key, performance.now() + LEFT_ALONE_MS)
      log.debug({ peer: peer.toString(), set: set.name, error: String(error) }, 'a set was not compared')
    }
  }

  /** Of two that meet one begins; the other asks with its rounds. */
  function begins(peer: PeerId): boolean {
    return self < peer.toString()
  }

  /** One peer for the set, of those that it may be compared with. */
  function withAnybody(set: ReconciledSet): void {
    const nowMs = performance.now()
    const peers = (service?.peers() ?? []).filter((peer) => (leftAlone.get(keyOf(peer, set)) ?? 0) <= nowMs)
    for (const peer of someOf(peers, 1)) enqueue(peer, set)
  }

  function nextRound(): void {
    const inMs = roundMs * (1 + ROUND_JITTER * (2 * Math.random() - 1))
    timer = setTimeout(() => {
      for (const set of sets.keys()) withAnybody(set)
      nextRound()
    }, inMs).unref()
  }

  function connected(peer: PeerId): void {
    const name = peer.toString()
    // What went wrong before may be over, as after a restart there.
    for (const set of sets.keys()) leftAlone.delete(keyOf(peer, set))
    if (!begins(peer) || settling.size >= MAX_WAITING_PEERS) return
    clearTimeout(settling.get(name))
    const settled = (): void => {
      settling.delete(name)
      for (const set of sets.keys()) enqueue(peer, set)
    }
    settling.set(name, setTimeout(settled, settleMs).unref())
  }

  function disconnected(peer: PeerId): void {
    const name = peer.toString()
    clearTimeout(settling.get(name))
    settling.delete(name)
    for (const set of sets.keys()) waiting.delete(keyOf(peer, set))
  }

  return {
    protocol: reconcile({
      networkName,
      trust,
      bandwidth: options.bandwidth,
      log,
      admits: (peer) => rates.take(peer, SESSION_RATE),
    }),
    register(set) {
      if ([...sets.keys()].some(({ name }) => name === set.name))
        throw new RangeError(`there is a set "${set.name}" already`)
      sets.set(set, service?.register(set) ?? (() => {}))
      for (const peer of service?.peers() ?? []) if (begins(peer)) enqueue(peer, set)
      return () => {
        sets.get(set)?.()
        sets.delete(set)
        clearTimeout(hasty.get(set.name))
        hasty.delete(set.name)
      }
    },
    hasten(name) {
      const set = [...sets.keys()].find((known) => known.name === name)
      if (set === undefined || service === undefined || hasty.has(name)) return
      const soon = (): void => {
        hasty.delete(name)
        withAnybody(set)
      }
      hasty.set(name, setTimeout(soon, HASTE_MS).unref())
    },
    start(given) {
      if (service !== undefined) return
      service = given
      for (const set of sets.keys()) sets.set(set, given.register(set))
      end = given.onPeer(({ type, peer }) => (type === 'connected' ? connected(peer) : disconnected(peer)))
      for (const peer of given.peers()) connected(peer)
      nextRound()
    },
    stop() {
      stopping.abort(new Error('the node stops'))
      clearTimeout(timer)
      for (const pending of [...hasty.values(), ...settling.values()]) clearTimeout(pending)
      hasty.clear()
      settling.clear()
      waiting.clear()
      end?.()
      for (const unregister of sets.values()) unregister()
    },
    statistics: () => service?.statistics() ?? NOTHING_COMPARED,
  }
}
