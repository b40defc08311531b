/** Every bound of the experiment, with its unit and its reason. */

const KIB = 1024

/** A third of each role, as the mission has it: "with a third of the peers hostile". */
export const HOSTILE_SHARE = 1 / 3

/** Enough that a slab finds eight holders among the honest, and that some are left that do not hold it. */
export const MIN_NODES = 16

/** One segment, or a few blocks: what is measured is who is believed, and not how fast bytes move. */
export const PRIVATE_FILE_BYTES = 160 * KIB
export const PUBLIC_FILE_BYTES = 600 * KIB
/** What a peer with a false filter adds, so that its node tells others of its filter. */
export const BAIT_BYTES = 100

/**
 * Who brings files: one honest node in so many, no fewer than this, and no more: each further one is as much work again for the one
 * machine that all of them share. The same ones in every round, as owners are.
 */
export const NODES_PER_OWNER = 8
export const MIN_OWNERS = 3
export const MAX_OWNERS = 5

/** Readers of each file in a round: somebody else each time. */
export const READERS_PER_FILE = 2

/** Files that are read in a round beside those of the round itself, of each kind. */
export const OLDER_FILES_READ = 4

/** Rounds in which nodes learn, and rounds after that which have to hold. */
export const WARM_UP_ROUNDS = 2
export const MEASURED_ROUNDS = 3

/**
 * Between two audits of a column, and the length of a round; a day has two. So much for each node: twice the nodes have twice as much
 * to look after on the same processors, and a look at an object that lacks columns asks the whole network.
 */
export const INTERVAL_PER_NODE_MS = 1_000
export const MAX_INTERVAL_MS = 90_000

/** How long a lost column may come back: a third of an interval, where a real network has a sixth. */
export const GRACE_SHARE = 1 / 3

/** After so long a silent peer lets a question go, so that the process does not keep it for ever. */
export const SILENCE_MS = 90_000

/** What a peer that sends garbage sends as a block. */
export const GARBAGE_BLOCK_BYTES = 64 * KIB
