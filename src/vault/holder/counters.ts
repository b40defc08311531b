/** What happened since the start, for metrics. */
export interface Counters {
  columnsStored: number
  storesRefused: number
  claimsGranted: number
  claimsRefused: number
  auditsPassed: number
  auditsFailed: number
  auditsUnreachable: number
  auditBytes: number
  /** Looks at a group of held columns. */
  visits: number
  slabsMeasured: number
  repairsStarted: number
  repairsFailed: number
  columnsRebuilt: number
  columnsTrimmed: number
  columnsExpired: number
  tombstonesKept: number
}

export function newCounters(): Counters {
  return {
    columnsStored: 0,
    storesRefused: 0,
    claimsGranted: 0,
    claimsRefused: 0,
    auditsPassed: 0,
    auditsFailed: 0,
    auditsUnreachable: 0,
    auditBytes: 0,
    visits: 0,
    slabsMeasured: 0,
    repairsStarted: 0,
    repairsFailed: 0,
    columnsRebuilt: 0,
    columnsTrimmed: 0,
    columnsExpired: 0,
    tombstonesKept: 0,
  }
}
