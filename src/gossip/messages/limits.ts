/** Gossip topics over which applications' topics are spread; SPEC.md of protocols/message. */
export const PARTS = 16
/** Of one author in one part: more than people type, and enough for programs that talk all day. */
export const AUTHOR_RATE = { perSecond: 200, burst: 1_000 } as const
/** The same of one peer that writes to this node alone. */
export const SENDER_RATE = { perSecond: 50, burst: 200 } as const
/** Programs that listen at once, over the API and in this process. */
export const MAX_LISTENERS = 64
/** Messages and bytes that wait for one of them; later ones are dropped, and it is told how many. */
export const MAX_WAITING_MESSAGES = 256
export const MAX_WAITING_BYTES = 4 * 1024 * 1024
