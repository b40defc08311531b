import { BroughtElsewhere } from './errors.ts'
import type { Item } from './frontier.ts'
import { matches } from './hash.ts'
import { MAX_HELPED_BLOCKS } from './limits.ts'
import type { Source } from './source.ts'
import type { Helper } from './types.ts'

/** Stands among the peers that lack a block where no helper could bring it. */
const HELPERS = 'helpers'

interface Task {
  item: Item
  /** In the order in which they are asked; `next` of them have been. */
  order: Helper[]
  next: number
  pending: number
  askedMs: number
  abort: AbortController
}

export interface HelperSetInit {
  helpers: readonly Helper[]
  /** Aborted when the fetch ends. */
  signal: AbortSignal
  onBlock(item: Item, bytes: Uint8Array, from: string): void
  onMissing(item: Item): void
}

/**
 * Whoever else can bring blocks that no peer has, in order. For each block the first is asked; when it cannot, or takes
 * longer than its head start, the next as well. The one that brought a block is asked first for those that follow.
 */
export class HelperSet {
  readonly #init: HelperSetInit
  readonly #tasks = new Set<Task>()
  #lead: Helper | undefined

  constructor(init: HelperSetInit) {
    this.#init = init
  }

  /** One of them has brought something: it is worth asking without waiting for anybody. */
  get hasLead(): boolean {
    return this.#lead !== undefined
  }

  get isBusy(): boolean {
    return this.#tasks.size > 0
  }

  get hasRoom(): boolean {
    return this.#init.helpers.length > 0 && this.#tasks.size < MAX_HELPED_BLOCKS
  }

  /** False where all have been asked for it. */
  canBring({ missedBy }: Item): boolean {
    return this.#init.helpers.length > 0 && missedBy?.has(HELPERS) !== true
  }

  /** Asks for what none of the sources has; returns the rest. */
  takeFrom(items: Item[], sources: readonly Source[]): Item[] {
    return items.filter((item) => {
      if (!isLacking(item, sources) || !this.hasRoom || !this.canBring(item)) return true
      this.#ask(item)
      return false
    })
  }

  #ask(item: Item): void {
    const { helpers } = this.#init
    const lead = this.#lead
    const order = lead === undefined ? [...helpers] : [lead, ...helpers.filter((helper) => helper !== lead)]
    const task: Task = { item, order, next: 0, pending: 0, askedMs: 0, abort: new AbortController() }
    this.#tasks.add(task)
    this.#askNext(task)
  }

  /** To be called now and then: who is slow is overlapped by the next. */
  tick(now: number): void {
    for (const task of this.#tasks) {
      const current = task.order[task.next - 1]
      if (current !== undefined && now - task.askedMs > current.headStartMs) this.#askNext(task)
    }
  }

  /** The fetch has ended. */
  dismiss(): void {
    for (const { abort } of this.#tasks) abort.abort()
    this.#tasks.clear()
  }

  #askNext(task: Task): void {
    const helper = task.order[task.next]
    if (helper === undefined) return
    task.next += 1
    task.pending += 1
    task.askedMs = performance.now()
    helper.fetch(task.item.visit.cid, { signal: task.abort.signal }).then(
      ({ bytes, from }) => this.#answered(task, helper, bytes, from),
      () => this.#missed(task),
    )
  }

  #answered(task: Task, helper: Helper, bytes: Uint8Array, from: string): void {
    if (!this.#tasks.has(task)) return
    if (!matches(task.item.visit.cid, bytes)) return this.#missed(task)
    this.#tasks.delete(task)
    task.abort.abort(new BroughtElsewhere())
    this.#lead = helper
    this.#init.onBlock(task.item, bytes, from)
  }

  #missed(task: Task): void {
    task.pending -= 1
    if (!this.#tasks.has(task)) return
    this.#askNext(task)
    if (task.pending > 0) return
    this.#tasks.delete(task)
    ;(task.item.missedBy ??= new Set()).add(HELPERS)
    this.#init.onMissing(task.item)
  }
}

/** Whether all of the sources, none of them too, have said that they do not have it. */
export function isLacking({ missedBy }: Item, sources: readonly Source[]): boolean {
  return sources.every(({ name }) => missedBy?.has(name) === true)
}
