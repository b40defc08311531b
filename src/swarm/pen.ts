import type { Signer } from '../../protocols/shared/ed25519.ts'
import { signStatement, type SignedStatement, type Standing } from '../../protocols/swarm/index.ts'
import { notAllowed, notAMember, notYourself, numbersUsedUp } from './errors.ts'
import { type MemberList, peerText } from './list.ts'
import type { OwnerKey } from './owner-key.ts'
import type { Role } from './types.ts'

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
   * @throws ERR_SWARM_POWER, ERR_SWARM_MEMBER_UNKNOWN, ERR_SWARM_SELF, ERR_SWARM_NUMBERS
   */
  appoint(subject: Uint8Array, standing: 'member' | 'admin'): SignedStatement[] {
    const what = standing === 'admin' ? 'making an admin' : 'taking an admin back'
    if (this.owner === undefined) throw notAllowed(what, 'the owner')
    const { ruling } = this.#member(subject)
    if (ruling.standing === standing) return []
    const kept = standing === 'member' ? this.#adopt(subject, false) : []
    return [...kept, this.#asOwner(what, subject, standing, ruling.name, 'the owner')]
  }

  /**
   * What it takes to put somebody out; of an admin also what becomes of those it let in.
   *
   * @throws ERR_SWARM_POWER, ERR_SWARM_MEMBER_UNKNOWN, ERR_SWARM_SELF, ERR_SWARM_NUMBERS
   */
  revoke(subject: Uint8Array, withInvited: boolean): SignedStatement[] {
    const what = 'putting a member out'
    const role = this.role()
    if (role !== 'owner' && role !== 'admin') throw notAllowed(what, 'an admin')
    const { ruling } = this.#member(subject)
    const kept =
      ruling.standing === 'admin' && this.owner !== undefined ? this.#adopt(subject, withInvited) : []
    return [...kept, this.write(what, subject, 'out', ruling.name)]
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
   * put out stays out. With `withInvited` the former go too.
   */
  #adopt(admin: Uint8Array, withInvited: boolean): SignedStatement[] {
    const rulings = this.#list.swarm?.roster.rulings() ?? []
    return rulings
      .filter(({ signer }) => Buffer.compare(signer, admin) === 0)
      .map(({ subject, standing, name }) =>
        this.#asOwner('this', subject, withInvited ? 'out' : standing, name, 'the owner', admin),
      )
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

  #sign(
    signer: Signer,
    said: { subject: Uint8Array; standing: Standing; name: string; under: number },
    without?: Uint8Array,
  ): SignedStatement {
    const { swarm } = this.#list
    const number = swarm?.roster.nextNumber(said.subject, without)
    if (swarm === undefined || number === undefined) throw numbersUsedUp(peerText(said.subject))
    return signStatement(swarm.key, signer, { ...said, number, timeMs: this.#now() })
  }
}
