import type { PinKind } from '../types.ts'

/**
 * Values of pin.state. A recursive pin goes WAITING → WALKING → PINNED → UNPINNING → no row; a walk that meets a block
 * that is not held goes WALKING → UNPINNING. A direct pin, and one of a block without links, is PINNED at once.
 */
/** Nothing is counted yet; walks are done one after another, see walk.ts. */
export const STATE_WAITING = 0
/** Its root is counted; at most one pin is in this state. */
export const STATE_WALKING = 1
export const STATE_PINNED = 2
/** Its root is uncounted; what that leaves without references is being uncounted. */
export const STATE_UNPINNING = 3

/** pin.kind and ref.deep say the same: whether what a block links to is held with it. */
export const KIND_DIRECT = 0
export const KIND_RECURSIVE = 1

/** Values of ref_work.delta. */
export const WORK_COUNT = 1
export const WORK_UNCOUNT = -1
/** The block cannot be read now; the entry waits until it is healed. */
export const WORK_ASIDE = 0

/** Value of ref_work.applied for an entry whose block's links are all counted, however many there are. */
export const ALL_LINKS = 0x7fffffff

export interface PinRow {
  id: number
  cid: Uint8Array
  name: string
  kind: number
  state: number
  created_ms: number
}

export function kindCode(kind: PinKind): number {
  return kind === 'recursive' ? KIND_RECURSIVE : KIND_DIRECT
}
