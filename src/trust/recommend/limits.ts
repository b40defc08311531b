/** Recommendations kept of one recommender. Some 200 bytes each in memory; the oldest go first. */
export const MAX_HEARD_PER_AUTHOR = 256

/** Recommenders whose word is kept: with the above, 33 000 recommendations and 7 MB at most. The one that was silent longest goes first. */
export const MAX_AUTHORS = 128

/** What was heard of one peer is put together again after so long, and whenever something new is heard. */
export const HEARD_FRESH_MS = 1_000

/** Recommendations of its own that a node keeps to be asked for; the oldest go first. */
export const MAX_TOLD = 512

/** Peers whose scores moved and of whom something may have to be said; over it the others wait for their next evidence. */
export const MAX_MOVED = 1_024

/** Signed in one go: some milliseconds. What is left follows with the next. */
export const MAX_SIGNED_AT_ONCE = 64

/** Less evidence than this is an accident, not a character. */
export const MIN_EVIDENCE = 4

/** A score that moved by less is not said again. */
export const MIN_CHANGE = 0.05

/** What an operator says by hand counts as so much evidence: 8 ÷ (8 + 2) of what can be known. */
export const VOUCHED_EVIDENCE = 8

/** How soon after a score moved it is said, so that what moves together is said together. */
export const TELL_AFTER_MS = 60_000

/** The same for whoever was just banned. */
export const WARN_AFTER_MS = 1_000

/** Bundles that one author may have forwarded: 16 peers a second is more than anybody gets to know. */
export const BUNDLE_RATE = { perSecond: 1, burst: 8 }

/** Recommendations that are remembered as passed on: 2 MB. */
export const MAX_REMEMBERED = 10_000

/** A bundle that took longer is not passed on. */
export const MAX_BUNDLE_AGE_MS = 10 * 60_000

/** Requests of one peer that are answered: a page each, so that all of a node's word takes eight. */
export const REQUEST_RATE = { perSecond: 0.1, burst: 16 }

/** Requests that this node makes of one peer, whatever they are about: all pages at once, and well below what others answer. */
export const ASK_RATE = { perSecond: 0.05, burst: 8 }

/** A peer that has too much to do is not asked for so long. */
export const BUSY_PAUSE_MS = 10 * 60_000

/** Peers whose rate of requests is remembered, and how far they were asked. */
export const MAX_PEERS = 10_000

/** Gossip brings what is new; this is for what it did not bring. */
export const ASK_INTERVAL_MS = 30 * 60_000

/** Pages asked of one peer in a row: all that it may keep. */
export const MAX_PAGES = 8

/** Trusted peers that are asked about one that just came, chosen at random, once in `ASK_INTERVAL_MS`. */
export const ASKED_ABOUT_NEWCOMERS = 3

/** Newcomers are asked about together, after so long. */
export const NEWCOMERS_AFTER_MS = 2_000

/** Newcomers that wait to be asked about; over it nobody is asked about them. */
export const MAX_NEWCOMERS = 64

/** Asking one peer, all pages together. */
export const ASK_TIMEOUT_MS = 30_000
