import { hasNumberAfter, type SignedStatement, type Standing } from '../../protocols/swarm/index.ts'
import { MAX_STATEMENTS, MAX_WAITING, OWNER_RESERVE } from './limits.ts'
import { forgetOldest } from '../../protocols/shared/forget-oldest.ts'
import { SortedIds } from './sorted-ids.ts'

/** What is kept about one peer. */
interface Entry {
  /** The owner's latest word. */
  owner: SignedStatement | undefined
  /** Each admin's latest word, by its key. */
  admins: Map<string, SignedStatement>
}

export interface Taken {
  /** `refused`: sound, but its signer is no admin (any more, or as far as is known), or it is an older word than what is here. */
  outcome: 'taken' | 'known' | 'refused'
  /** What was put in, and what went for it: the database follows. */
  added: SignedStatement[]
  removed: SignedStatement[]
}

/**
 * The member list: what follows from a set of signed statements, the same from the same set in whatever order they came. So several
 * admins may change it at the same time, and nodes that meet bring each other to the same list by exchanging what each lacks.
 *
 * - The owner may say anything of anybody. An admin may say `member` and `out` of everybody who is no admin.
 * - An admin's word holds while the owner's latest word about the admin is the appointment under which it was said. An admin
 *   that is demoted or revoked takes back with it what it has said; what the owner wants to keep of that it says itself.
 * - Of several words about a peer the one with the greatest number holds; of equal ones the stricter, then the owner's, then
 *   the one with the greater id.
 *
 * Pure: the caller has checked signatures, and keeps what is kept.
 */
export class Roster {
  readonly #swarm: string
  readonly #entries = new Map<string, Entry>()
  /** What holds of each peer now. */
  readonly #rulings = new Map<string, SignedStatement>()
  readonly #byId = new Map<string, SignedStatement>()
  readonly #waiting = new Map<string, SignedStatement>()
  readonly #ids = new SortedIds()
  #changes = 0

  constructor(swarm: Uint8Array) {
    this.#swarm = hex(swarm)
  }

  /** Another number than before whenever a statement has come or gone. */
  get changes(): number {
    return this.#changes
  }

  get size(): number {
    return this.#byId.size
  }

  take(statement: SignedStatement): Taken {
    const result: Taken = { outcome: this.#judge(statement), added: [], removed: [] }
    if (result.outcome !== 'taken') return result
    this.#put(statement, result)
    return result
  }

  /** What `take` would say. */
  weigh(statement: SignedStatement): Taken['outcome'] {
    return this.#judge(statement, false)
  }

  /** What holds of a peer, by its key; undefined for one of whom nothing was ever said. */
  ruling(subject: Uint8Array): SignedStatement | undefined {
    return this.#rulings.get(hex(subject))
  }

  standing(subject: Uint8Array): Standing | undefined {
    return this.ruling(subject)?.standing
  }

  /** What holds of everybody, those that are out included. */
  rulings(): SignedStatement[] {
    return [...this.#rulings.values()]
  }

  /** The number under which an admin may speak; undefined for whoever is none. */
  appointment(subject: Uint8Array): number | undefined {
    return this.#appointment(hex(subject))
  }

  /** Grows with every change that anybody makes: equal where lists are equal. */
  version(): number {
    let sum = 0
    for (const { number } of this.#rulings.values()) sum += number
    return Math.min(sum, Number.MAX_SAFE_INTEGER)
  }

  /**
   * The number of the next statement about a peer. Without what `without` has said, whose words are about to be void.
   *
   * @returns undefined where the numbers are used up
   */
  nextNumber(subject: Uint8Array, without?: Uint8Array): number | undefined {
    const entry = this.#entries.get(hex(subject))
    let highest = entry?.owner?.number ?? 0
    for (const [signer, { number }] of entry?.admins ?? [])
      if (without === undefined || signer !== hex(without)) highest = Math.max(highest, number)
    return hasNumberAfter(highest) ? highest + 1 : undefined
  }

  get(id: Uint8Array): SignedStatement | undefined {
    return this.#byId.get(hex(id))
  }

  /** In ascending order, from the first behind `after`. */
  ids(after: Uint8Array | undefined, limit: number): Uint8Array[] {
    return this.#ids.page(after, limit)
  }

  #judge(statement: SignedStatement, remembers = true): Taken['outcome'] {
    const id = hex(statement.id)
    if (this.#byId.has(id)) return 'known'
    const isOwner = hex(statement.signer) === this.#swarm
    if (!isOwner) {
      const signer = hex(statement.signer)
      const known = this.#entries.get(signer)?.owner?.number ?? 0
      if (statement.under > known && remembers) {
        forgetOldest(this.#waiting, MAX_WAITING)
        this.#waiting.set(id, statement)
      }
      if (this.#appointment(signer) !== statement.under) return 'refused'
    }
    const entry = this.#entries.get(hex(statement.subject))
    const before = isOwner ? entry?.owner : entry?.admins.get(hex(statement.signer))
    if (before !== undefined) return outranks(statement, before, this.#swarm) ? 'taken' : 'refused'
    const room = isOwner ? MAX_STATEMENTS : MAX_STATEMENTS - OWNER_RESERVE
    return this.#byId.size < room ? 'taken' : 'refused'
  }

  #put(statement: SignedStatement, result: Taken): void {
    const subject = hex(statement.subject)
    const signer = hex(statement.signer)
    const entry = this.#entries.get(subject) ?? { owner: undefined, admins: new Map() }
    this.#entries.set(subject, entry)
    const isOwner = signer === this.#swarm
    const before = isOwner ? entry.owner : entry.admins.get(signer)
    if (before !== undefined) this.#remove(before, result)
    if (isOwner) entry.owner = statement
    else entry.admins.set(signer, statement)
    this.#byId.set(hex(statement.id), statement)
    this.#ids.add(statement.id)
    this.#changes += 1
    result.added.push(statement)
    if (isOwner && (before?.standing === 'admin' || statement.standing === 'admin'))
      this.#appointed(subject, statement, result)
    this.#rule(subject)
  }

  /** The owner has spoken of somebody who was an admin or is one now: what it said under an earlier appointment is void. */
  #appointed(subject: string, appointment: SignedStatement, result: Taken): void {
    for (const [about, entry] of this.#entries) {
      const said = entry.admins.get(subject)
      if (said === undefined || said.under >= appointment.number) continue
      entry.admins.delete(subject)
      this.#remove(said, result)
      this.#rule(about)
    }
    if (appointment.standing !== 'admin') return
    const said = [...this.#waiting.values()].filter(({ signer }) => hex(signer) === subject)
    for (const waiting of said) {
      // Under an appointment that is still to come: it goes on waiting.
      if (waiting.under > appointment.number) continue
      this.#waiting.delete(hex(waiting.id))
      if (this.#judge(waiting) === 'taken') this.#put(waiting, result)
    }
  }

  #remove(statement: SignedStatement, result: Taken): void {
    this.#byId.delete(hex(statement.id))
    this.#ids.delete(statement.id)
    this.#changes += 1
    result.removed.push(statement)
  }

  #rule(subject: string): void {
    const entry = this.#entries.get(subject)
    let best = entry?.owner
    // Of an admin the owner alone speaks.
    if (best?.standing !== 'admin')
      for (const said of entry?.admins.values() ?? [])
        if (best === undefined || outranks(said, best, this.#swarm)) best = said
    if (best === undefined) {
      this.#rulings.delete(subject)
      this.#entries.delete(subject)
    } else this.#rulings.set(subject, best)
  }

  #appointment(key: string): number | undefined {
    const said = this.#entries.get(key)?.owner
    return said?.standing === 'admin' ? said.number : undefined
  }
}

const STRICTNESS: Readonly<Record<Standing, number>> = { out: 2, member: 1, admin: 0 }

function outranks(a: SignedStatement, b: SignedStatement, swarm: string): boolean {
  return (
    (a.number - b.number ||
      STRICTNESS[a.standing] - STRICTNESS[b.standing] ||
      Number(hex(a.signer) === swarm) - Number(hex(b.signer) === swarm) ||
      Buffer.compare(a.id, b.id)) > 0
  )
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
