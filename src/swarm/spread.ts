import type { PeerId } from '@libp2p/interface'
import type { Outcome, Reconcile, ReconciledSet } from '../../protocols/reconcile/types.ts'
import { forgetOldest } from '../../protocols/shared/forget-oldest.ts'
import { MAX_STATEMENT_BYTES, type SignedStatement, verifyStatement } from '../../protocols/swarm/index.ts'
import type { Convergence } from '../gossip/convergence/index.ts'
import type { Gossip, TopicRules } from '../gossip/index.ts'
import type { Logger } from '../telemetry/types.ts'
import {
  AUTHOR_RATE,
  COMPARE_TIMEOUT_MS,
  MAX_REFRESHED,
  MAX_TOLD,
  PASS_ON_MS,
  PASS_ON_PEERS,
  REFRESH_PAUSE_MS,
  REFRESH_PEERS,
  REFRESH_RATE,
  REFRESH_TIMEOUT_MS,
} from './limits.ts'
import type { MemberList } from './list.ts'
import { RateLimits } from '../gossip/rate.ts'

const TOPIC = 'swarm'

export interface SpreadServices {
  gossip: Pick<Gossip, 'publish' | 'subscribe'>
  convergence: Pick<Convergence, 'register'>
  reconcile: Pick<Reconcile, 'run' | 'peers' | 'onPeer'>
}

/**
 * How the list reaches every member: told by gossip when it changes, compared now and then as every set is, and by both
 * at once when two meet: who was put out is to find everybody closed.
 */
export class Spread {
  readonly rules: TopicRules
  readonly #list: MemberList
  readonly #log: Logger
  readonly #now: () => number
  readonly #set: ReconciledSet
  readonly #rounds: RateLimits
  /** Who was asked about lately, and when. */
  readonly #asked = new Map<string, number>()
  #services: SpreadServices | undefined
  #ending: (() => void)[] = []
  #running = new AbortController()
  #round: Promise<void> | undefined
  /** Who has brought something new since news was last passed on. */
  readonly #bearers = new Set<string>()
  #passing: NodeJS.Timeout | undefined

  constructor({ list, log, now }: { list: MemberList; log: Logger; now: () => number }) {
    this.#list = list
    this.#log = log
    this.#now = now
    this.#rounds = new RateLimits(1, now)
    this.rules = {
      name: TOPIC,
      maxBytes: MAX_STATEMENT_BYTES,
      authorRate: AUTHOR_RATE,
      check: ({ data }) => this.#check(data),
    }
    this.#set = {
      name: TOPIC,
      maxEntryBytes: MAX_STATEMENT_BYTES,
      version: () => list.version,
      ids: (after, limit) => list.swarm?.roster.ids(after, limit) ?? [],
      read: (id) => list.swarm?.roster.get(id)?.bytes,
      take: async (entries, peer) => this.#take(entries, peer),
    }
  }

  /** Begins where this node is in a swarm, and follows it when it comes into one. */
  start(services: SpreadServices): void {
    this.#services = services
    this.#running = new AbortController()
    this.follow()
  }

  stop(): void {
    this.#running.abort(new Error('the node stops'))
    this.#unfollow()
    this.#services = undefined
  }

  /** Called when this node has come into a swarm or left it. */
  follow(): void {
    const services = this.#services
    if (services === undefined || this.#list.swarm === undefined) {
      this.#unfollow()
      return
    }
    if (this.#ending.length > 0) return
    this.#ending = [
      services.convergence.register(this.#set),
      services.gossip.subscribe(TOPIC, ({ data }) => this.#hear(data)),
      services.reconcile.onPeer(({ type, peer }) => {
        if (type === 'connected') void this.#compare(peer, COMPARE_TIMEOUT_MS)
      }),
    ]
    for (const peer of services.reconcile.peers()) void this.#compare(peer, COMPARE_TIMEOUT_MS)
  }

  /** Whether this node is connected to any member. */
  hasPeers(): boolean {
    return this.#members().length > 0
  }

  /**
   * Tells all neighbours; the number of those that were told directly. Of very many the last is told in any case, for which the others were
   * said, and the rest is compared at once. Never throws: who was not told learns it when it meets others.
   */
  async tell(statements: readonly SignedStatement[]): Promise<number> {
    let told = 0
    const isLong = statements.length > MAX_TOLD
    const chosen = isLong ? [...statements.slice(0, MAX_TOLD - 1), ...statements.slice(-1)] : statements
    if (isLong) this.#compareWith(this.#members())
    for (const { bytes } of chosen) {
      try {
        told = Math.max(told, (await this.#services?.gossip.publish(TOPIC, bytes)) ?? 0)
      } catch (error) {
        this.#log.warn({ err: error }, 'a change of the member list could not be told')
      }
    }
    return told
  }

  /** Asks some members about a peer that is not known, once; resolves when that is over, whatever came of it. */
  async refresh(peer: string): Promise<void> {
    const nowMs = this.#now()
    const askedMs = this.#asked.get(peer)
    if (this.#list.swarm === undefined || (askedMs !== undefined && nowMs - askedMs < REFRESH_PAUSE_MS))
      return
    if (this.#round === undefined) {
      if (!this.#rounds.take('', REFRESH_RATE)) return
      this.#round = this.#askAround().finally(() => (this.#round = undefined))
    }
    this.#asked.delete(peer)
    forgetOldest(this.#asked, MAX_REFRESHED)
    this.#asked.set(peer, nowMs)
    await this.#round
  }

  async #askAround(): Promise<void> {
    const peers = this.#members()
    await Promise.all(peers.slice(0, REFRESH_PEERS).map((peer) => this.#compare(peer, REFRESH_TIMEOUT_MS)))
  }

  /** Connected members in an order of chance. */
  #members(): PeerId[] {
    const peers = this.#services?.reconcile.peers() ?? []
    return peers
      .filter((peer) => this.#list.admits(peer.toString()))
      .map((peer) => ({ peer, order: Math.random() }))
      .toSorted((a, b) => a.order - b.order)
      .map(({ peer }) => peer)
  }

  async #compare(peer: PeerId, timeoutMs: number): Promise<void> {
    const signal = AbortSignal.any([this.#running.signal, AbortSignal.timeout(timeoutMs)])
    try {
      await this.#services?.reconcile.run(peer, this.#set, { signal })
    } catch (error) {
      this.#log.debug({ peer: peer.toString(), error: String(error) }, 'member lists were not compared')
    }
  }

  /** Whoever this node is connected to may be as far behind as it was: news goes on until everybody has it. */
  #passOn(from: string): void {
    this.#bearers.add(from)
    this.#passing ??= setTimeout(() => {
      const others = this.#members().filter((peer) => !this.#bearers.has(peer.toString()))
      this.#passing = undefined
      this.#bearers.clear()
      this.#compareWith(others)
    }, PASS_ON_MS).unref()
  }

  #compareWith(peers: readonly PeerId[]): void {
    for (const peer of peers.slice(0, PASS_ON_PEERS)) void this.#compare(peer, COMPARE_TIMEOUT_MS)
  }

  #check(data: Uint8Array): 'accept' | 'ignore' | 'reject' {
    const { swarm } = this.#list
    if (swarm === undefined) return 'ignore'
    let statement: SignedStatement
    try {
      statement = verifyStatement(swarm.key, data)
    } catch {
      return 'reject'
    }
    // What is known here is passed on all the same: it may have come another way. An older word, or one of somebody who is not
    // known as an admin, may be sound or not.
    return swarm.roster.weigh(statement) === 'refused' ? 'ignore' : 'accept'
  }

  #hear(data: Uint8Array): void {
    const { swarm } = this.#list
    if (swarm !== undefined) this.#list.learn([verifyStatement(swarm.key, data)])
  }

  #take(entries: readonly Uint8Array[], peer: string): Outcome[] {
    const { swarm } = this.#list
    if (swarm === undefined) throw new Error('this node has left the swarm')
    const read = entries.map((bytes) => {
      try {
        return verifyStatement(swarm.key, bytes)
      } catch {
        return undefined
      }
    })
    // The owner's words first: an appointment may come together with what was said under it.
    const sound = read.filter((statement) => statement !== undefined)
    const isOwner = ({ under }: SignedStatement): boolean => under === 0
    const ordered = [...sound.filter(isOwner), ...sound.filter((one) => !isOwner(one))]
    const outcomes = this.#list.learn(ordered)
    if (outcomes.includes('taken')) this.#passOn(peer)
    const verdicts = new Map(ordered.map((statement, index) => [statement, outcomes[index] ?? 'refused']))
    return read.map((statement) =>
      statement === undefined
        ? { verdict: 'invalid' }
        : { verdict: verdicts.get(statement) ?? 'refused', id: statement.id },
    )
  }

  #unfollow(): void {
    clearTimeout(this.#passing)
    this.#passing = undefined
    this.#bearers.clear()
    for (const end of this.#ending) end()
    this.#ending = []
  }
}
