import { type GroupItem, packGroup } from './group.ts'
import type { Writer } from './writer.ts'

/** Items of one transaction: some 5 ms of each thread, so that other operations get their turn. */
const MAX_GROUP_ITEMS = 256

/** Bytes of one transaction: two of them fit in the log between two checkpoints several times over. */
const MAX_GROUP_BYTES = 2 * 1024 * 1024

interface Waiting {
  item: GroupItem
  resolve(outcome: number): void
  reject(error: unknown): void
}

/**
 * Group commit: what arrives while a transaction is under way forms the next one, so that one flush of the log serves
 * them all. The queue is bounded by the admission of puts before it.
 */
export class GroupCommitter {
  readonly #writer: Writer
  #queue: Waiting[] = []
  #running = false

  constructor(writer: Writer) {
    this.#writer = writer
  }

  /** Resolves with the item's outcome once its transaction is durable. */
  add(item: GroupItem): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject })
      if (this.#running) return
      this.#running = true
      // What is put in the same turn of the event loop joins the first group already.
      setImmediate(() => void this.#run())
    })
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#takeGroup()
      const args = packGroup(group.map(({ item }) => item))
      try {
        const transfer = [args.packed, args.heads.buffer]
        const outcomes = await this.#writer.call<Uint8Array>('blocks.commit', args, { transfer })
        for (const [index, { resolve }] of group.entries()) resolve(outcomes[index] as number)
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    this.#running = false
  }

  #takeGroup(): Waiting[] {
    let bytes = 0
    let length = 0
    for (const { item } of this.#queue) {
      if (length > 0 && (length >= MAX_GROUP_ITEMS || bytes + item.data.byteLength > MAX_GROUP_BYTES)) break
      bytes += item.data.byteLength
      length++
    }
    return this.#queue.splice(0, length)
  }
}
