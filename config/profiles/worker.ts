import type { Differences } from './differences.ts'

/** The defaults of the schema are a worker's: a server or desktop that is mostly on and lends half of its quota. */
export const worker: Differences = {}
