/** Bounds of Bitswap, each with its unit and reason. */

/** A message as others take it: Kubo and Helia end a stream over it. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024

/** Blocks that are larger are in nobody's store here; Kubo and Helia take this much too. */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024

/** CIDs of all usual hashes are below 70 bytes. One that is longer carries its block in itself, and is passed over. */
export const MAX_CID_BYTES = 128

/**
 * Wants kept for one peer. Helia wants all the leaves below a node at once and never again (1 024 for each node of a large
 * file, several nodes at a time); a want is some 400 bytes here, so that this is 3 MiB.
 */
export const MAX_WANTS_PER_PEER = 8_192
/** Wants kept for all peers: 26 MiB. Where they are full, none is kept for a peer that has more than its share. */
export const MAX_WANTS = 65_536
/** Of them, those of one peer for what is not held here: they wait for it to come, as long as the peer is connected. */
export const MAX_WAITING_PER_PEER = 1_024

/** Wants whose blocks are looked for before a message is sent: a question to an index, tens of microseconds each. */
export const LOOKED_UP_AT_ONCE = 64
/** Blocks are added to an answer up to here: one of a file's, or many small ones. With the largest on top it is below a message. */
export const ANSWER_BYTES = 256 * 1024
/** A peer that only asks whether a block is here is sent it where it is no larger than this: less than another question. */
export const SMALL_BLOCK_BYTES = 1_024
/** "Not here" to wants that there is no room for, waiting to be sent to one peer. */
export const MAX_REFUSALS_PER_PEER = 1_024

/**
 * Answers in memory at once, for all peers; each peer has one. With blocks of 1 MiB this is 32 MiB, with the largest 72 MiB,
 * whatever is wanted and by however many.
 */
export const MAX_ANSWERS = 32
/** A peer takes 256 KiB in so long, or is cut off: 13 KiB/s. Its answer keeps others' out of memory meanwhile. */
export const SEND_STALL_MS = 20_000
/** A peer that was cut off is sent nothing for so long. */
export const STALLED_FOR_MS = 60_000
export const MAX_STALLED_PEERS = 1_024

/** Streams of one connection at once. One message at a time needs two, and a peer that opens one a message some more. */
export const MAX_STREAMS = 32
/** What one peer has sent and is not dealt with yet: a message whole, and another one that follows it. */
export const MAX_INBOUND_BYTES_PER_PEER = 2 * MAX_MESSAGE_BYTES + 256 * 1024
/** The same for all peers. */
export const MAX_INBOUND_BYTES = 64 * 1024 * 1024
/** A stream on which nothing comes is ended after so long: at 35 KiB/s, a limit an operator may set, a message takes it all. */
export const STREAM_IDLE_MS = 60_000
/** A stream is kept for what may follow. Helia ends one after 10 s. */
export const STREAM_LINGER_MS = 3_000
export const OPEN_TIMEOUT_MS = 10_000
/** A message that did not get through is sent once more, after so long: what stood in its way may be gone by then. */
export const SEND_AGAIN_MS = 200

/** Blocks that this node wants at once; more wait for their turn. */
export const MAX_OWN_WANTS = 16_384
/** Wants sent in one message: some 50 KiB. */
export const WANTS_PER_MESSAGE = 1_024
/** Peers that are asked whether they have a block, where nobody is known to have it. */
export const MAX_ASKED_PEERS = 32
/**
 * Blocks asked of one peer at once: at least, at most, and as many milliseconds of what it sends. @helia/bitswap gathers all that
 * is wanted in memory and has to send it within 10 s.
 */
export const MIN_IN_FLIGHT = 8
export const MAX_IN_FLIGHT = 128
export const IN_FLIGHT_MS = 1_500

/** How often wants are looked at while there are any. */
export const TICK_MS = 200
/** Those that are older than this, once in so many times: some thousands of wants and hundreds of peers are a million pairs. */
export const OLD_WANT_MS = 5_000
export const OLD_WANT_TICKS = 5
/** A peer that owes blocks and sends none for so long is not waited for any longer. */
export const BLOCK_STALL_MS = 3_000
/** And one that sends, but no whole block in so long: 70 KiB/s for the largest. */
export const SLOW_BLOCK_MS = 30_000
/** Who sent or had a block this lately is asked first for the next one. */
export const LEAD_FOR_MS = 30_000
/** Peers that are connected and have a block say so within a round trip or two; then others are looked for. */
export const FIND_PROVIDERS_AFTER_MS = 300
/** Who still has not come up with it is asked again: @helia/bitswap does not send a block twice within 5 s, and says nothing then. */
export const ASK_AGAIN_MS = 8_000
export const FIND_AGAIN_MS = 60_000
/** Walks through the DHT at once, and providers of one block that are connected to. */
export const MAX_SEARCHES = 8
export const SEARCH_TIMEOUT_MS = 30_000
export const MAX_DIALLED_PROVIDERS = 3
/** Bytes of blocks that nobody asked for, after which it is evidence. Those that cross a cancellation are far fewer. */
export const UNWANTED_BYTES = 16 * 1024 * 1024
/** The same is said of a peer once in so long. */
export const REPORT_EVERY_MS = 60_000
