interface Group {
  held: number
  waiting: (() => void)[]
}

/**
 * A bounded number of slots, shared fairly: while all are taken, those who wait are served one group after the other,
 * so that a peer that asks a hundred times gets no more than one that asks once.
 */
export class FairSlots {
  readonly #total: number
  readonly #perGroup: number
  /** Groups that hold or wait for slots; the order is the order of turns. */
  readonly #groups = new Map<string, Group>()
  #held = 0

  constructor(total: number, perGroup: number) {
    this.#total = total
    this.#perGroup = perGroup
  }

  get held(): number {
    return this.#held
  }

  /** @throws the signal's reason */
  async acquire(name: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const group = this.#groups.get(name) ?? { held: 0, waiting: [] }
    this.#groups.set(name, group)
    if (group.waiting.length === 0 && this.#held < this.#total && group.held < this.#perGroup) {
      group.held += 1
      this.#held += 1
      return
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        group.waiting.splice(group.waiting.indexOf(take), 1)
        this.#forgetUnused(name, group)
        reject(signal.reason as Error)
      }
      const take = (): void => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      group.waiting.push(take)
    })
  }

  release(name: string): void {
    const group = this.#groups.get(name)
    if (group === undefined || group.held === 0) throw new Error(`no slot of ${name} is taken`)
    group.held -= 1
    this.#held -= 1
    this.#forgetUnused(name, group)
    this.#grant()
  }

  #grant(): void {
    for (const [name, group] of this.#groups) {
      if (this.#held >= this.#total) return
      if (group.waiting.length === 0 || group.held >= this.#perGroup) continue
      group.held += 1
      this.#held += 1
      // To the end of the line.
      this.#groups.delete(name)
      this.#groups.set(name, group)
      group.waiting.shift()?.()
    }
  }

  #forgetUnused(name: string, group: Group): void {
    if (group.held === 0 && group.waiting.length === 0) this.#groups.delete(name)
  }
}
