import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { StateTask, StateTaskReply } from './state.worker.ts'

/**
 * Runs a task in a worker thread of its own. Tasks are minutes apart, so a thread that waits for them would cost more
 * memory than starting one costs time.
 *
 * @throws the task's error; the signal's reason when it aborts
 */
export async function runStateTask(task: StateTask, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const worker = new Worker(new URL(`./state.worker${extension}`, import.meta.url), { workerData: task })
  try {
    // An error that nobody caught in the worker rejects too; a worker that ends without an answer aborts the wait.
    const ended = new AbortController()
    worker.once('exit', () => ended.abort(new Error('the worker ended without an answer')))
    const [reply] = (await once(worker, 'message', {
      signal: signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]),
    })) as [StateTaskReply]
    if (reply !== null) throw Object.assign(new Error(reply.error), { code: reply.code })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    await worker.terminate()
  }
}
