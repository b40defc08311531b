/**
 * A private network: who belongs to it, how one comes in, and how one is put out.
 *
 * ```ts
 * const swarm = await createSwarm({ networkName, isPublic, state, identity, ownerKeyFile, house, networkKey, contacts, connect, isBlocked, log })
 * const trust = createTrust({ …, membership: swarm.membership })
 * const gossip = createGossip({ …, topics: [swarm.rules] })
 * await swarm.start({ gossip, convergence, reconcile })
 * const { token } = await swarm.invite({ name: 'laptop', standing: 'member', termMs: 3_600_000 })
 * ```
 *
 * Reading order: `types.ts` (the contract), `roster.ts` (what follows from what was signed), `list.ts`, `spread.ts` (how everybody
 * learns), `door.ts`, `admit.ts` and `joining.ts` (how one comes in), `pen.ts` (who may say what), `limits.ts` (every bound).
 */
import { hash, randomBytes } from 'node:crypto'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { ed25519Signer } from '../../protocols/shared/ed25519.ts'
import { formatInvitation, SECRET_BYTES, type SignedStatement } from '../../protocols/swarm/index.ts'
import type { TopicRules } from '../gossip/index.ts'
import {
  didFromPeerId,
  type Identity,
  phraseOf,
  type SecretFileOptions,
  secretOf,
} from '../identity/index.ts'
import type { Logger } from '../telemetry/types.ts'
import { keyOfPeer } from './address.ts'
import { admitter } from './admit.ts'
import { Contacts, type ContactsOptions } from './contacts.ts'
import { DoorKeeper, type House } from './door.ts'
import {
  invitationsFull,
  invitationUnknown,
  listFull,
  noSwarm,
  notAllowed,
  notAMember,
  otherOwner,
  ownerKeyKept,
  swarmExists,
  swarmPublic,
  termInvalid,
} from './errors.ts'
import { checkName, type JoiningOptions, knockAt, readInvitation } from './joining.ts'
import { MAX_ADMINS, MAX_INVITATIONS, MAX_INVITATIONS_KEPT, MAX_TERM_MS, MIN_TERM_MS } from './limits.ts'
import { MemberList, peerText } from './list.ts'
import { loadOwnerKey, type OwnerKey, ownerKey, storeOwnerKey } from './owner-key.ts'
import { firstWord, type Groups, Pen } from './pen.ts'
import { hex } from './roster.ts'
import { Spread, type SpreadServices } from './spread.ts'
import type { InvitationRow, SwarmState } from './store.ts'
import type { InvitationSummary, Member, Membership, SwarmService } from './types.ts'

export type { House, OpenDoor } from './door.ts'
export { ADDRESSES_PER_CONTACT, CONTACT_PEERS, DEFAULT_TERM_MS } from './limits.ts'
export type * from './types.ts'

/** The pre-shared key of the network (docs/operations/swarms.md), which has a file of its own. */
export interface NetworkKey {
  /** Whether this node's connections are under it. */
  readonly isOn: boolean
  read(): Promise<Uint8Array | undefined>
  /** Writes it where there is none; makes one where none is given. @throws ERR_NETWORK_KEY_OTHER */
  store(key?: Uint8Array): Promise<void>
}

export interface SwarmOptions {
  networkName: string
  /** Whether the node is on the open network. */
  isPublic: boolean
  state: SwarmState
  identity: Pick<Identity, 'privateKey' | 'peerId'>
  /** HOME/swarm-owner.key. */
  ownerKeyFile: SecretFileOptions
  house: House
  networkKey: NetworkKey
  /** Where this node and other members are reached, each ending in a peer id. */
  contacts: () => Promise<Multiaddr[]>
  /** Connects to a peer by whichever of its addresses answers, and resolves with its id. */
  connect: ContactsOptions['connect']
  /** Whether the operator has blocked a peer. */
  isBlocked: (peer: string) => boolean
  log: Logger
  /** Milliseconds since the Unix epoch; tests pass their own. */
  now?: () => number
}

export interface Swarm extends SwarmService {
  readonly membership: Membership
  /** What gossip must be told when it is built. */
  readonly rules: TopicRules
  /** Asks members once about a peer that is not known; resolves when that is over. */
  refresh(peer: string): Promise<void>
  /** Where members were when this node joined. */
  contacts(): string[]
  start(services: SpreadServices): Promise<void>
  stop(): Promise<void>
}

/** @throws ERR_SWARM_PUBLIC for a member of a swarm on the open network, ERR_SWARM_KEY_…, ERR_PASSPHRASE_… */
export async function createSwarm(options: SwarmOptions): Promise<Swarm> {
  const { networkName, state, identity, ownerKeyFile, house, networkKey, now = Date.now } = options
  const log = options.log.child({ part: 'swarm' })
  const self = identity.peerId.publicKey.raw
  const list = new MemberList({ state, self, log, now })
  if (list.swarm !== undefined && options.isPublic) throw swarmPublic()
  const node = ed25519Signer(identity.privateKey.raw.subarray(0, self.length))
  const pen = new Pen({ list, node, now })
  pen.hold(await loadOwnerKey(ownerKeyFile))
  const spread = new Spread({ list, log, now })
  const admit = admitter({
    list,
    pen,
    isBlocked: options.isBlocked,
    contacts: options.contacts,
    networkKey: () => networkKey.read(),
    async onAdmitted(statement) {
      keeper.lingers()
      await spread.tell([statement])
    },
    log,
    now,
  })
  const keeper = new DoorKeeper({ house, store: list.store, networkName, admit, log, now })
  const contacts = new Contacts({ connect: options.connect, isConnected: () => spread.hasPeers(), log })
  const joining: JoiningOptions = { house, networkName, self, now }

  let turn: Promise<unknown> = Promise.resolve()

  function current(): NonNullable<MemberList['swarm']> {
    if (list.swarm === undefined) throw noSwarm()
    return list.swarm
  }

  /** @throws ERR_SWARM_EXISTS, ERR_SWARM_PUBLIC */
  function checkFree(): void {
    if (options.isPublic) throw swarmPublic()
    if (list.swarm !== undefined && pen.role() !== 'out') throw swarmExists(didOf(list.swarm.key))
  }

  /** @throws ERR_SWARM_NONE, ERR_SWARM_MEMBER_UNKNOWN */
  function subjectOf(peer: string): Uint8Array {
    current()
    const key = keyOfPeer(peer)
    if (key === undefined) throw notAMember(peer)
    return key
  }

  async function say(groups: Groups | readonly SignedStatement[][]): Promise<number> {
    const said: SignedStatement[] = []
    for await (const statements of groups) {
      await list.record(statements)
      said.push(...statements)
    }
    return spread.tell(said)
  }

  /**
   * The owner's key for a swarm that is about to be. A key that is kept is used where its swarm never came to be, since making it was cut off;
   * any other may be the only copy.
   *
   * @throws ERR_SWARM_KEY_KEPT, ERR_SWARM_KEY_…
   */
  async function keyForNew(): Promise<OwnerKey> {
    const kept = await loadOwnerKey(ownerKeyFile)
    if (kept !== undefined) {
      const { publicKey } = kept.signer
      const isOf = (key: Uint8Array | undefined): boolean => key !== undefined && hex(key) === hex(publicKey)
      const isUnused = isOf(list.store.planned()) || (isOf(list.swarm?.key) && list.swarm?.roster.size === 0)
      if (!isUnused) throw ownerKeyKept(ownerKeyFile.path)
      return kept
    }
    const owner = ownerKey()
    await state.write(() => list.store.plan(owner.signer.publicKey))
    await storeOwnerKey(owner, ownerKeyFile)
    return owner
  }

  function memberOf(ruling: SignedStatement): Member {
    const { key } = current()
    const peer = peerText(ruling.subject)
    return {
      peer,
      did: didOf(ruling.subject),
      standing: ruling.standing,
      name: ruling.name,
      sinceMs: ruling.timeMs,
      by: hex(ruling.signer) === hex(key) ? null : peerText(ruling.signer),
      self: peer === identity.peerId.toString(),
    }
  }

  /** One after the other: each looks at what there is and then changes it. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = turn.then(work)
    turn = next.catch(() => {})
    return next
  }

  const service: SwarmService = {
    status() {
      const role = pen.role()
      if (role === undefined) return null
      const { key, roster } = current()
      return {
        swarm: didOf(key),
        network: networkName,
        role,
        members: roster.rulings().filter(({ standing }) => standing !== 'out').length,
        version: roster.version(),
        invitations: list.store.countOpen(now()),
        door: keeper.addresses().map(String),
        networkKey: networkKey.isOn,
      }
    },

    membershipOf(peer) {
      if (list.swarm === undefined) return null
      if (peer === identity.peerId.toString() && pen.role() === 'owner') return 'owner'
      const key = keyOfPeer(peer)
      const standing = key === undefined ? undefined : list.swarm.roster.standing(key)
      return standing === 'out' ? 'revoked' : (standing ?? 'none')
    },

    async create({ name, withNetworkKey }) {
      checkName(name)
      checkFree()
      const owner = await keyForNew()
      if (withNetworkKey) await networkKey.store()
      const first = firstWord(owner, self, name, now())
      await list.begin(owner.signer.publicKey, [first], [], () => list.store.plan(null))
      pen.hold(owner)
      spread.follow()
      return {
        swarm: didOf(owner.signer.publicKey),
        phrase: phraseOf(owner.seed),
        restart: withNetworkKey && !networkKey.isOn,
      }
    },

    async invite({ name, standing, termMs }) {
      current()
      checkName(name)
      const role = pen.role()
      if (role !== 'owner' && role !== 'admin') throw notAllowed('an invitation', 'an admin')
      if (standing === 'admin' && role !== 'owner') throw notAllowed('inviting an admin', 'the owner')
      if (!(termMs >= MIN_TERM_MS && termMs <= MAX_TERM_MS)) throw termInvalid(MIN_TERM_MS, MAX_TERM_MS)
      if (standing === 'admin') checkAdmins()
      if (list.store.countOpen(now()) >= MAX_INVITATIONS) throw invitationsFull(MAX_INVITATIONS)
      await keeper.open()
      const secret = randomBytes(SECRET_BYTES)
      const digest = hash('sha256', secret, 'buffer')
      const id = hex(digest.subarray(0, 8))
      const createdMs = now()
      const expiresMs = createdMs + termMs
      const row = { id, digest, name, standing, created_ms: createdMs, expires_ms: expiresMs }
      try {
        await list.record([], () => list.store.addInvitation(row, MAX_INVITATIONS_KEPT))
      } finally {
        await keeper.check()
      }
      const token = formatInvitation({
        swarm: current().key,
        door: house.doorKey,
        addresses: keeper.addresses(),
        secret,
        expiresMs,
        network: networkName,
      })
      return { token, id, expiresMs, addresses: keeper.addresses().map(String) }
    },

    invitations: () => list.store.invitations(MAX_INVITATIONS_KEPT).map((row) => summaryOf(row, now())),

    async withdraw(id) {
      let isFound = false
      await list.record([], () => (isFound = list.store.withdraw(id, now())))
      if (!isFound) throw invitationUnknown(id)
      await keeper.check()
    },

    async join(token, name, signal) {
      checkName(name)
      checkFree()
      const invitation = readInvitation(token, joining)
      const { welcome, standing, members } = await knockAt(invitation, name, joining, signal)
      if (welcome.networkKey !== undefined) await networkKey.store(welcome.networkKey)
      const addresses = welcome.contacts.map(String)
      await list.begin(invitation.swarm, welcome.statements, addresses)
      spread.follow()
      const restart = welcome.networkKey !== undefined && !networkKey.isOn
      const connected = restart ? null : await contacts.reach(addresses, signal)
      return { swarm: didOf(invitation.swarm), standing, members, connected, restart }
    },

    members({ all }) {
      const { roster } = current()
      return roster
        .rulings()
        .filter(({ standing }) => all || standing !== 'out')
        .toSorted((a, b) => a.timeMs - b.timeMs || Buffer.compare(a.subject, b.subject))
        .map(memberOf)
    },

    async appoint(peer, standing) {
      const subject = subjectOf(peer)
      const groups = pen.appoint(subject, standing)
      const { roster } = current()
      if (standing === 'admin' && roster.standing(subject) !== 'admin') checkAdmins()
      await say(groups)
      const ruling = roster.ruling(subject)
      if (ruling === undefined) throw notAMember(peer)
      return memberOf(ruling)
    },

    async revoke(peer, { withInvited }) {
      const subject = subjectOf(peer)
      const groups = pen.revoke(subject, withInvited)
      const { roster } = current()
      const isIn = (key: Uint8Array): boolean => (roster.standing(key) ?? 'out') !== 'out'
      // An admin takes along whom it let in, where the owner does not keep them.
      const byIt = roster.rulings().filter(({ signer }) => Buffer.compare(signer, subject) === 0)
      const concerned = [...byIt.map(({ subject }) => subject), subject].filter(isIn)
      const told = await say(groups)
      return { revoked: concerned.filter((key) => !isIn(key)).map((key) => list.peerOf(key)), told }
    },

    async leave() {
      current()
      contacts.stop()
      await list.forget()
      spread.follow()
      await keeper.check()
    },

    phrase() {
      current()
      if (pen.owner === undefined) throw notAllowed("showing the owner's words", 'the owner')
      return phraseOf(pen.owner.seed)
    },

    async recover(phrase) {
      const { key, roster } = current()
      const owner = ownerKey(secretOf(phrase))
      if (hex(owner.signer.publicKey) !== hex(key)) throw otherOwner()
      await storeOwnerKey(owner, ownerKeyFile)
      pen.hold(owner)
      if (roster.standing(self) !== 'admin')
        await say([[pen.write('recovering', self, 'admin', roster.ruling(self)?.name ?? '')]])
      const status = service.status()
      if (status === null) throw noSwarm()
      return status
    },
  }

  /** @throws ERR_SWARM_FULL */
  function checkAdmins(): void {
    const admins = current()
      .roster.rulings()
      .filter(({ standing }) => standing === 'admin')
    if (admins.length >= MAX_ADMINS) throw listFull(MAX_ADMINS)
  }

  return {
    ...service,
    create: (given) => inTurn(() => service.create(given)),
    invite: (given) => inTurn(() => service.invite(given)),
    join: (...given) => inTurn(() => service.join(...given)),
    appoint: (...given) => inTurn(() => service.appoint(...given)),
    revoke: (...given) => inTurn(() => service.revoke(...given)),
    leave: () => inTurn(() => service.leave()),
    recover: (phrase) => inTurn(() => service.recover(phrase)),
    membership: list,
    rules: spread.rules,
    refresh: (peer) => spread.refresh(peer),
    contacts: () => (list.swarm === undefined ? [] : list.store.contacts()),
    async start(services) {
      spread.start(services)
      await keeper.check()
    },
    async stop() {
      contacts.stop()
      spread.stop()
      await keeper.stop()
    },
  }
}

function didOf(key: Uint8Array): string {
  return didFromPeerId(peerIdFromPublicKey(publicKeyFromRaw(key))) ?? ''
}

function summaryOf(row: InvitationRow, nowMs: number): InvitationSummary {
  return {
    id: row.id,
    name: row.name,
    standing: row.standing,
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
    state: row.used_ms !== null ? 'used' : row.expires_ms > nowMs ? 'open' : 'expired',
    usedBy: row.used_by,
  }
}
