import type { Way } from './ways.ts'

export interface HostileOptions {
  /** In which ways; with several, the hostile peers take turns. */
  ways: readonly Way[]
  /** Off: everybody is allowed everything and worth the same, as if nothing were ever seen. */
  isTrusting: boolean
  /** Who is hostile, what is stored and who reads what follow from it; keys of nodes and slabs, and what the clock does, do not. */
  seed: string
  /** Between two audits of a column, and the length of a round; by default so much for each node. */
  intervalMs?: number
  warmUpRounds?: number
  measuredRounds?: number
}

/** How reads went. */
export interface Reads {
  attempted: number
  right: number
}

/** What one round saw. */
export interface RoundSample {
  round: number
  /** Since the first put, at the round's end. */
  atMs: number
  /** Private files that were put in this round and after the warm-up, by link; in the warm-up all. */
  reads: Reads
  /** Of private files from before the end of the warm-up, read in this round. */
  earlyReads: Reads
  publicReads: Reads
  /** Private files that nobody would take, and public ones that could not be added. */
  failedPuts: number
  /** Columns that owners placed in this round, and of these on hostile peers that lose them. */
  placed: number
  placedHostile: number
  /** The most columns of one slab that went to holders who had proved nothing to its owner. */
  mostUnproven: number
  /** Sent in the place of what was asked for, in this round. */
  falseBytes: number
  /** Answers that were owed or promised in this round, and were not given or were no good. */
  falseAnswers: number
  /** Columns given in this round to whoever loses them. */
  lostBytes: number
  /** Columns that repair brought to new holders in this round. */
  repairedBytes: number
  scores: ScoreSample
}

/** What honest nodes think of others they know something of. */
export interface ScoreSample {
  /** Mean and least score of honest peers; null where none is known. */
  honest: number | null
  leastHonest: number | null
  hostile: number | null
  /** The same for who is to keep something. */
  honestStorage: number | null
  hostileStorage: number | null
  /** Pairs of an honest node and one that it has banned now. */
  honestBanned: number
  hostileBanned: number
}

/** One number beside what it has to be. */
export interface Hold {
  name: string
  value: number
  hold: { atLeast: number } | { atMost: number }
  holds: boolean
}

export interface HostileReport {
  ways: readonly Way[]
  isTrusting: boolean
  seed: string
  nodes: number
  hostile: number
  /** Nodes that lend storage, and of these those that lose what they get. */
  holders: number
  losers: number
  k: number
  n: number
  intervalMs: number
  rounds: RoundSample[]
  /** Reads at the end of files that were put before anybody knew anybody, and what blind luck would have left of them without repair. */
  firstFiles: Reads & { bound: number }
  holds: Hold[]
}
