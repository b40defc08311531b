import { FairSlots } from '../../../protocols/shared/fair-slots.ts'

const EVERYBODY = ''

/** Work of which only so much runs at once; what fails or is cancelled gives undefined. */
export class Slots {
  readonly #slots: FairSlots

  constructor(total: number) {
    this.#slots = new FairSlots(total, total)
  }

  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
    try {
      await this.#slots.acquire(EVERYBODY, signal)
    } catch {
      return undefined
    }
    try {
      return await work()
    } catch {
      return undefined
    } finally {
      this.#slots.release(EVERYBODY)
    }
  }
}
