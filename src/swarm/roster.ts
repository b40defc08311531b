import {
  hasNumberAfter,
  isForAdmins,
  type SignedStatement,
  type Standing,
} from '../../protocols/swarm/index.ts'
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
  added: readonly SignedStatement[]
  removed: readonly SignedStatement[]
  /** Peers that are out by it: another `out` than before holds of them, or nothing of whoever took part. */
  out: readonly Uint8Array[]
}

/** What a statement does, while it is done. */
class Change {
  readonly added = new Set<SignedStatement>()
  readonly removed = new Set<SignedStatement>()
  /** What held of each peer that it concerns, by its key. */
  readonly before = new Map<string, SignedStatement | undefined>()
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
  /** Whether there is room for everything. */
  #hasRoom = false

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
    const outcome = this.#judge(statement)
    const change = new Change()
    if (outcome === 'taken') this.#put(statement, change)
    return {
      outcome,
      added: [...change.added],
      removed: [...change.removed],
      out: [...change.before].flatMap(([peer, before]) => this.#outBy(peer, before)),
    }
  }

  /** Takes what was taken once: there was room for it, and what is void by now goes. The owner's words first: what admins said counts by them. */
  load(statements: readonly SignedStatement[]): void {
    this.#hasRoom = true
    const isOwner = ({ signer }: SignedStatement): boolean => hex(signer) === this.#swarm
    for (const statement of statements.filter(isOwner)) this.take(statement)
    for (const statement of statements.filter((one) => !isOwner(one))) this.take(statement)
    this.#hasRoom = false
  }

  /** Takes back what `take` has done, for whoever could not keep it. What waited for an appointment is to come again. */
  undo(changes: readonly Pick<Taken, 'added' | 'removed'>[]): void {
    for (const { added, removed } of changes.toReversed()) {
      this.#drop(added)
      for (const statement of removed) this.#hold(statement)
      for (const { subject } of [...added, ...removed]) this.#rule(hex(subject), new Change())
    }
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

  /** What holds of a peer once what `signer` has said is void. */
  rulingWithout(subject: Uint8Array, signer: Uint8Array): SignedStatement | undefined {
    return this.#best(this.#entries.get(hex(subject)), hex(signer))
  }

  /**
   * The number of the next statement about a peer. Without what `without` has said, whose words are about to be void.
   *
   * @returns undefined where the numbers are used up
   */
  nextNumber(subject: Uint8Array, speaker: 'owner' | 'admin', without?: Uint8Array): number | undefined {
    const entry = this.#entries.get(hex(subject))
    let highest = entry?.owner?.number ?? 0
    for (const [signer, { number }] of entry?.admins ?? [])
      if (without === undefined || signer !== hex(without)) highest = Math.max(highest, number)
    return hasNumberAfter(highest, speaker) ? highest + 1 : undefined
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
      // Of a row that was stored before this was a rule: it is judged here as everywhere.
      if (!isForAdmins(statement)) return 'refused'
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
    // However full the list is, the owner may speak of whomever an admin has spoken of: an admin that filled it is taken back so.
    if (this.#hasRoom || (isOwner && entry !== undefined)) return 'taken'
    const room = isOwner ? MAX_STATEMENTS : MAX_STATEMENTS - OWNER_RESERVE
    return this.#byId.size < room ? 'taken' : 'refused'
  }

  #put(statement: SignedStatement, change: Change): void {
    const subject = hex(statement.subject)
    const isOwner = hex(statement.signer) === this.#swarm
    const entry = this.#entries.get(subject)
    const before = isOwner ? entry?.owner : entry?.admins.get(hex(statement.signer))
    if (before !== undefined) this.#remove([before], change)
    this.#hold(statement)
    change.added.add(statement)
    if (isOwner && (before?.standing === 'admin' || statement.standing === 'admin'))
      this.#appointed(subject, statement, change)
    this.#rule(subject, change)
  }

  /** The owner has spoken of somebody who was an admin or is one now: what it said under an earlier appointment is void. */
  #appointed(subject: string, appointment: SignedStatement, change: Change): void {
    const ended = new Map<string, SignedStatement>()
    for (const [about, { admins }] of this.#entries) {
      const said = admins.get(subject)
      if (said !== undefined && said.under < appointment.number) ended.set(about, said)
    }
    this.#remove([...ended.values()], change)
    for (const about of ended.keys()) this.#rule(about, change)
    if (appointment.standing !== 'admin') return
    const said = [...this.#waiting.values()].filter(({ signer }) => hex(signer) === subject)
    for (const waiting of said) {
      // Under an appointment that is still to come: it goes on waiting.
      if (waiting.under > appointment.number) continue
      this.#waiting.delete(hex(waiting.id))
      if (this.#judge(waiting) === 'taken') this.#put(waiting, change)
    }
  }

  /** What the same statement has put in and removed was never there. */
  #remove(statements: readonly SignedStatement[], change: Change): void {
    this.#drop(statements)
    for (const statement of statements) if (!change.added.delete(statement)) change.removed.add(statement)
  }

  #hold(statement: SignedStatement): void {
    const subject = hex(statement.subject)
    const signer = hex(statement.signer)
    const entry = this.#entries.get(subject) ?? { owner: undefined, admins: new Map() }
    this.#entries.set(subject, entry)
    if (signer === this.#swarm) entry.owner = statement
    else entry.admins.set(signer, statement)
    this.#byId.set(hex(statement.id), statement)
    this.#ids.add(statement.id)
    this.#changes += 1
  }

  /** The caller rules of their subjects, which removes entries that are empty. */
  #drop(statements: readonly SignedStatement[]): void {
    for (const statement of statements) {
      const entry = this.#entries.get(hex(statement.subject))
      if (entry?.owner === statement) entry.owner = undefined
      else entry?.admins.delete(hex(statement.signer))
      this.#byId.delete(hex(statement.id))
    }
    this.#ids.delete(statements.map(({ id }) => id))
    this.#changes += statements.length
  }

  #rule(subject: string, { before }: Change): void {
    if (!before.has(subject)) before.set(subject, this.#rulings.get(subject))
    const best = this.#best(this.#entries.get(subject))
    if (best === undefined) {
      this.#rulings.delete(subject)
      this.#entries.delete(subject)
    } else this.#rulings.set(subject, best)
  }

  #best(entry: Entry | undefined, without?: string): SignedStatement | undefined {
    let best = entry?.owner
    // Of an admin the owner alone speaks.
    if (best?.standing === 'admin') return best
    for (const [signer, said] of entry?.admins ?? [])
      if (signer !== without && (best === undefined || outranks(said, best, this.#swarm))) best = said
    return best
  }

  #outBy(peer: string, before: SignedStatement | undefined): Uint8Array[] {
    const after = this.#rulings.get(peer)
    const isOut =
      after === undefined ? before?.standing !== 'out' : after.standing === 'out' && after !== before
    const { subject } = after ?? before ?? {}
    return isOut && subject !== undefined ? [subject] : []
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
