/**
 * How a group of puts crosses to the writer thread: one buffer that is moved, not copied, with every item's multihash
 * and bytes behind each other, and three numbers an item. Views of callers' buffers must not be posted themselves:
 * structured clone would copy the whole buffer behind each view.
 */

export const ITEM_DATA = 0
export const ITEM_FILE = 1
/** The block is held; only its mark is to be renewed. */
export const ITEM_TOUCH = 2
/** The block, held or not, is private from now on. */
export const ITEM_MARK = 3

export const OUTCOME_DONE = 0
/** A touch came too late: the block was collected meanwhile. */
export const OUTCOME_ABSENT = 1

const NUMBERS_PER_ITEM = 4

export interface GroupItem {
  kind: number
  mh: Uint8Array
  sizeBytes: number
  /** Somebody gave it to this node. */
  isAdded: boolean
  /** The block's bytes where `kind` is ITEM_DATA, otherwise empty. */
  data: Uint8Array
}

export interface CommitArgs {
  /** `kind, length of the multihash, size of the block, 1 where it was added here` for each item. */
  heads: Uint32Array<ArrayBuffer>
  packed: ArrayBuffer
}

export function packGroup(items: readonly GroupItem[]): CommitArgs {
  let packedBytes = 0
  for (const item of items) packedBytes += item.mh.byteLength + item.data.byteLength
  const heads = new Uint32Array(items.length * NUMBERS_PER_ITEM)
  const packed = new Uint8Array(packedBytes)
  let offset = 0
  for (const [index, item] of items.entries()) {
    heads.set([item.kind, item.mh.byteLength, item.sizeBytes, Number(item.isAdded)], index * NUMBERS_PER_ITEM)
    packed.set(item.mh, offset)
    offset += item.mh.byteLength
    packed.set(item.data, offset)
    offset += item.data.byteLength
  }
  return { heads, packed: packed.buffer }
}

export function* readGroup({ heads, packed }: CommitArgs): Generator<GroupItem> {
  let offset = 0
  for (let index = 0; index < heads.length; index += NUMBERS_PER_ITEM) {
    const [kind, mhBytes, sizeBytes, added] = heads.subarray(index, index + NUMBERS_PER_ITEM) as unknown as [
      number,
      number,
      number,
      number,
    ]
    const mh = Buffer.from(packed, offset, mhBytes)
    offset += mhBytes
    const dataBytes = kind === ITEM_DATA ? sizeBytes : 0
    yield { kind, mh, sizeBytes, isAdded: added === 1, data: Buffer.from(packed, offset, dataBytes) }
    offset += dataBytes
  }
}

export function groupLength({ heads }: CommitArgs): number {
  return heads.length / NUMBERS_PER_ITEM
}
