/** Every bound of a simulation, with its unit and its reason. */

const MIB = 1024 * 1024

/** Nodes: two can fetch from each other, and 200 take some 3 GiB with a thread each for their databases. */
export const MIN_NODES = 2
export const MAX_NODES = 200

/** Starts and stops under way at once, for each processor: more would only wait for it, with timers that run. */
export const CHANGES_PER_PROCESSOR = 2

/**
 * How long the nodes may take to start and to be one network. On two free processors fifty need less than the 90 s of DESIGN; a machine
 * that is busy otherwise shall see its network all the same, and the report says how long it took.
 */
export const CONNECT_TIMEOUT_MS = 300_000
export const CONNECT_TIMEOUT_PER_NODE_MS = 12_000

/**
 * One add, put, fetch or announcement, for each member of the network and at the least. Files are small; what takes longer has failed.
 * A put asks every holder there is, and all of them answer with the same processors.
 */
export const OPERATION_TIMEOUT_MS = 60_000
export const OPERATION_TIMEOUT_PER_NODE_MS = 4_000

/** Fetches under way at once in the whole process: as many as keep two processors busy without hiding how long one takes. */
export const CONCURRENT_FETCHES = 4

/** A file for each so many nodes, each fetched by several. */
export const NODES_PER_FILE = 5

/** Sizes of the files in turn: one block, one with a partial block, several blocks. */
export const FILE_SIZES_BYTES: readonly number[] = [64 * 1024, MIB + 1, 3 * MIB]

/** What each node may keep on disk, in the configuration's form: far more than a scenario stores on one. */
export const NODE_QUOTA = '1GiB'

/** Memory for blocks in each node, in the configuration's form: the files would all fit, and measure nothing. */
export const NODE_MEMORY = '2MiB'

/** How often the memory of the process is looked at. */
export const MEMORY_SAMPLE_INTERVAL_MS = 250

/** Failures that the report lists in words; the rest is counted. */
export const MAX_LISTED_FAILURES = 20

/** Different warnings and errors of the nodes' logs that are counted apart. */
export const MAX_LOG_MESSAGES = 200

/** Messages of the nodes' logs that the report lists, the most frequent first. */
export const MAX_LISTED_LOG_MESSAGES = 10
