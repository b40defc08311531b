import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import type { SignedStatement } from '../../protocols/swarm/index.ts'
import type { Logger } from '../telemetry/types.ts'
import { listFull } from './errors.ts'
import { MAX_STATEMENTS } from './limits.ts'
import { hex, Roster, type Taken } from './roster.ts'
import { openSwarmStore, type SwarmState, type SwarmStore } from './store.ts'
import type { Membership } from './types.ts'

export interface MemberListOptions {
  state: SwarmState
  /** This node's public key, 32 bytes. */
  self: Uint8Array
  log: Logger
  now: () => number
}

/** What this node knows of its swarm: in memory for every decision, in state.db so that it lasts. */
export class MemberList implements Membership {
  readonly self: Uint8Array
  readonly store: SwarmStore
  readonly #state: SwarmState
  readonly #log: Logger
  readonly #now: () => number
  readonly #listeners = new Set<() => void>()
  #swarm: { key: Uint8Array; roster: Roster } | undefined
  /** Lists that were opened: a node may leave one swarm and join another. */
  #opened = 0
  /** Peer ids by key: the whole list is gone through at every change. */
  readonly #peers = new Map<string, string>()
  /** Peers that may take part; undefined on a node that is in no swarm. */
  #admitted: Set<string> | undefined

  constructor({ state, self, log, now }: MemberListOptions) {
    this.self = self
    this.store = openSwarmStore(state)
    this.#state = state
    this.#log = log
    this.#now = now
    const stored = this.store.load()
    if (stored !== undefined) this.#open(stored.key, stored.statements)
    this.#admitted = this.#members()
  }

  /** Undefined on a node that is in no swarm. */
  get swarm(): { readonly key: Uint8Array; readonly roster: Roster } | undefined {
    return this.#swarm
  }

  /** Another number than before whenever a statement has come or gone. */
  get version(): number {
    return this.#opened * 2 ** 32 + (this.#swarm?.roster.changes ?? 0)
  }

  admits(peer: string): boolean {
    return this.#admitted === undefined || this.#admitted.has(peer)
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /** Becomes a member of a swarm, durably, in place of whatever was before. `also` runs in the same transaction. */
  async begin(
    key: Uint8Array,
    statements: readonly SignedStatement[],
    contacts: readonly string[],
    also: () => void = () => {},
  ): Promise<void> {
    this.#state.writeRelaxed(() => {
      this.store.begin(key, this.#now())
      this.store.setContacts(contacts)
      this.store.apply({ added: statements, removed: [], out: [] })
      also()
    })
    this.#open(key, statements)
    await this.#lasting()
  }

  /** Is in no swarm any more, durably. */
  async forget(): Promise<void> {
    this.#state.writeRelaxed(() => this.store.forget())
    this.#swarm = undefined
    await this.#lasting()
  }

  /**
   * What the own operator does: durable when it resolves. `also` runs in the same transaction.
   *
   * @throws ERR_SWARM_FULL
   */
  async record(statements: readonly SignedStatement[], also: () => void = () => {}): Promise<void> {
    this.#write((take) => {
      also()
      for (const statement of statements) if (take(statement) === 'refused') throw listFull(MAX_STATEMENTS)
    })
    await this.#lasting(statements.length > 0)
  }

  /** What others said, and one of them brought: survives a crash, and what a power loss takes comes again. */
  learn(statements: readonly SignedStatement[]): Taken['outcome'][] {
    const { roster } = this.#swarm ?? {}
    if (roster === undefined) return statements.map(() => 'refused')
    const before = roster.changes
    const outcomes = this.#write((take) => statements.map(take))
    if (roster.changes !== before) this.#changed()
    return outcomes
  }

  /** One transaction over memory and disk: what the disk does not keep memory does not either. */
  #write<T>(work: (take: (statement: SignedStatement) => Taken['outcome']) => T): T {
    const { roster } = this.#swarm ?? {}
    const changes: Taken[] = []
    try {
      return this.#state.writeRelaxed(() =>
        work((statement) => {
          const taken = roster?.take(statement)
          if (taken === undefined) return 'refused'
          changes.push(taken)
          this.store.apply(taken)
          return taken.outcome
        }),
      )
    } catch (error) {
      roster?.undo(changes)
      throw error
    }
  }

  /** Resolves when what was written lasts, and acts on it in any case: memory and disk hold it by now. */
  async #lasting(isChange = true): Promise<void> {
    try {
      // Flushes what was committed before as well.
      await this.#state.write(() => {})
    } finally {
      if (isChange) this.#changed()
    }
  }

  #open(key: Uint8Array, statements: readonly SignedStatement[]): void {
    const roster = new Roster(key)
    roster.load(statements)
    this.#swarm = { key, roster }
    this.#opened += 1
    this.#peers.clear()
  }

  #members(): Set<string> | undefined {
    if (this.#swarm === undefined) return undefined
    const { roster } = this.#swarm
    const own = roster.standing(this.self)
    // Whoever was put out takes part in nothing, until it leaves the swarm or is let in again.
    if (own === undefined || own === 'out') return new Set()
    const admitted = roster.rulings().filter(({ standing }) => standing !== 'out')
    return new Set(admitted.map(({ subject }) => this.peerOf(subject)))
  }

  /** The peer id of a key, which is kept: it takes some 30 µs to make. */
  peerOf(subject: Uint8Array): string {
    const key = hex(subject)
    const peer = this.#peers.get(key) ?? peerText(subject)
    this.#peers.set(key, peer)
    return peer
  }

  #changed(): void {
    this.#admitted = this.#members()
    for (const listener of this.#listeners) {
      try {
        listener()
      } catch (error) {
        this.#log.error({ err: error }, 'a listener of the member list failed')
      }
    }
  }
}

/** The peer id of an Ed25519 key, in its text form. */
export function peerText(key: Uint8Array): string {
  return peerIdFromPublicKey(publicKeyFromRaw(key)).toString()
}
