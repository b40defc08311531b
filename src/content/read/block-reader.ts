import type { CID } from 'multiformats/cid'

/** Where a reader of a DAG gets its blocks: what is held, or, behind the same face, what can be fetched. */
export interface BlockReader {
  /** @throws ERR_NOT_FOUND, ERR_FETCH_STALLED, ERR_CANCELLED */
  get(cid: CID, signal: AbortSignal): Promise<Uint8Array>
}

/** How far ahead of its consumer a reader asks: deep enough that one slow block does not stall a stream. */
export interface ReadAhead {
  bytes: number
  blocks: number
}

export const READ_AHEAD: ReadAhead = { bytes: 8 * 1024 * 1024, blocks: 32 }

/**
 * Gives the blocks of `items` in their order, with some on their way before they are asked for. Nothing goes on behind
 * the back of a consumer that stops.
 */
export async function* readAhead<Item>(
  items: Iterable<Item>,
  read: (item: Item, signal: AbortSignal) => Promise<Uint8Array>,
  sizeBytes: (item: Item) => number,
  signal: AbortSignal,
  limit: ReadAhead = READ_AHEAD,
): AsyncGenerator<{ item: Item; bytes: Uint8Array }> {
  const stop = new AbortController()
  const combined = AbortSignal.any([signal, stop.signal])
  const queue: { item: Item; sizeBytes: number; bytes: Promise<Uint8Array> }[] = []
  let queuedBytes = 0
  const iterator = items[Symbol.iterator]()
  let ended = false
  const fill = (): void => {
    while (!ended && queue.length < limit.blocks && (queue.length === 0 || queuedBytes < limit.bytes)) {
      const next = iterator.next()
      if (next.done === true) {
        ended = true
        return
      }
      const bytes = read(next.value, combined)
      // Whoever takes it gets the error; until then it must not count as unhandled.
      bytes.catch(() => {})
      const size = sizeBytes(next.value)
      queuedBytes += size
      queue.push({ item: next.value, sizeBytes: size, bytes })
    }
  }
  try {
    for (;;) {
      fill()
      const first = queue.shift()
      if (first === undefined) return
      const bytes = await first.bytes
      queuedBytes -= first.sizeBytes
      yield { item: first.item, bytes }
    }
  } finally {
    stop.abort()
  }
}
