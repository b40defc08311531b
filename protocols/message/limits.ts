/** Characters of a topic; it is shown to people. */
export const MAX_TOPIC_CHARACTERS = 128
/** Bytes of a topic in UTF-8. */
export const MAX_TOPIC_BYTES = 512
/** Bytes of what a message says. With its envelope it stays below a control message (64 KiB), which gossip carries as one piece. */
export const MAX_PAYLOAD_BYTES = 48 * 1024
/** Streams of one connection at once, one message each. */
export const MAX_STREAMS = 16
/** Inbound streams of all peers at once: with the longest messages, 3 MiB. */
export const MAX_INBOUND_STREAMS = 64
/** Messages to all peers that are on their way at once; others wait for their turn. */
export const MAX_SENDING = 64
/** A message and its receipt over a relay, with room for a busy node. */
export const EXCHANGE_TIMEOUT_MS = 10_000
/** Payloads of one bundle: what services say in one turn of the event loop. Each counts towards its author's rate. */
export const MAX_BUNDLE_PAYLOADS = 64
/** What a bundle puts around its one payload, with room to spare. */
export const BUNDLE_OVERHEAD_BYTES = 64
