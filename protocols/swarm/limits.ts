/** What a person calls a peer, in characters (UTF-16 units); 256 bytes at most in UTF-8. */
export const MAX_NAME_CHARACTERS = 64
/** A signed statement with the longest name has 420 bytes. */
export const MAX_STATEMENT_BYTES = 512
/** JSON and JavaScript carry numbers up to here exactly; a change a second uses them up in 285 million years. */
export const MAX_NUMBER = Number.MAX_SAFE_INTEGER
/** Up to here admins may count: above it are as many numbers again that are the owner's alone, so that it always has the last word. */
export const MAX_ADMIN_NUMBER = 2 ** 52

/** Of an invitation: 128 bits, which nobody guesses through a door that takes a few knocks a second. */
export const SECRET_BYTES = 16
/** Addresses in an invitation: a machine's interfaces times a transport or two. */
export const MAX_INVITATION_ADDRESSES = 8
/** WebRTC-direct with certificate hash and peer id has about 150 bytes. */
export const MAX_ADDRESS_BYTES = 256
/** An invitation as text: eight long addresses in base58, with room to spare. */
export const MAX_INVITATION_CHARACTERS = 4_096

export const NETWORK_KEY_BYTES = 32
/** Members that a newcomer is told how to reach, with several addresses each. */
export const MAX_CONTACTS = 32
/** Statements in a welcome: the newcomer's, every admin's and every contact's, at most 36 KiB. */
export const MAX_WELCOME_STATEMENTS = 72
/** A knock holds a secret and a name. */
export const MAX_KNOCK_BYTES = 1_024
/** A welcome is a control message. */
export const MAX_WELCOME_BYTES = 64 * 1024
/** A knock and its answer, which waits for a disk; over a slow line. */
export const KNOCK_TIMEOUT_MS = 15_000
/** Knocks that a door answers at once. */
export const MAX_KNOCKS = 8
