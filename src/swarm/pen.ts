import type { Signer } from '../../protocols/shared/ed25519.ts'
import { Pacer } from '../../protocols/shared/pacer.ts'
import { signStatement, type SignedStatement, type Standing } from '../../protocols/swarm/index.ts'
import { notAllowed, notAMember, notYourself, numbersUsedUp } from './errors.ts'
import { STATEMENTS_AT_ONCE } from './limits.ts'
import { type MemberList, peerText } from './list.ts'
import type { OwnerKey } from './owner-key.ts'
import type { Role } from './types.ts'

/**
 * Statements to be recorded in this order, each group in one transaction. They are signed as they are taken, so that thousands of them
 * hold up nobody; what breaks off between two groups can be begun again and comes to the same.
 */
export type Groups = AsyncIterable<SignedStatement[]>

interface Said {
  subject: Uint8Array
  standing: Standing
  name: string
  under: number
}

/** Writes statements in the name of this node: as the owner where it has the key, else as the admin that it is. */
export class Pen {
  readonly #list: MemberList
  readonly #node: Signer
  readonly #now: () => number
  #owner: OwnerKey | undefined

  constructor({ list, node, now }: { list: MemberList; node: Signer; now: () => number }) {
    this.#list = list
    this.#node = node
    this.#now = now
  }

  /** Undefined where this node has none, or one of another swarm. */
  get owner(): OwnerKey | undefined {
    const { swarm } = this.#list
    const key = this.#owner?.signer.publicKey
    return swarm !== undefined && key !== undefined && Buffer.compare(key, swarm.key) === 0
      ? this.#owner
      : undefined
  }

  hold(owner: OwnerKey | undefined): void {
    this.#owner = owner
  }

  /** Undefined on a node that is in no swarm. */
  role(): Role | undefined {
    const { swarm, self } = this.#list
    if (swarm === undefined) return undefined
    const standing = swarm.roster.standing(self)
    if (standing === undefined || standing === 'out') return 'out'
    return this.owner === undefined ? standing : 'owner'
  }

  /** @throws ERR_SWARM_POWER, ERR_SWARM_NUMBERS */
  write(what: string, subject: Uint8Array, standing: Standing, name: string): SignedStatement {
    const { swarm, self } = this.#list
    const under = swarm?.roster.appointment(self)
    if (this.owner === undefined && standing !== 'admin' && swarm !== undefined && under !== undefined) {
      if (swarm.roster.appointment(subject) !== undefined) throw notAllowed(what, 'the owner')
      return this.#sign(this.#node, { subject, standing, name, under })
    }
    return this.#asOwner(what, subject, standing, name, standing === 'admin' ? 'the owner' : 'an admin')
  }

  /**
   * What it takes to make somebody an admin, or a mere member.
   *
   * @throws ERR_SWARM_POWER, ERR_SWARM_MEMBER_UNKNOWN, ERR_SWARM_SELF, and ERR_SWARM_NUMBERS as it is taken
   */
  appoint(subject: Uint8Array, standing: 'member' | 'admin'): Groups {
    const what = standing === 'admin' ? 'making an admin' : 'taking an admin back'
    if (this.owner === undefined) throw notAllowed(what, 'the owner')
    const { ruling } = this.#member(subject)
    if (ruling.standing === standing) return this.#groups(NOBODY)
    const kept = standing === 'member' ? this.#adopt(subject, false) : NOBODY
    return this.#groups(kept, () => this.#asOwner(what, subject, standing, ruling.name, 'the owner'))
  }

  /**
   * What it takes to put somebody out; of an admin also what becomes of those it let in.
   *
   * @throws ERR_SWARM_POWER, ERR_SWARM_MEMBER_UNKNOWN, ERR_SWARM_SELF, and ERR_SWARM_NUMBERS as it is taken
   */
  revoke(subject: Uint8Array, withInvited: boolean): Groups {
    const what = 'putting a member out'
    const role = this.role()
    if (role !== 'owner' && role !== 'admin') throw notAllowed(what, 'an admin')
    const { ruling } = this.#member(subject)
    if (ruling.standing === 'admin' && this.owner === undefined) throw notAllowed(what, 'the owner')
    const kept = ruling.standing === 'admin' ? this.#adopt(subject, withInvited) : NOBODY
    return this.#groups(kept, () => this.write(what, subject, 'out', ruling.name))
  }

  /** One group after the other; the last word in one of its own, since what comes before it took a while. */
  async *#groups(
    kept: Iterable<SignedStatement | undefined>,
    last?: () => SignedStatement,
  ): AsyncGenerator<SignedStatement[], void> {
    const pacer = new Pacer()
    let group: SignedStatement[] = []
    for (const statement of kept) {
      if (statement !== undefined) group.push(statement)
      if (group.length >= STATEMENTS_AT_ONCE) {
        yield group
        group = []
      }
      await pacer.breathe()
    }
    if (group.length > 0) yield group
    if (last !== undefined) yield [last()]
  }

  #member(subject: Uint8Array): { ruling: SignedStatement } {
    const { swarm, self } = this.#list
    const ruling = swarm?.roster.ruling(subject)
    if (ruling === undefined || ruling.standing === 'out') throw notAMember(peerText(subject))
    if (Buffer.compare(subject, self) === 0) throw notYourself()
    return { ruling }
  }

  /**
   * With an admin goes what it said; the owner says the same in its place, so that whoever it let in stays and whoever it
   * put out stays out. With `withInvited` nobody stays by its word: where others let somebody in as well, the owner puts it out.
   */
  *#adopt(admin: Uint8Array, withInvited: boolean): Generator<SignedStatement | undefined, void> {
    const isOfAdmin = (ruling?: SignedStatement): boolean =>
      ruling !== undefined && Buffer.compare(ruling.signer, admin) === 0
    for (const { subject } of this.#list.swarm?.roster.rulings().filter(isOfAdmin) ?? []) {
      // The list goes on changing between two of them.
      const { roster } = this.#list.swarm ?? {}
      const ruling = roster?.ruling(subject)
      if (roster === undefined || ruling === undefined || !isOfAdmin(ruling)) continue
      const { name } = ruling
      const remaining = roster.rulingWithout(subject, admin)
      const standing = withInvited ? 'out' : ruling.standing
      const isSaid = withInvited
        ? remaining === undefined || remaining.standing === 'out'
        : remaining?.standing === standing && remaining.name === name
      yield isSaid ? undefined : this.#asOwner('this', subject, standing, name, 'the owner', admin)
    }
  }

  #asOwner(
    what: string,
    subject: Uint8Array,
    standing: Standing,
    name: string,
    needed: 'the owner' | 'an admin',
    without?: Uint8Array,
  ): SignedStatement {
    const { owner } = this
    if (owner === undefined) throw notAllowed(what, needed)
    return this.#sign(owner.signer, { subject, standing, name, under: 0 }, without)
  }

  #sign(signer: Signer, said: Said, without?: Uint8Array): SignedStatement {
    const { swarm } = this.#list
    const speaker = said.under === 0 ? 'owner' : 'admin'
    const number = swarm?.roster.nextNumber(said.subject, speaker, without)
    if (swarm === undefined || number === undefined) throw numbersUsedUp(peerText(said.subject))
    return signStatement(swarm.key, signer, { ...said, number, timeMs: this.#now() })
  }
}

const NOBODY: readonly SignedStatement[] = []

/** The first word in a swarm that is about to be: its owner makes an admin of its own node. */
export function firstWord(
  { signer }: OwnerKey,
  subject: Uint8Array,
  name: string,
  timeMs: number,
): SignedStatement {
  return signStatement(signer.publicKey, signer, {
    subject,
    standing: 'admin',
    number: 1,
    under: 0,
    timeMs,
    name,
  })
}
