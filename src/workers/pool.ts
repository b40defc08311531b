import { availableParallelism } from 'node:os'
import type { Piscina } from 'piscina'
import { unlessAborted } from '../../protocols/shared/unless-aborted.ts'
import type { Logger } from '../telemetry/types.ts'
import { workCancelled, workersBusy, workersClosed, workersFailed } from './errors.ts'
import { CALLS_PER_THREAD, IDLE_THREAD_MS, MAX_THREADS, MAX_WAITING_CALLS, NICE_INCREMENT } from './limits.ts'
import { fromWire, type WireAnswer } from './wire.ts'

export interface WorkerCall {
  /** A file of the form `*.worker.ts`, or what it was built to: see `workerEntry`. */
  entry: URL
  /** The export of the entry that is called, made with `workerTask`. */
  task: string
  args: unknown
  /** Buffers of the arguments that move to the thread; they are empty afterwards, also where the call is cancelled. */
  transfer?: ArrayBuffer[]
  signal: AbortSignal
}

/**
 * Threads for work that takes longer than the event loop can spare. They start at the first call and end when nothing has come
 * for a while. Calls are taken in order; a caller's own bound on how many it has under way is its share of the memory.
 */
export interface WorkerPool {
  readonly threads: number
  /**
   * Resolves with what the task gave. A cancelled call that waits leaves the line; one that runs goes on, unheard: tasks are
   * short, and ending a thread costs more than they do.
   * @throws what the task threw; ERR_CANCELLED, ERR_WORKERS_BUSY, ERR_WORKERS_CLOSED, ERR_WORKERS_FAILED
   */
  run<T>(call: WorkerCall): Promise<T>
  /** Refuses what waits and what comes, and ends the threads. */
  close(): Promise<void>
}

export interface WorkerPoolOptions {
  /** By default one less than the processor can run at once, from 1 to MAX_THREADS. */
  threads?: number
  /** How long a thread without work stays. */
  idleThreadMs?: number
  log: Logger
}

export function createWorkerPool(options: WorkerPoolOptions): WorkerPool {
  return new ThreadPool(options)
}

/** The URL of a worker entry beside a module: sources start sources, what was built starts what was built. */
export function workerEntry(name: string, importer: string): URL {
  return new URL(`./${name}.worker${importer.endsWith('.ts') ? '.ts' : '.js'}`, importer)
}

interface Waiting {
  start(): void
  refuse(error: Error): void
}

class ThreadPool implements WorkerPool {
  readonly threads: number
  readonly #idleThreadMs: number
  readonly #log: Logger
  readonly #waiting = new Set<Waiting>()
  #piscina: Promise<Piscina> | undefined
  #live: Piscina | undefined
  #underWay = 0
  #closed: Promise<void> | undefined

  constructor(options: WorkerPoolOptions) {
    this.threads = options.threads ?? Math.max(1, Math.min(MAX_THREADS, availableParallelism() - 1))
    this.#idleThreadMs = options.idleThreadMs ?? IDLE_THREAD_MS
    this.#log = options.log
  }

  async run<T>(call: WorkerCall): Promise<T> {
    if (this.#closed !== undefined) throw workersClosed()
    if (call.signal.aborted) throw workCancelled(call.signal.reason)
    if (this.#underWay >= this.threads * CALLS_PER_THREAD || this.#waiting.size > 0) {
      await this.#turn(call.signal)
    } else {
      this.#underWay += 1
    }
    const work = this.#work(call).finally(() => {
      this.#underWay -= 1
      this.#next()
    })
    const answer = await unlessAborted(work, call.signal, { errorOf: workCancelled })
    if ('error' in answer) throw fromWire(answer.error)
    return answer.value as T
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      for (const waiting of this.#waiting) waiting.refuse(workersClosed())
      this.#waiting.clear()
      const piscina = await this.#piscina?.catch(() => undefined)
      await piscina?.destroy()
    })()
    return this.#closed
  }

  /** Waits in line; whoever comes back from here is under way. */
  #turn(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= MAX_WAITING_CALLS) throw workersBusy()
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        start() {
          signal.removeEventListener('abort', onAbort)
          resolve()
        },
        refuse(error) {
          signal.removeEventListener('abort', onAbort)
          reject(error)
        },
      }
      const onAbort = (): void => {
        this.#waiting.delete(waiting)
        waiting.refuse(workCancelled(signal.reason))
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(waiting)
    })
  }

  #next(): void {
    for (const waiting of this.#waiting) {
      if (this.#underWay >= this.threads * CALLS_PER_THREAD) return
      this.#waiting.delete(waiting)
      this.#underWay += 1
      waiting.start()
    }
  }

  async #work(call: WorkerCall): Promise<WireAnswer> {
    try {
      // Without the signal: piscina would end the thread, and with it the other calls that it has taken.
      const piscina = await (this.#piscina ??= this.#start())
      if (this.#closed !== undefined) throw workersClosed()
      return (await piscina.run(call.args, {
        filename: call.entry.href,
        name: call.task,
        transferList: (call.transfer ?? []) as never,
      })) as WireAnswer
    } catch (error) {
      if (this.#closed !== undefined) throw workersClosed()
      this.#log.error({ err: error, task: call.task }, 'a worker thread failed')
      throw workersFailed(error)
    }
  }

  async #start(): Promise<Piscina> {
    // Only now: a node that never puts or gets private files does not load it.
    const { Piscina } = await import('piscina')
    const piscina = new Piscina({
      minThreads: 0,
      maxThreads: this.threads,
      idleTimeout: this.#idleThreadMs,
      // Elsewhere it is the whole process that steps back, and again with each thread that starts.
      niceIncrement: process.platform === 'linux' ? NICE_INCREMENT : 0,
      // Nothing in a thread reads the environment, which may hold a passphrase.
      env: {},
      recordTiming: false,
    })
    // Of a thread that ended before it took a call. What was meant for it would wait for ever.
    piscina.on('error', (error: unknown) => {
      this.#log.error({ err: error }, 'a worker thread ended')
      if (this.#live === piscina) this.#piscina = this.#live = undefined
      void piscina.destroy()
    })
    this.#live = piscina
    return piscina
  }
}
