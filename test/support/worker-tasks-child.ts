/** What the tests of the worker pool run in its threads. */
import { threadId } from 'node:worker_threads'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { workerTask } from '../../src/workers/task.ts'

const order: string[] = []

/** Says in which thread and after which others it ran. */
export const note = workerTask<string, { threadId: number; order: string[] }>((name) => {
  order.push(name)
  return { value: { threadId, order: [...order] } }
})

/** Holds its thread until the flag is set. */
export const hold = workerTask<Int32Array, string>((flag) => {
  Atomics.store(flag, 1, 1)
  Atomics.notify(flag, 1)
  Atomics.wait(flag, 0, 0)
  return { value: 'held' }
})

export const double = workerTask<Uint8Array, Uint8Array>((bytes) => {
  const value = bytes.map((byte) => byte * 2)
  return { value, transfer: [value.buffer] }
})

export const refuse = workerTask<string, never>((what) => {
  throw new P2pnodeError('ERR_TEST', 'denied', what, { details: { why: 'test' } })
})

export const fail = workerTask<null, never>(() => {
  throw new TypeError('a mistake')
})

export const end = workerTask<null, never>(() => process.exit(3))

export const environment = workerTask<null, string[]>(() => ({ value: Object.keys(process.env) }))
