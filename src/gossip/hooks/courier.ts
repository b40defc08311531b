import { isUtf8 } from 'node:buffer'
import { Agent } from 'node:http'
import { Agent as SecureAgent } from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
import { version } from '../../../config/version.ts'
import { FairSlots } from '../../../protocols/shared/fair-slots.ts'
import type { Logger } from '../../telemetry/types.ts'
import {
  DISABLED_AFTER_MS,
  FIRST_PAUSE_MS,
  LONGEST_ASKED_PAUSE_MS,
  LONGEST_PAUSE_MS,
  MAX_PROBLEM_CHARACTERS,
  MAX_REFUSALS,
  MAX_REQUESTS,
  REQUEST_TIMEOUT_MS,
} from './limits.ts'
import { post, type PostAnswer } from './post.ts'
import { signedHeaders } from './signature.ts'
import type { Delivery, HookStore, StoredHook } from './store.ts'

/** Other times than those of limits.ts, for tests. */
export interface HookTimes {
  requestTimeoutMs?: number
  firstPauseMs?: number
  disabledAfterMs?: number
}

export interface CourierOptions {
  store: HookStore
  /** It has given up: nothing more is sent until it is woken again. Called once its round is over, so that it may wait for others. */
  onDisabled: (hook: StoredHook) => void
  /** What became of an attempt. */
  count: (what: 'delivered' | 'failed' | 'refused') => void
  times: HookTimes
  log: Logger
  now: () => number
}

interface Round {
  abort: AbortController
  /** Something came since it began: there may be more than it saw when it looked last. */
  isWoken: boolean
  done: Promise<void>
}

/** How a round ended: nothing waits any more, the hook takes nothing, or it was broken off. */
type Outcome = 'through' | 'disabled' | 'ended'

const GONE = 410
/** Refusals that say nothing of the message: not now, not so fast, or who asks is not known. */
const PASSING = new Set([401, 403, 404, 407, 408, 421, 425, 429])

/**
 * Brings what waits to where it is wanted: of each hook one message after the other, in the order in which they were heard, the same
 * again until it is taken. Nothing runs and no timer is set where nothing waits.
 */
export class Courier {
  readonly #options: CourierOptions
  readonly #slots = new FairSlots(MAX_REQUESTS, 1)
  readonly #agents = {
    'http:': new Agent({ keepAlive: true }),
    'https:': new SecureAgent({ keepAlive: true }),
  }
  readonly #rounds = new Map<number, Round>()
  #isStopped = false

  constructor(options: CourierOptions) {
    this.#options = options
  }

  /** Something waits for the hook. */
  wake(hook: StoredHook): void {
    if (this.#isStopped) return
    const running = this.#rounds.get(hook.id)
    if (running !== undefined) {
      running.isWoken = true
      return
    }
    const round: Round = { abort: new AbortController(), isWoken: false, done: Promise.resolve() }
    this.#rounds.set(hook.id, round)
    round.done = this.#persist(hook, round.abort.signal).then((outcome) => {
      if (this.#rounds.get(hook.id) !== round) return
      this.#rounds.delete(hook.id)
      if (outcome === 'disabled') this.#options.onDisabled(hook)
      else if (round.isWoken) this.wake(hook)
    })
  }

  /** Breaks off what is under way for a hook; its messages stay where they are. */
  async end(hook: number): Promise<void> {
    const round = this.#rounds.get(hook)
    this.#rounds.delete(hook)
    round?.abort.abort(new Error('the hook is no more'))
    await round?.done
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all([...this.#rounds.keys()].map((hook) => this.end(hook)))
    for (const agent of Object.values(this.#agents)) agent.destroy()
  }

  /** Goes on after a pause where the disk has refused something: nobody else would. Never fails. */
  async #persist(hook: StoredHook, signal: AbortSignal): Promise<Outcome> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#run(hook, signal)
      } catch (error) {
        if (signal.aborted) return 'ended'
        this.#options.log.warn({ err: error, hook: hook.id }, 'messages could not be sent on; tried again')
      }
      try {
        await pause(this.#pauseMs(failures), undefined, { signal, ref: false })
      } catch {
        return 'ended'
      }
    }
  }

  async #run(hook: StoredHook, signal: AbortSignal): Promise<Outcome> {
    const { store, times, now, count } = this.#options
    const { disabledAfterMs = DISABLED_AFTER_MS } = times
    let failures = 0
    for (let next = store.head(hook.id); next !== undefined; next = store.head(hook.id)) {
      const answer = await this.#attempt(hook, next, signal)
      const problem = problemOf(answer)
      if (problem === undefined) {
        store.delivered(hook.id, next.id, now())
        count('delivered')
        failures = 0
        signal.throwIfAborted()
        continue
      }
      signal.throwIfAborted()
      count('failed')
      failures += 1
      const isRefused = 'status' in answer && isRefusal(answer.status)
      store.failed(hook.id, next.id, problem, isRefused, now())
      const failingSinceMs = store.find(hook.id)?.failingSinceMs ?? now()
      const isGone = 'status' in answer && answer.status === GONE
      if (isGone || now() - failingSinceMs >= disabledAfterMs) {
        return 'disabled'
      }
      if (isRefused && next.refusals + 1 >= MAX_REFUSALS) {
        store.giveUp(hook.id, next.id)
        count('refused')
        continue
      }
      const asked = 'status' in answer ? (answer.retryAfterMs ?? 0) : 0
      const ms = Math.max(this.#pauseMs(failures), Math.min(asked, LONGEST_ASKED_PAUSE_MS))
      await pause(ms, undefined, { signal, ref: false })
    }
    return 'through'
  }

  #pauseMs(failures: number): number {
    const { firstPauseMs = FIRST_PAUSE_MS } = this.#options.times
    const grownMs = Math.min(LONGEST_PAUSE_MS, firstPauseMs * 2 ** Math.min(failures - 1, 20))
    return grownMs * (0.5 + Math.random() / 2)
  }

  async #attempt(hook: StoredHook, delivery: Delivery, signal: AbortSignal): Promise<PostAnswer | Error> {
    const url = new URL(hook.url)
    const agent = this.#agents[url.protocol === 'https:' ? 'https:' : 'http:']
    const id = `msg_${delivery.sender}_${delivery.sequence}`
    const body = bodyOf(hook, delivery)
    await this.#slots.acquire(String(hook.id), signal)
    try {
      const bounded = AbortSignal.any([
        signal,
        AbortSignal.timeout(this.#options.times.requestTimeoutMs ?? REQUEST_TIMEOUT_MS),
      ])
      const headers = {
        'content-type': 'application/json',
        'user-agent': `p2pnode/${version}`,
        ...signedHeaders(hook.secret, { id, body, nowMs: this.#options.now() }),
      }
      return await post(url, { headers, body, agent, signal: bounded })
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    } finally {
      this.#slots.release(String(hook.id))
    }
  }
}

function bodyOf(
  { topic }: StoredHook,
  { sender, direct, sequence, timeMs, payload, heardAtMs }: Delivery,
): string {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  return JSON.stringify({
    type: 'message',
    timestamp: new Date(heardAtMs).toISOString(),
    data: {
      topic,
      sender,
      direct,
      sequence: sequence.toString(),
      timeMs,
      data: bytes.toString('base64'),
      text: isUtf8(bytes) ? bytes.toString('utf8') : null,
    },
  })
}

/** Undefined where it was taken. */
function problemOf(answer: PostAnswer | Error): string | undefined {
  if (answer instanceof Error) {
    const what =
      answer.name === 'AbortError' || answer.name === 'TimeoutError' ? 'no answer in time' : answer.message
    return what.slice(0, MAX_PROBLEM_CHARACTERS)
  }
  const { status } = answer
  if (status >= 200 && status < 300) return undefined
  return status >= 300 && status < 400
    ? `it answered ${status}, and redirects are not followed`
    : `it answered ${status}`
}

/** The receiver is there and does not want this message. */
function isRefusal(status: number): boolean {
  return status >= 400 && status < 500 && !PASSING.has(status)
}
