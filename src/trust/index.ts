import type { Logger } from '../telemetry/types.ts'
import type { Action, Decision, Trust } from './contract.ts'
import type { EvidenceQuery, EvidenceRow, TrustState } from './ledger.ts'
import { openLedger } from './ledger.ts'
import type { ListEntry } from './lists.ts'
import { openPeerLists } from './lists.ts'
import { parsePeer } from './subject.ts'

export type { EvidenceQuery, EvidenceRow } from './ledger.ts'
export type { ListEntry } from './lists.ts'
export { parsePeer } from './subject.ts'

/** A newcomer's score, and until there is a model behind the contract everybody's. */
const NEWCOMER_SCORE = 0.5

export type DenialReason = Extract<Decision, { allowed: false }>['reason']

export interface TrustOptions {
  state: TrustState
  log: Logger
  networkName: string
  /** Milliseconds since the Unix epoch; tests pass their own. */
  now?: () => number
}

/** The contract of trust, and what an operator does with it. */
export interface TrustService extends Trust {
  /** Whether connections with this address (text form of an IP address) are refused, whoever is behind it. */
  decideAddress(address: string, family: 'ipv4' | 'ipv6'): Decision
  /**
   * Refuses everything from and to a peer (peer id or `did:key`), an IP address or a range of them, from now on and
   * after a restart. Listeners of `onChange` drop the connections that are open.
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
  /** How often what was refused for which reason since start: `{ dial: { 'deny-list': 3 } }`. */
  denials(): Partial<Record<Action, Partial<Record<DenialReason, number>>>>
  /** Reports that could not be kept since start. */
  droppedEvidence(): number
  /** Calls back when a list has changed, so that what is no longer allowed can be ended; returns the function that ends it. */
  onChange(listener: () => void): () => void
  start(): void
  /** Writes what is queued. */
  stop(): void
}

const ALLOWED: Decision = Object.freeze({ allowed: true })
const DENY_LIST: Decision = Object.freeze({ allowed: false, reason: 'deny-list' })
const NOT_ON_ALLOW_LIST: Decision = Object.freeze({ allowed: false, reason: 'not-on-allow-list' })

/**
 * Policy out of two lists, evidence into the state database, and a constant score.
 *
 * `decide` takes peers in the text form that `PeerId.toString()` gives, as the contract says: it is asked for every
 * message and does not parse.
 */
export function createTrust({ state, log, networkName, now = Date.now }: TrustOptions): TrustService {
  const partLog = log.child({ part: 'trust', network: networkName })
  const lists = openPeerLists(state.db, now)
  const ledger = openLedger(state, partLog, now)
  const denials: Partial<Record<Action, Partial<Record<DenialReason, number>>>> = {}
  const listeners = new Set<() => void>()

  function count(action: Action, decision: Decision): Decision {
    if (!decision.allowed) {
      const ofAction = (denials[action] ??= {})
      ofAction[decision.reason] = (ofAction[decision.reason] ?? 0) + 1
    }
    return decision
  }

  function judge(peer: string): Decision {
    if (lists.has('block', peer)) {
      return DENY_LIST
    }
    return lists.isEmpty('allow') || lists.has('allow', peer) ? ALLOWED : NOT_ON_ALLOW_LIST
  }

  function changed(what: string, entry: { peer: string }): void {
    partLog.info({ peer: entry.peer }, what)
    for (const listener of listeners) {
      try {
        listener()
      } catch (error) {
        partLog.error({ err: error }, 'a listener of the lists failed')
      }
    }
  }

  return {
    decide: (peer, action) => count(action, judge(peer)),
    decideAddress: (address, family) =>
      count('accept', lists.blocksAddress(address, family) ? DENY_LIST : ALLOWED),
    report: (peer, kind, detail) => ledger.report(peer, kind, detail),
    score: () => NEWCOMER_SCORE,

    block(subject, reason) {
      const entry = lists.add('block', subject, reason)
      changed('blocked', entry)
      return entry
    },
    unblock(subject) {
      const removed = lists.remove('block', subject)
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
    denials: () => structuredClone(denials),
    droppedEvidence: () => ledger.dropped(),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    start: () => ledger.start(),
    stop: () => ledger.stop(),
  }
}
