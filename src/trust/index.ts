import { CID } from 'multiformats/cid'
import type { Logger } from '../telemetry/types.ts'
import type {
  Action,
  ContentPolicy,
  ContentUse,
  Decision,
  EvidenceKind,
  NamedContent,
  Subject,
  Trust,
} from './contract.ts'
import { createDenylist, type Denylist } from './denylist/index.ts'
import { scoreInvalid } from './errors.ts'
import type { EvidenceQuery, EvidenceRow, TrustState } from './ledger.ts'
import type { AuditReport } from './chain.ts'
import { banFor } from './bans.ts'
import { explain, type PeerReport } from './explain.ts'
import { openLedger } from './ledger.ts'
import { createHearsay } from './hearsay.ts'
import type { ListEntry } from './lists.ts'
import { openPeerLists } from './lists.ts'
import { evidenceAt, isProvenAt, type Views, viewsAt } from './model/account.ts'
import { SUMS, WEIGHTS } from './model/weights.ts'
import { openHeard } from './recommend/heard.ts'
import type { HeardSigned, Seen } from './recommend/types.ts'
import { openScorekeeper, type PeerAccount } from './scores.ts'
import { parsePeer } from './subject.ts'
import { type Measure, measured, reaches, RULES, type Thresholds } from './thresholds.ts'

export type { AuditReport } from './chain.ts'
export type { PeerReport } from './explain.ts'
export type { EvidenceQuery, EvidenceRow } from './ledger.ts'
export type { ListEntry } from './lists.ts'
export { parsePeer } from './subject.ts'
export type { Thresholds } from './thresholds.ts'

export type DenialReason = Extract<Decision, { allowed: false }>['reason']

export interface TrustOptions {
  state: TrustState
  log: Logger
  networkName: string
  /** Least scores, by what they are for; without them nobody is refused for a score. */
  thresholds?: Thresholds
  /** Who belongs to the private network; without it, or while it admits everybody, nobody is refused for not belonging. */
  membership?: {
    admits(peer: string): boolean
    /** Calls back when somebody came or went. */
    onChange(listener: () => void): void
  }
  /** Content that nobody is given, beside what is blocked here; by default there is none. */
  denylist?: Denylist
  /** Milliseconds since the Unix epoch; tests pass their own. */
  now?: () => number
}

/** The contract of trust, and what an operator does with it. */
export interface TrustService extends Trust, ContentPolicy {
  /** Whether connections with this address (text form of an IP address) are refused, whoever is behind it. */
  decideAddress(address: string, family: 'ipv4' | 'ipv6'): Decision
  /**
   * Refuses everything from and to a peer (peer id or `did:key`), an IP address or a range of them, from now on and
   * after a restart. Listeners of `onChange` drop the connections that are open. Content (`/ipfs/CID`) is given to nobody any more.
   *
   * @throws ERR_PEER_INVALID, ERR_LIST_FULL
   */
  block(subject: string, reason?: string): ListEntry
  /** False where it was not blocked. @throws ERR_PEER_INVALID */
  unblock(subject: string): boolean
  /** An allow list that is not empty admits its members only. @throws ERR_PEER_INVALID, ERR_LIST_FULL */
  allow(peer: string, reason?: string): ListEntry
  /** False where it was not on the list. @throws ERR_PEER_INVALID */
  disallow(peer: string): boolean
  /** Oldest entry first. */
  list(): { blocked: ListEntry[]; allowed: ListEntry[] }
  /** Stored evidence in the order it came, at most `limit` rows a page. @throws ERR_PEER_INVALID */
  evidence(query?: EvidenceQuery): { evidence: EvidenceRow[]; nextAfterId: number | null }
  /** What is known of a peer, and what follows from it, term by term. @throws ERR_PEER_INVALID */
  explain(peer: string): PeerReport
  /** Everybody of whom something is known, by peer id; `afterPeer` continues a page. */
  peers(query?: { limit?: number; afterPeer?: string }): { peers: PeerReport[]; nextAfterPeer: string | null }
  /**
   * What the operator says that a peer is worth, instead of the model and until it is taken back with null. Ends a ban.
   *
   * @throws ERR_PEER_INVALID, ERR_SCORE_INVALID
   */
  setScore(peer: string, score: number | null): PeerReport
  /** Checks that no stored evidence was changed, taken out or put in. @throws the signal's reason */
  audit(signal: AbortSignal): Promise<AuditReport>
  /** What was seen of a peer, without what others say; the operator's word where there is one. */
  seen(peer: string): Seen
  /** Whether what a peer says of others counts: by what was seen of it alone. */
  isHeard(peer: string): boolean
  /** Counts what others said from now on, if it is newer than what they said before; how many were. */
  hear(all: readonly HeardSigned[]): number
  /** Calls back with peers of whom something was seen, and whether they were just banned for it; returns the function that ends it. */
  onSeen(listener: (peer: string, isBanned: boolean) => void): () => void
  /** How often what was refused for which reason since start: `{ dial: { 'deny-list': 3 } }`. */
  denials(): Denials
  /** Reports that could not be kept since start. */
  droppedEvidence(): number
  /** Calls back when a list has changed, so that what is no longer allowed can be ended; returns the function that ends it. */
  onChange(listener: () => void): () => void
  start(): void
  /** Writes what is queued. */
  stop(): void
}

type Denials = Partial<Record<Action | ContentUse, Partial<Record<DenialReason, number>>>>

const ALLOWED: Decision = Object.freeze({ allowed: true })
const DENY_LIST: Decision = Object.freeze({ allowed: false, reason: 'deny-list' })
const BANNED: Decision = Object.freeze({ allowed: false, reason: 'banned' })
const NOT_A_MEMBER: Decision = Object.freeze({ allowed: false, reason: 'not-a-member' })
const LOW_SCORE: Decision = Object.freeze({ allowed: false, reason: 'score' })
const CONTENT_DENIED: Decision = Object.freeze({ allowed: false, reason: 'content-deny-list' })
const NOT_ON_ALLOW_LIST: Decision = Object.freeze({ allowed: false, reason: 'not-on-allow-list' })

/**
 * Policy out of two lists, the private network's members and the scores of peers, which follow from the evidence; all of it in the
 * state database. What an operator has listed beats what was seen: a blocked peer is refused and one on the allow list admitted,
 * whatever its score. Nothing makes up for not being a member.
 *
 * `decide` takes peers in the text form that `PeerId.toString()` gives, as the contract says: it is asked for every
 * message and does not parse.
 */
export function createTrust(options: TrustOptions): TrustService {
  const { state, log, networkName, thresholds, membership, now = Date.now } = options
  const denylist = options.denylist ?? createDenylist()
  const partLog = log.child({ part: 'trust', network: networkName })
  const lists = openPeerLists(state.db, now)
  const scores = openScorekeeper(state, now)
  const ledger = openLedger({ state, log: partLog, now, companion: scores })
  const denials: Denials = {}
  denylist.setOwn(blockedContent())
  const listeners = new Set<() => void>()
  const watchers = new Set<(peer: string, isBanned: boolean) => void>()
  const heard = openHeard(state)
  const hearsay = createHearsay({
    heard,
    standing: (author, nowMs) =>
      judge(author, 'recommend').allowed ? measured(scores.views(author, nowMs), 'score') : 0,
  })

  /** What the operator blocked by command, as rules. */
  function blockedContent(): string[] {
    return lists.entries('block').flatMap(({ peer }) => (peer.startsWith('/') ? [peer] : []))
  }

  function isDenied(content: NamedContent): boolean {
    if ('name' in content) return denylist.deniesName(content.name, content.path)
    const { cid, path = [] } = content
    return path.length === 0 ? denylist.deniesCid(cid) : denylist.deniesPath(cid, path)
  }

  function isDeniedSubject({ cid, path = [] }: Subject): boolean {
    if (cid === undefined) return false
    return denylist.deniesText(cid) || (path.length > 0 && denylist.deniesPath(CID.parse(cid), path))
  }

  function count(action: Action | ContentUse, decision: Decision): Decision {
    if (!decision.allowed) {
      const ofAction = (denials[action] ??= {})
      ofAction[decision.reason] = (ofAction[decision.reason] ?? 0) + 1
    }
    return decision
  }

  function judge(peer: string, action: Action): Decision {
    if (lists.has('block', peer)) {
      return DENY_LIST
    }
    if (membership?.admits(peer) === false) {
      return NOT_A_MEMBER
    }
    if (!lists.isEmpty('allow')) {
      return lists.has('allow', peer) ? ALLOWED : NOT_ON_ALLOW_LIST
    }
    if (thresholds === undefined) {
      return ALLOWED
    }
    const nowMs = now()
    const views = scores.views(peer, nowMs)
    if (isBanned(peer, nowMs)) {
      return BANNED
    }
    const { threshold, measure, isSeenOnly } = RULES[action]
    const value = measured(isSeenOnly === true ? views : withHearsay(peer, views, measure, nowMs), measure)
    return reaches(value, thresholds[threshold]) ? ALLOWED : LOW_SCORE
  }

  /** What is kept for others stands on what was seen alone, and what the operator said on nothing else. */
  function withHearsay(peer: string, seen: Views, measure: Measure, nowMs: number): Views {
    if (measure === 'storage' || !heard.has(peer)) return seen
    const entry = scores.find(peer)
    return entry !== undefined && entry.override !== null ? seen : hearsay.added(peer, seen, entry, nowMs)
  }

  /** Whoever was asked for its views is in memory. */
  function isBanned(peer: string, nowMs: number): boolean {
    const ban = scores.remembered(peer)?.ban
    return ban !== undefined && ban !== null && nowMs < ban.untilMs
  }

  function noted(peer: string, kind: EvidenceKind, atMs: number): void {
    const entry = scores.note(peer, kind, atMs)
    const isBanned = bannedFor(entry, kind, atMs)
    for (const watcher of watchers) watcher(peer, isBanned)
  }

  /** Shuts out for a time who has fallen below what a connection asks for: scores rise again with time alone. */
  function bannedFor(entry: PeerAccount, kind: EvidenceKind, atMs: number): boolean {
    const { peer } = entry
    if (thresholds === undefined || SUMS[WEIGHTS[kind].sum].sign > 0 || entry.override !== null) {
      return false
    }
    // By what was seen alone: nobody is shut out for what others say.
    if (isBanned(peer, atMs) || reaches(viewsAt(entry.account, atMs).honesty, thresholds.connect)) {
      return false
    }
    entry.ban = banFor(entry.ban, atMs)
    scores.changed(entry)
    // Whoever reports is in the midst of something, which a listener may end together with the connection.
    queueMicrotask(() => changed('no longer trusted', { peer }))
    return true
  }

  function reportOf(peer: string): PeerReport {
    const entry = scores.find(peer)
    const listed = lists.has('block', peer) ? 'blocked' : lists.has('allow', peer) ? 'allowed' : null
    const nowMs = now()
    const said = hearsay.explain(peer, entry, nowMs)
    const allows = (action: Action): boolean => judge(peer, action).allowed
    return explain({ peer, entry, listed, thresholds, allows, said, nowMs })
  }

  function changed(what: string, entry: { peer: string }): void {
    partLog.info({ peer: entry.peer }, what)
    tellListeners()
  }

  function tellListeners(): void {
    hearsay.changed()
    for (const listener of listeners) guarded(listener)()
  }

  function guarded(listener: () => void): () => void {
    return () => {
      try {
        listener()
      } catch (error) {
        partLog.error({ err: error }, 'a listener of the lists failed')
      }
    }
  }

  membership?.onChange(tellListeners)

  return {
    decide: (peer, action, subject = {}) =>
      count(action, isDeniedSubject(subject) ? CONTENT_DENIED : judge(peer, action)),
    decideContent: (use, content) => count(use, isDenied(content) ? CONTENT_DENIED : ALLOWED),
    onContentChange: (listener) => denylist.onChange(guarded(listener)),
    decideAddress: (address, family) =>
      count('accept', lists.blocksAddress(address, family) ? DENY_LIST : ALLOWED),
    report(peer, kind, detail) {
      ledger.report(peer, kind, detail)
      try {
        noted(peer, kind, now())
      } catch (error) {
        partLog.warn({ err: error, peer, kind }, 'evidence did not reach the score')
      }
    },
    isProven(peer) {
      const nowMs = now()
      scores.views(peer, nowMs)
      const entry = scores.remembered(peer)
      return entry !== undefined && (entry.override !== null || isProvenAt(entry.account, nowMs))
    },
    score(peer, purpose) {
      const nowMs = now()
      const measure = purpose ?? 'score'
      return measured(withHearsay(peer, scores.views(peer, nowMs), measure, nowMs), measure)
    },

    block(subject, reason) {
      const entry = lists.add('block', subject, reason)
      denylist.setOwn(blockedContent())
      changed('blocked', entry)
      return entry
    },
    unblock(subject) {
      const removed = lists.remove('block', subject)
      denylist.setOwn(blockedContent())
      if (removed) {
        changed('unblocked', { peer: subject })
      }
      return removed
    },
    allow(peer, reason) {
      const entry = lists.add('allow', peer, reason)
      changed('allowed', entry)
      return entry
    },
    disallow(peer) {
      const removed = lists.remove('allow', peer)
      if (removed) {
        changed('no longer allowed', { peer })
      }
      return removed
    },
    list: () => ({ blocked: lists.entries('block'), allowed: lists.entries('allow') }),
    evidence: ({ peer, ...page } = {}) =>
      ledger.page(peer === undefined ? page : { ...page, peer: parsePeer(peer) }),
    explain: (peer) => reportOf(parsePeer(peer)),
    peers({ limit = 100, afterPeer = '' } = {}) {
      const page = scores.page({ limit, afterPeer })
      return {
        peers: page.map(({ peer }) => reportOf(peer)),
        nextAfterPeer: page.length === limit ? (page.at(-1)?.peer ?? null) : null,
      }
    },
    setScore(peer, score) {
      if (score !== null && !(score >= 0 && score <= 1)) {
        throw scoreInvalid(score)
      }
      const name = parsePeer(peer)
      scores.set(name, score, now())
      changed(score === null ? 'scored by what was seen' : 'scored by hand', { peer: name })
      return reportOf(name)
    },
    audit: (signal) => ledger.audit(signal),
    denials: () => structuredClone(denials),
    droppedEvidence: () => ledger.dropped(),
    seen(peer) {
      const nowMs = now()
      const entry = scores.find(peer)
      const { honesty, reliability } = scores.views(peer, nowMs)
      const evidence = entry === undefined ? 0 : evidenceAt(entry.account, nowMs)
      return { honesty, reliability, evidence, isSetByHand: (entry?.override ?? null) !== null }
    },
    isHeard: (peer) => judge(peer, 'recommend').allowed,
    hear(all) {
      heard.forgetOld(now())
      const taken = heard.take(all)
      if (taken > 0) hearsay.changed()
      return taken
    },
    onSeen(listener) {
      watchers.add(listener)
      return () => watchers.delete(listener)
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    start: () => ledger.start(),
    stop: () => ledger.stop(),
  }
}
