import { forgetOldest } from '../shared/forget-oldest.ts'
import { Pacer } from '../shared/pacer.ts'
import { MAX_REFUSALS, REFUSAL_MS } from './limits.ts'
import { tagsOf } from './tags.ts'
import { joined } from './view.ts'

/** What one set has refused, so that it is not brought again at every session. In memory: a restart asks once more. */
export class Refusals {
  readonly #untilMs = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  add(id: Uint8Array): void {
    const name = Buffer.from(id).toString('latin1')
    this.#untilMs.delete(name)
    forgetOldest(this.#untilMs, MAX_REFUSALS)
    this.#untilMs.set(name, this.#now() + REFUSAL_MS)
  }

  /** What stands for them under a session's key. */
  async tags(key: Uint8Array): Promise<ReadonlySet<bigint>> {
    const nowMs = this.#now()
    for (const [name, untilMs] of this.#untilMs) {
      // In the order of their times, as long as the clock is not set back.
      if (untilMs > nowMs) break
      this.#untilMs.delete(name)
    }
    const ids = Buffer.from([...this.#untilMs.keys()].join(''), 'latin1')
    const numbers = await tagsOf(ids, key, new Pacer())
    const tags = new Set<bigint>()
    for (let at = 0; at < numbers.length; at += 2) tags.add(joined(numbers[at]!, numbers[at + 1]!))
    return tags
  }
}
