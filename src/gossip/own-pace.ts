import { gossipStopped, publishBusy } from './errors.ts'
import { MAX_WAITING_FOR_PACE, MAX_WAITING_TO_SEND_BYTES, OWN_PACE } from './limits.ts'
import { type Rate, RateLimits } from './rate.ts'
import type { TopicRules } from './topics.ts'

interface Waiting {
  bytes: number
  resolve: () => void
  reject: (error: Error) => void
}

/** What waits under one topic, in the order it came. */
interface Queue {
  rules: TopicRules
  waiting: Waiting[]
  timer: NodeJS.Timeout | undefined
}

/**
 * Keeps what this node says below the rates to which others hold every author: what is over them is dropped on the way, and those who
 * drop it think the worse of this node.
 */
export class OwnPace {
  readonly #rates: RateLimits
  readonly #queues = new Map<string, Queue>()
  #waitingBytes = 0

  /** @param topics how many there are at most */
  constructor({ topics, now }: { topics: number; now: () => number }) {
    this.#rates = new RateLimits(Math.max(1, topics), now)
  }

  /** Whether something may be said under the topic now, and nobody waits to say something; then it counts as said. */
  take({ name, authorRate }: TopicRules): boolean {
    return !this.#queues.has(name) && this.#rates.take(name, paceOf(authorRate))
  }

  /** Resolves when something may be said, and then it counts as said. @throws ERR_GOSSIP_BUSY, ERR_GOSSIP_STOPPED */
  wait(rules: TopicRules, bytes: number): Promise<void> {
    const queue = this.#queues.get(rules.name) ?? { rules, waiting: [], timer: undefined }
    const isFull = queue.waiting.length >= MAX_WAITING_FOR_PACE
    if (isFull || this.#waitingBytes + bytes > MAX_WAITING_TO_SEND_BYTES)
      return Promise.reject(publishBusy(rules.name))
    this.#waitingBytes += bytes
    this.#queues.set(rules.name, queue)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    queue.waiting.push({ bytes, resolve, reject })
    if (queue.timer === undefined) this.#goOn(queue)
    return promise
  }

  /** Nothing that waits is said any more. */
  stop(): void {
    for (const { timer, waiting } of this.#queues.values()) {
      clearTimeout(timer)
      for (const { reject } of waiting) reject(gossipStopped())
    }
    this.#queues.clear()
    this.#waitingBytes = 0
  }

  #goOn(queue: Queue): void {
    const { name, authorRate } = queue.rules
    const pace = paceOf(authorRate)
    while (queue.waiting.length > 0 && this.#rates.take(name, pace)) {
      const next = queue.waiting.shift()
      this.#waitingBytes -= next?.bytes ?? 0
      next?.resolve()
    }
    if (queue.waiting.length === 0) {
      this.#queues.delete(name)
      return
    }
    const inMs = Math.max(1, Math.ceil(this.#rates.waitMs(name, pace)))
    queue.timer = setTimeout(() => this.#goOn(queue), inMs).unref()
  }
}

/** Of what others allow an author. */
function paceOf({ perSecond, burst }: Rate): Rate {
  return { perSecond: OWN_PACE * perSecond, burst: Math.max(1, Math.floor(OWN_PACE * burst)) }
}
