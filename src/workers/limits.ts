/**
 * Threads at most. More would only move the wait: whoever feeds the pool sends or reads what it makes on the event loop,
 * which is full before two threads are.
 */
export const MAX_THREADS = 2

/** Calls given to the threads for each of them: one that runs and one that is there when it ends. */
export const CALLS_PER_THREAD = 2

/** Calls that wait for a thread. Each keeps its arguments in memory, usually 1 MiB. */
export const MAX_WAITING_CALLS = 1_024

/** A thread without work ends: it holds some 10 MiB, and starting another takes about 50 ms. */
export const IDLE_THREAD_MS = 15_000

/**
 * How much less than the event loop a thread insists on the processor (`nice`): what peers wait for goes first on a machine
 * with few cores.
 */
export const NICE_INCREMENT = 3
