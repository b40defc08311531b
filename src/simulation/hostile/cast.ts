import type { Direction, Member } from '../network.ts'
import type { Replacements } from '../../node/index.ts'
import type { TrustService } from '../../trust/index.ts'
import { type Hostile, hostilePeer } from './behaviours.ts'
import { Book } from './book.ts'
import { watched } from './holder.ts'
import { GRACE_SHARE, HOSTILE_SHARE, INTERVAL_PER_NODE_MS, MAX_INTERVAL_MS } from './limits.ts'
import type { SeededRandom } from './random.ts'
import type { HostileOptions } from './types.ts'
import { losesColumns, type Way } from './ways.ts'

export const REDUNDANCY = { k: 4, n: 8 }

/** Who is who: a third of each role is hostile, but for the first master, who is everybody's way in. */
export class Cast {
  readonly book = new Book()
  readonly honest: readonly Member[]
  readonly hostile: readonly Member[]
  readonly intervalMs: number
  readonly #isTrusting: boolean
  readonly #ways = new Map<Member, Way>()
  readonly #peers = new Map<Member, Hostile>()
  readonly #members: readonly Member[]

  constructor(members: readonly Member[], options: HostileOptions, random: SeededRandom) {
    this.#members = members
    this.#isTrusting = options.isTrusting
    this.intervalMs = options.intervalMs ?? Math.min(MAX_INTERVAL_MS, members.length * INTERVAL_PER_NODE_MS)
    const byRole = Map.groupBy(members, ({ role }) => role)
    const chosen = [...byRole.values()].flatMap((ofRole) =>
      random.some(
        ofRole.filter(({ index }) => index > 0),
        Math.round(ofRole.length * HOSTILE_SHARE),
      ),
    )
    this.hostile = members.filter((member) => chosen.includes(member))
    this.honest = members.filter((member) => !chosen.includes(member))
    for (const [number, member] of this.hostile.entries()) {
      const { ways } = options
      const way = ways[number % ways.length] as Way
      this.#ways.set(member, way)
      const turn = Math.floor(number / ways.length)
      this.#peers.set(
        member,
        hostilePeer({
          way,
          number: turn,
          deeds: this.book.deeds,
          isFellow: (peer) => this.isHostile(peer),
        }),
      )
    }
  }

  get direction(): Direction {
    return {
      settings: {
        'vault.redundancy': `rs:${REDUNDANCY.k}/${REDUNDANCY.n}`,
        'vault.audit.interval': `${this.intervalMs}ms`,
        'vault.repair.grace': `${Math.round(this.intervalMs * GRACE_SHARE)}ms`,
        // Filters are told of as files come.
        'content.capabilities.interval': '1s',
      },
      replacementsOf: (member) => this.#replacementsOf(member),
    }
  }

  /** Who lends storage. */
  get holders(): readonly Member[] {
    return this.#members.filter(({ role }) => role !== 'leecher')
  }

  /** Whether columns that this member is given are lost. */
  isLoser(member: Member): boolean {
    const way = this.#ways.get(member)
    return way !== undefined && losesColumns(way)
  }

  /** Undefined: no node of this network. */
  isHostile(peer: string): boolean | undefined {
    const member = this.#members.find((one) => one.peer === peer)
    return member === undefined ? undefined : this.#peers.has(member)
  }

  hostileOf(member: Member): Hostile | undefined {
    return this.#peers.get(member)
  }

  #replacementsOf(member: Member): Replacements {
    const own = this.#peers.get(member)?.replacements
    return {
      ...own,
      ...(this.#isTrusting ? {} : { trust: (trust) => own?.trust?.(believing(trust)) ?? believing(trust) }),
      holder: (holder) =>
        watched(own?.holder?.(holder) ?? holder, (open, owner) =>
          this.book.column(open, {
            isLost: this.isLoser(member),
            isUnproven: !this.#isProven(owner, member.peer),
          }),
        ),
    }
  }

  /** Whether the holder has proved to its owner, by the time at which it is given a column, that it keeps what it is given. */
  #isProven(owner: string, holder: string): boolean {
    const member = this.#members.find(({ peer }) => peer === owner)
    if (member?.node?.state !== 'ready') return false
    return member.node.services().trust.isProven(holder)
  }
}

/** Sees what others see, and makes nothing of it. */
function believing(own: TrustService): TrustService {
  return { ...own, decide: () => ({ allowed: true }), score: () => 0.5, isProven: () => false }
}
