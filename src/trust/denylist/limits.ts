/** Rules in memory, some 100 bytes each: the largest public list has half a million. What is over is left out and warned of. */
export const MAX_RULES = 2_000_000

/** Characters of a line. The format allows 2 MiB; a rule is a path. */
export const MAX_LINE_CHARACTERS = 64 * 1024

/** Bytes of a header, as the format has it: what is longer is none. */
export const MAX_HEADER_BYTES = 1024 * 1024

/** Files of the folder that are read. */
export const MAX_FILES = 64

/** Answers that are remembered, some 150 bytes each: a block is asked about again for every peer. */
export const MAX_ANSWERS = 20_000

/** Lines between two turns of the event loop: a few milliseconds. */
export const LINES_PER_TURN = 1_000

/** An editor writes a file in several steps; it is read once they are over. */
export const SETTLE_MS = 500

/** Lines of one file that are named in the log as no rules. */
export const MAX_NAMED_PROBLEMS = 5
