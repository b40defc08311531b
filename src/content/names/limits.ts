/** Every bound of names, with its unit and its reason. */

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** The IPNS record specification, "Record Size Limit". */
export const MAX_RECORD_BYTES = 10 * 1024
/** The number of a record is a uint64. */
export const MAX_SEQUENCE = 2n ** 64n - 1n

/** A domain name in text form (RFC 1035, section 2.3.4). */
export const MAX_DOMAIN_CHARACTERS = 253
/** An identity CID of a public key has some 60 characters, one of an RSA key's hash as many. */
export const MAX_NAME_CHARACTERS = 512

/** Names that point at names: each costs a look-up. Kubo follows 32; nobody was seen to use three. */
export const MAX_DEPTH = 16

/** A record is kept by nodes of the DHT for 48 hours (the DHT specification); one that lives as long needs no renewal before. */
export const DEFAULT_LIFETIME_MS = 48 * HOUR_MS
/** Shorter ones would end before they are everywhere. */
export const MIN_LIFETIME_MS = MINUTE_MS
/** An owner who lost the key cannot take back what lives longer. */
export const MAX_LIFETIME_MS = 366 * DAY_MS
/** The IPNS record specification, "TTL". */
export const DEFAULT_TTL_MS = 5 * MINUTE_MS
/** Nobody keeps an answer longer, whatever its record says: a mistake would otherwise stay for ever. */
export const MAX_TTL_MS = 24 * HOUR_MS

/** The whole search for a record; a walk through the public DHT takes up to half a minute. */
export const LOOKUP_TIMEOUT_MS = 30 * SECOND_MS
/** After the first record a newer one may still come from a slower peer. */
export const LOOKUP_SETTLE_MS = 2 * SECOND_MS
/** Before a record is put, those that are there are looked at; who publishes waits for it. */
export const CHECK_TIMEOUT_MS = 10 * SECOND_MS
/** Searches at once; each walks the DHT with some dozens of streams. */
export const MAX_LOOKUPS = 32
/** Records of one search that are checked: each a signature of 0.1 ms. The DHT asks some dozens of peers. */
export const MAX_RECORDS_PER_LOOKUP = 128
/** One put is a walk and 20 sends. */
export const PUT_TIMEOUT_MS = 60 * SECOND_MS

/** How often peers are told again: nodes come and go. Kubo's figure. */
export const REPUBLISH_INTERVAL_MS = 4 * HOUR_MS
/** Where nobody could be told. */
export const REPUBLISH_RETRY_MS = MINUTE_MS
/** Between two names, so that many do not all walk the DHT in one burst. */
export const REPUBLISH_PAUSE_MS = SECOND_MS
/** Longest sleep of the republisher: Node's timers end at 24 days. */
export const MAX_REPUBLISH_SLEEP_MS = HOUR_MS

/** Keys besides the node's own: one for each channel of what somebody releases. */
export const MAX_KEYS = 256
export const MAX_KEY_CHARACTERS = 63
/** Records of other keys that were imported, each republished on schedule. */
export const MAX_IMPORTED_RECORDS = 1_024
/** Records that were only seen; the one that was looked at longest ago goes first. At 10 KiB each: 40 MiB at worst. */
export const MAX_SEEN_RECORDS = 4_096

/** TXT records say nothing of their age through Node's resolver. */
export const DNS_TTL_MS = 5 * MINUTE_MS
/** A domain without a link is asked again soon: its owner may just be setting it up. */
export const DNS_NEGATIVE_TTL_MS = 30 * SECOND_MS
export const DNS_TIMEOUT_MS = 5 * SECOND_MS
export const DNS_TRIES = 2
export const MAX_DNS_ANSWERS = 1_024
/** TXT records of one domain that are looked at. */
export const MAX_TXT_RECORDS = 64
export const MAX_TXT_CHARACTERS = 4_096
