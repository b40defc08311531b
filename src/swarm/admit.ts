import { hash } from 'node:crypto'
import type { Multiaddr } from '@multiformats/multiaddr'
import { Status } from '../../protocols/shared/status.ts'
import { type Admit, MAX_CONTACTS, type SignedStatement, type Welcome } from '../../protocols/swarm/index.ts'
import type { Logger } from '../telemetry/types.ts'
import { keyOfAddress } from './address.ts'
import { type MemberList, peerText } from './list.ts'
import type { Pen } from './pen.ts'
import type { InvitationRow } from './store.ts'

export interface AdmitterOptions {
  list: MemberList
  pen: Pen
  /** Whether the operator has blocked a peer. */
  isBlocked: (peer: string) => boolean
  /** Where this node and other members are reached. */
  contacts: () => Promise<Multiaddr[]>
  networkKey: () => Promise<Uint8Array | undefined>
  /** Called with what was said of a newcomer, before it hears that it is welcome. */
  onAdmitted: (statement: SignedStatement) => Promise<void>
  log: Logger
  now: () => number
}

/** Answers whoever knocks with a secret. */
export function admitter(options: AdmitterOptions): Admit {
  const { list, pen, isBlocked, contacts, networkKey, onAdmitted, log, now } = options

  return async (subject, { secret, name }) => {
    const peer = peerText(subject)
    const digest = hash('sha256', secret, 'buffer')
    const invitation = list.store.invitation(digest)
    if (invitation === undefined || !mayUse(invitation, subject, peer)) {
      log.debug({ peer, invitation: invitation?.id ?? null }, 'a knock was refused')
      return { status: Status.refused }
    }
    try {
      const statement = await record(digest, invitation, subject, peer, name)
      if (statement === 'refused') return { status: Status.refused }
      if (statement !== undefined) {
        log.info({ peer, invitation: invitation.id }, 'a new member has come')
        await onAdmitted(statement)
      }
      return { status: Status.ok, welcome: await welcomeOf(subject) }
    } catch (error) {
      log.warn({ peer, err: error }, 'an invitation could not be honoured')
      return { status: Status.failed }
    }
  }

  function mayUse(invitation: InvitationRow, subject: Uint8Array, peer: string): boolean {
    const ruling = list.swarm?.roster.ruling(subject)
    // The same peer asks again where it did not hear the answer, and as long as it was not put out since.
    if (invitation.used_by !== null)
      return invitation.used_by === peer && ruling !== undefined && ruling.standing !== 'out'
    // Whoever was put out does not come back by an invitation that it had before, whatever clocks say of the two.
    const outAt = list.store.outAt(subject) ?? (ruling?.standing === 'out' ? 0 : undefined)
    const wasOutSince = outAt !== undefined && outAt >= invitation.made_before
    return invitation.expires_ms > now() && !wasOutSince && !isBlocked(peer)
  }

  /** Uses the invitation up and makes the peer a member, both or neither. */
  async function record(
    digest: Uint8Array,
    invitation: InvitationRow,
    subject: Uint8Array,
    peer: string,
    name: string,
  ): Promise<SignedStatement | 'refused' | undefined> {
    if (invitation.used_by !== null) return undefined
    const standing = list.swarm?.roster.standing(subject)
    // An invitation never takes anything from whoever uses it.
    const isEnough = standing === 'admin' || standing === invitation.standing
    const statement = isEnough
      ? undefined
      : pen.write('an invitation', subject, invitation.standing, name === '' ? invitation.name : name)
    let isOurs = true
    await list
      .record(statement === undefined ? [] : [statement], () => {
        // Two knocks with the same secret at the same time: one of them is first.
        isOurs = list.store.invitation(digest)?.used_ms === null
        if (!isOurs) throw new Error('the invitation was used meanwhile')
        list.store.useInvitation(digest, peer, now())
      })
      .catch((error: unknown) => {
        if (isOurs) throw error
      })
    return isOurs ? statement : 'refused'
  }

  async function welcomeOf(subject: Uint8Array): Promise<Welcome> {
    const roster = list.swarm?.roster
    const addresses = (await contacts()).slice(0, MAX_CONTACTS)
    const admins = roster?.rulings().filter(({ standing }) => standing === 'admin') ?? []
    const others = addresses.map((address) => {
      const key = keyOfAddress(address)
      return key === undefined ? undefined : roster?.ruling(key)
    })
    const key = await networkKey()
    return {
      // By what admins are the rest is judged: they come before it.
      statements: [...new Set([roster?.ruling(subject), ...admins, ...others])].filter(
        (statement) => statement !== undefined,
      ),
      contacts: addresses,
      ...(key === undefined ? {} : { networkKey: key }),
    }
  }
}
