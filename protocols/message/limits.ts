/** Characters of a topic; it is shown to people. */
export const MAX_TOPIC_CHARACTERS = 128
/** Bytes of a topic in UTF-8. */
export const MAX_TOPIC_BYTES = 512
/** Bytes of what a message says. With its envelope it stays below a control message (64 KiB), which gossip carries as one piece. */
export const MAX_PAYLOAD_BYTES = 48 * 1024
/** Messages to one peer that are on their way at once, each a stream. */
export const MAX_STREAMS = 16
/** Inbound streams of one peer at once, over all its connections: its streams end there a moment before they end here. */
export const MAX_INBOUND_STREAMS_PER_PEER = 2 * MAX_STREAMS
/** Inbound streams of all peers at once: with the longest messages, 12 MiB. */
export const MAX_INBOUND_STREAMS = 256
/** Messages to all peers that are on their way at once; others wait for their turn. */
export const MAX_SENDING = 64
/** A message and its receipt over a relay, with room for a busy node. */
export const EXCHANGE_TIMEOUT_MS = 10_000
/** A peer that has opened a stream says what it has to say within this. */
export const ENVELOPE_TIMEOUT_MS = 3_000
/** Payloads of one bundle: what services say in one turn of the event loop. Each counts towards its author's rate. */
export const MAX_BUNDLE_PAYLOADS = 64
/** What a bundle puts around its one payload, with room to spare. */
export const BUNDLE_OVERHEAD_BYTES = 64
