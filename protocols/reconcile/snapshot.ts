import { Pacer } from '../shared/pacer.ts'
import { setTooLarge } from './errors.ts'
import { ID_BYTES, IDS_PAGE, MAX_SET_ENTRIES, SNAPSHOT_KEEP_MS } from './limits.ts'
import type { ReconciledSet } from './types.ts'

/** The ids of a set as they were, ascending, one behind the other. An id's place among them is its rank. */
export interface Snapshot {
  readonly ids: Buffer
  readonly count: number
}

/** @throws ERR_SET_TOO_LARGE, RangeError for a set that does not keep to its contract, the signal's reason */
export async function snapshotOf(set: ReconciledSet, signal: AbortSignal): Promise<Snapshot> {
  const pacer = new Pacer()
  const pages: Buffer[] = []
  let count = 0
  let last: Uint8Array | undefined
  for (;;) {
    await pacer.breathe()
    signal.throwIfAborted()
    const page = set.ids(last, IDS_PAGE)
    for (const id of page) {
      if (id.byteLength !== ID_BYTES || (last !== undefined && Buffer.compare(last, id) >= 0))
        throw new RangeError(`the ids of "${set.name}" are not ${ID_BYTES} bytes each, ascending`)
      last = id
    }
    count += page.length
    if (count > MAX_SET_ENTRIES) throw setTooLarge(set.name, MAX_SET_ENTRIES)
    pages.push(Buffer.concat(page))
    if (page.length < IDS_PAGE) break
  }
  return { ids: Buffer.concat(pages), count }
}

/**
 * Snapshots that are used again while their set stays as it is: a node that meets several peers in a row reads its set once.
 * Made for all who wait at once; let go of a while after their last use.
 */
export class Snapshots {
  readonly #kept = new Map<ReconciledSet, { version: number; snapshot: Promise<Snapshot> }>()
  readonly #stop: AbortSignal
  #timer: NodeJS.Timeout | undefined

  /** Nothing is read any more once `stop` aborts. */
  constructor(stop: AbortSignal) {
    this.#stop = stop
  }

  /** @throws as `snapshotOf` */
  of(set: ReconciledSet): Promise<Snapshot> {
    const version = set.version()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.clear(), SNAPSHOT_KEEP_MS).unref()
    const kept = this.#kept.get(set)
    if (kept?.version === version) return kept.snapshot
    const snapshot = snapshotOf(set, this.#stop)
    this.#kept.set(set, { version, snapshot })
    snapshot.catch(() => {
      if (this.#kept.get(set)?.snapshot === snapshot) this.#kept.delete(set)
    })
    return snapshot
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#kept.clear()
  }
}
