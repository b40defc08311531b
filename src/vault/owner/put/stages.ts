/** Where the time of a put goes, for whoever watches it and for the benchmark. Milliseconds, added up over all that ran at once. */
export interface Stages {
  compress: number
  seal: number
  encode: number
  hash: number
  /** Waiting until holders took pieces, a lane on the average. */
  send: number
  /** From the last piece of a slab to its last receipt. */
  receipt: number
}

export function newStages(): Stages {
  return { compress: 0, seal: 0, encode: 0, hash: 0, send: 0, receipt: 0 }
}

export function stageCounters(stages: Stages): Record<string, number> {
  return Object.fromEntries(
    Object.entries(stages).map(([name, ms]) => [`${name}Ms`, Math.round(ms as number)]),
  )
}
