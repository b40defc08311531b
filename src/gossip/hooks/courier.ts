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
  /** It has given up: nothing more is sent until somebody enables it. */
  onDisabled: (hook: StoredHook) => Promise<void>
  /** What became of an attempt. */
  count: (what: 'delivered' | 'failed' | 'refused') => void
  times: HookTimes
  log: Logger
  now: () => number
}

interface Round {
  abort: AbortController
  done: Promise<void>
}

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
    if (this.#isStopped || this.#rounds.has(hook.id)) return
    const abort = new AbortController()
    const done = this.#run(hook, abort.signal)
      .catch((error: unknown) => {
        if (!abort.signal.aborted)
          this.#options.log.warn({ err: error, hook: hook.id }, 'messages could not be sent on')
        return false
      })
      .then((isThrough) => {
        if (this.#rounds.get(hook.id)?.abort !== abort) return
        this.#rounds.delete(hook.id)
        // Something may have come after the last look.
        if (isThrough && this.#options.store.head(hook.id) !== undefined) this.wake(hook)
      })
    this.#rounds.set(hook.id, { abort, done })
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

  /** True once nothing waits any more; false where the hook was disabled. */
  async #run(hook: StoredHook, signal: AbortSignal): Promise<boolean> {
    const { store, times, now, count } = this.#options
    const { firstPauseMs = FIRST_PAUSE_MS, disabledAfterMs = DISABLED_AFTER_MS } = times
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
        await this.#options.onDisabled(hook)
        return false
      }
      if (isRefused && next.refusals + 1 >= MAX_REFUSALS) {
        store.giveUp(hook.id, next.id)
        count('refused')
        continue
      }
      const grownMs = Math.min(LONGEST_PAUSE_MS, firstPauseMs * 2 ** Math.min(failures - 1, 20))
      const asked = 'status' in answer ? (answer.retryAfterMs ?? 0) : 0
      const ms = Math.max(grownMs * (0.5 + Math.random() / 2), Math.min(asked, LONGEST_ASKED_PAUSE_MS))
      await pause(ms, undefined, { signal, ref: false })
    }
    return true
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
