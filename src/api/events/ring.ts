/** One event as it is sent. */
export interface SentEvent {
  /** Counts up from 1 within one life of the daemon. */
  number: number
  topic: string
  /** The whole text of the event, its id included. */
  text: string
}

/** The last events, bounded by number and by size, for clients that come back. */
export class EventRing {
  readonly #events: SentEvent[] = []
  readonly #maxEvents: number
  readonly #maxBytes: number
  /** Of `#events`: those before were dropped and wait for the array to be compacted. */
  #first = 0
  #bytes = 0
  #lastNumber = 0

  constructor(maxEvents: number, maxBytes: number) {
    this.#maxEvents = maxEvents
    this.#maxBytes = maxBytes
  }

  get lastNumber(): number {
    return this.#lastNumber
  }

  add(event: SentEvent): void {
    this.#events.push(event)
    this.#bytes += event.text.length
    this.#lastNumber = event.number
    while (this.#events.length - this.#first > this.#maxEvents || this.#bytes > this.#maxBytes) {
      const dropped = this.#events[this.#first]
      if (dropped === undefined) break
      this.#bytes -= dropped.text.length
      this.#first += 1
    }
    // Compacted rarely, so that dropping one event does not move all the others.
    if (this.#first > this.#maxEvents) {
      this.#events.splice(0, this.#first)
      this.#first = 0
    }
  }

  /** Events after `number`, or undefined where some of them are no longer kept (or never were). */
  after(number: number): SentEvent[] | undefined {
    if (number > this.#lastNumber) return undefined
    const oldest = this.#events[this.#first]?.number ?? this.#lastNumber + 1
    if (number < oldest - 1) return undefined
    return this.#events.slice(this.#first + (number - (oldest - 1)))
  }
}
