import type { EvidenceKind } from '../contract.ts'

const DAY_MS = 24 * 3_600_000

/** A newcomer's score, and what every score returns to when nothing more is seen. */
export const BASELINE = 0.5
/** What all good conduct together can add: an honest past buys nobody the right to lie later. */
export const GOOD_MAX = 1 - BASELINE
/**
 * What one kind of bad conduct can take, however often it was seen. Over what is needed to reach 0, so that a peer that
 * did nothing else stays there for a while; bounded, so that no past is for ever.
 */
export const BAD_MAX = 1.5

/** Sums of evidence, each with what it counts for. Apart, since what is slow is not what lies, and what is lost not what is rude. */
export type SumName =
  | 'messages'
  | 'service'
  | 'proofs'
  | 'presence'
  | 'misconduct'
  | 'lies'
  | 'losses'
  | 'failures'

/** `storage` is the honesty of somebody who is to keep something: what is said well does not count there, what was lost does. */
export type View = 'honesty' | 'reliability' | 'storage'

export interface Sum {
  readonly sign: 1 | -1
  readonly views: readonly View[]
  /** The time after which half of it is forgotten, in milliseconds. */
  readonly halfLifeMs: number
}

export const SUMS: Readonly<Record<SumName, Sum>> = {
  messages: { sign: 1, views: ['honesty'], halfLifeMs: 30 * DAY_MS },
  service: { sign: 1, views: ['honesty', 'reliability', 'storage'], halfLifeMs: 30 * DAY_MS },
  proofs: { sign: 1, views: ['honesty', 'reliability', 'storage'], halfLifeMs: 30 * DAY_MS },
  presence: { sign: 1, views: ['reliability'], halfLifeMs: 30 * DAY_MS },
  // Bad software is mended within weeks.
  misconduct: { sign: -1, views: ['honesty', 'storage'], halfLifeMs: 14 * DAY_MS },
  // Data that does not hash to its name is rot or malice, and neither ends by itself.
  lies: { sign: -1, views: ['honesty', 'storage'], halfLifeMs: 60 * DAY_MS },
  losses: { sign: -1, views: ['storage'], halfLifeMs: 60 * DAY_MS },
  // A peer that was off for a night or behind a bad line is as good as before soon after.
  failures: { sign: -1, views: ['reliability'], halfLifeMs: 3 * DAY_MS },
}

export interface Weight {
  readonly sum: SumName
  /** What one such event adds to its sum. */
  readonly amount: number
  /** The most that events of this kind add to it in one day (UTC), where that is bounded. */
  readonly perDay?: number
}

/**
 * What each kind of evidence is worth. The figures of messages are those that the product was asked for with (seed 3:
 * +0.001 and −0.1); the others are set beside them, with their reasons.
 */
export const WEIGHTS: Readonly<Record<EvidenceKind, Weight>> = {
  // Cheap to make, so that a day of it is worth a tenth of one invalid message.
  'message-valid': { sum: 'messages', amount: 0.001, perDay: 0.01 },
  // Five of them at once and a newcomer is not talked to.
  'message-invalid': { sum: 'misconduct', amount: 0.1 },
  'protocol-violation': { sum: 'misconduct', amount: 0.1 },
  // Impatience is no lie: a whole day of it leaves a newcomer connected.
  'limit-exceeded': { sum: 'misconduct', amount: 0.02, perDay: 0.2 },

  // Costs the peer bandwidth, which a liar would rather not spend; a week of it earns what a proxy asks for.
  'transfer-served': { sum: 'service', amount: 0.002, perDay: 0.02 },
  'transfer-failed': { sum: 'failures', amount: 0.02, perDay: 0.2 },
  // Cannot happen by an error of the line, which is authenticated. Once may be a rotten disk; three times is not.
  'block-invalid': { sum: 'lies', amount: 0.15 },
  'piece-invalid': { sum: 'lies', amount: 0.15 },

  'dial-succeeded': { sum: 'presence', amount: 0.001, perDay: 0.01 },
  // A peer that left the network is dialled for days: that must not look like anything worse.
  'dial-failed': { sum: 'failures', amount: 0.005, perDay: 0.05 },

  'audit-passed': { sum: 'proofs', amount: 0.002, perDay: 0.02 },
  // One lost column is enough to be given no more until the loss is made good by proofs; it is no reason to stop talking.
  'audit-failed': { sum: 'losses', amount: 0.2 },
  'receipt-broken': { sum: 'losses', amount: 0.2 },
  // No lie, and a busy machine can be late; yet nobody can live on silence: after three in a day nothing more is placed there until
  // some of it is forgotten.
  'audit-unanswered': { sum: 'failures', amount: 0.1, perDay: 0.3 },
}
