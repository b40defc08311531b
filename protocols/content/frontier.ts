import { keyOf } from './hash.ts'
import { MAX_VISITED_NODES } from './limits.ts'
import { needsExpansion, type Visit } from './walk.ts'

/**
 * One block that a fetch still has to deal with.
 *
 * `waiting`: in line. `taken`: being looked up, asked for, or on its way into the sink. `out`: in line no more.
 */
export interface Item {
  readonly visit: Visit
  readonly key: string
  readonly isInner: boolean
  state: 'waiting' | 'taken' | 'out'
  /** The block itself has come or was held; what is below is still to be looked at. */
  isCounted: boolean
  /** Peers that do not have it. */
  missedBy: Set<string> | undefined
  /** Not part of the DAG as far as known: asked for by `need`. */
  readonly isExtra: boolean
  previous: Item | undefined
  next: Item | undefined
}

/**
 * What a fetch has discovered and not finished, in the order of a reader: depth first, entries in their order. A node's
 * links take its place, so that a node which arrives early does not move ahead of its elder siblings.
 */
export class Frontier {
  #first: Item | undefined
  #last: Item | undefined
  readonly #byKey = new Map<string, Item>()
  /** Inner nodes that were expanded whole; the oldest are forgotten first. */
  readonly #visited = new Set<string>()
  size = 0
  /** Items in line that have nothing below them. */
  waitingLeaves = 0
  /** Inner nodes under way. */
  takenInner = 0

  /** Puts the visits in the place of `parent`, or at the end; those that are in line or done already are left out. */
  add(visits: readonly Visit[], parent?: Item): void {
    let previous = parent === undefined ? this.#last : parent
    for (const visit of visits) {
      const key = keyOf(visit.cid)
      if (this.#isKnown(visit, key)) continue
      const item = makeItem(visit, key, false)
      this.#insertAfter(item, previous)
      if (!this.#byKey.has(key)) this.#byKey.set(key, item)
      if (!item.isInner) this.waitingLeaves += 1
      previous = item
    }
  }

  find(key: string): Item | undefined {
    return this.#byKey.get(key)
  }

  /**
   * The next in line, up to `most`. Inner nodes that are not the very first are taken only as `mayTakeInner` allows;
   * the line is not overtaken.
   */
  take(most: number, mayTakeInner: () => boolean): Item[] {
    const taken: Item[] = []
    for (let item = this.#first; item !== undefined && taken.length < most; item = item.next) {
      if (item.state === 'taken') continue
      if (item.isInner && this.takenInner > 0 && !mayTakeInner()) break
      this.#mark(item)
      taken.push(item)
    }
    return taken
  }

  /** Takes this one out of turn. */
  takeItem(item: Item): boolean {
    if (item.state !== 'waiting') return false
    this.#mark(item)
    return true
  }

  /** Back in line, in its old place: its block is held by now, and to be looked up again. */
  putBack(item: Item): void {
    if (item.state !== 'taken') return
    item.state = 'waiting'
    item.isCounted = true
    if (item.isInner) this.takenInner -= 1
    else this.waitingLeaves += 1
  }

  /** Done with it. */
  remove(item: Item): void {
    if (item.state === 'out') return
    if (item.isInner) {
      if (item.state === 'taken') this.takenInner -= 1
    } else if (item.state !== 'taken') this.waitingLeaves -= 1
    if (item.previous === undefined) this.#first = item.next
    else item.previous.next = item.next
    if (item.next === undefined) this.#last = item.previous
    else item.next.previous = item.previous
    if (this.#byKey.get(item.key) === item) this.#byKey.delete(item.key)
    item.state = 'out'
    this.size -= 1
  }

  /** Remembers that everything below an inner node was put in line. */
  markVisited(item: Item): void {
    if (isPartial(item.visit)) return
    this.#visited.add(item.key)
    if (this.#visited.size <= MAX_VISITED_NODES) return
    for (const oldest of this.#visited) {
      this.#visited.delete(oldest)
      return
    }
  }

  #mark(item: Item): void {
    item.state = 'taken'
    if (item.isInner) this.takenInner += 1
    else this.waitingLeaves -= 1
  }

  #isKnown(visit: Visit, key: string): boolean {
    if (!needsExpansion(visit)) return this.#byKey.has(key)
    if (isPartial(visit)) return false
    if (this.#visited.has(key)) return true
    const other = this.#byKey.get(key)
    return other !== undefined && other.isInner && !isPartial(other.visit)
  }

  #insertAfter(item: Item, previous: Item | undefined): void {
    item.previous = previous
    item.next = previous === undefined ? this.#first : previous.next
    if (item.previous === undefined) this.#first = item
    else item.previous.next = item
    if (item.next === undefined) this.#last = item
    else item.next.previous = item
    this.size += 1
  }
}

export function makeItem(visit: Visit, key: string, isExtra: boolean): Item {
  return {
    visit,
    key,
    isInner: needsExpansion(visit),
    state: isExtra ? 'out' : 'waiting',
    isCounted: false,
    missedBy: undefined,
    isExtra,
    previous: undefined,
    next: undefined,
  }
}

/** Only a part of what is below is wanted, and another visit of the same node may want another part. */
function isPartial(visit: Visit): boolean {
  return visit.path.length > 0 || visit.span !== undefined || visit.range !== undefined
}
