/** Small means by which puts, reads and removals wait for each other. */
import { unlessAborted } from '../../../protocols/shared/unless-aborted.ts'
import { cancelled, storageBusy } from '../errors.ts'

/**
 * Lets in what fits under a bound on count and bytes, first come first served; the rest waits. The wait is the
 * back-pressure that a caller of `put` feels.
 */
export class Admission {
  readonly #limits: { count: number; bytes: number; waiting: number }
  readonly #waiting: { bytes: number; enter: () => void }[] = []
  #count = 0
  #bytes = 0

  constructor(limits: { count: number; bytes: number; waiting: number }) {
    this.#limits = limits
  }

  /**
   * Resolves with the function that leaves again.
   * @throws ERR_CANCELLED, ERR_STORAGE_BUSY where too many wait
   */
  enter(bytes: number, signal?: AbortSignal): Promise<() => void> {
    if (signal?.aborted === true) return Promise.reject(cancelled(signal.reason))
    if (this.#waiting.length === 0 && this.#fits(bytes)) return Promise.resolve(this.#take(bytes))
    if (this.#waiting.length >= this.#limits.waiting) {
      return Promise.reject(storageBusy('block operations', this.#limits.waiting))
    }
    return new Promise((resolve, reject) => {
      const entry = {
        bytes,
        enter: () => {
          signal?.removeEventListener('abort', abort)
          resolve(this.#take(bytes))
        },
      }
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1)
        reject(cancelled(signal?.reason))
        this.#letIn()
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiting.push(entry)
    })
  }

  #fits(bytes: number): boolean {
    if (this.#count === 0) return true
    return this.#count < this.#limits.count && this.#bytes + bytes <= this.#limits.bytes
  }

  #take(bytes: number): () => void {
    this.#count++
    this.#bytes += bytes
    let inside = true
    return () => {
      if (!inside) return
      inside = false
      this.#count--
      this.#bytes -= bytes
      this.#letIn()
    }
  }

  #letIn(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift()
      next.enter()
    }
  }
}

/** One at a time for each key: a block's file is written, moved or removed by one party only. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<unknown>>()

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)
    const mine = before === undefined ? work() : before.then(work, work)
    this.#tails.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key)
    }
  }
}

/**
 * Runs one task a key at a time, and serves all who asked while it ran with the next run: everybody's run begins after
 * they asked. That is what a flush of a folder needs, many puts sharing one.
 */
export class SharedRuns {
  readonly #run: (key: string) => Promise<void>
  readonly #keys = new Map<string, { current: Promise<void>; next: Promise<void> | undefined }>()

  constructor(run: (key: string) => Promise<void>) {
    this.#run = run
  }

  request(key: string): Promise<void> {
    const state = this.#keys.get(key)
    if (state === undefined) return this.#start(key)
    state.next ??= state.current.then(
      () => this.#start(key),
      () => this.#start(key),
    )
    return state.next
  }

  #start(key: string): Promise<void> {
    const current = this.#run(key)
    const state = { current, next: undefined as Promise<void> | undefined }
    this.#keys.set(key, state)
    const end = (): void => {
      if (this.#keys.get(key) === state && state.next === undefined) this.#keys.delete(key)
    }
    current.then(end, end)
    return current
  }
}

/** Settles as `work` does, or rejects as soon as the signal aborts; `work` itself goes on. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return signal === undefined ? work : unlessAborted(work, signal, { errorOf: cancelled })
}
