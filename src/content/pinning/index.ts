/**
 * Pinning for others, as the Pinning Service API asks for it: requests on record, worked on in the background until each is
 * pinned or has failed.
 *
 * @example
 * const pinning = createPinning({ state, jobs, pins: storage.pins, connect, isPrivate, log })
 * pinning.start() // after jobs.start()
 * const { id } = await pinning.add({ cid: 'bafy…', origins: ['/ip4/192.0.2.1/tcp/4001/p2p/12D3…'] })
 * pinning.get(id)?.status
 */
import { randomUUID } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Pins } from '../../storage/types.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { PrivateMark } from '../private/types.ts'
import { NOTHING_PRIVATE } from '../private/types.ts'
import { checkedPin } from './check.ts'
import { requestNotFound, tooManyRequests } from './errors.ts'
import { MAX_REQUESTS } from './limits.ts'
import { PinRequestStore, type StoredRequest } from './store.ts'
import type { NewPin, PinningService, PinRequest } from './types.ts'
import { pinNameOf, PinWorker, type PinWorkerOptions } from './worker.ts'

export type * from './types.ts'

export interface PinningOptions
  extends Pick<PinWorkerOptions, 'jobs' | 'connect' | 'patienceMs' | 'firstRetryMs'> {
  state: Pick<StateDatabase, 'db' | 'write' | 'writeRelaxed'>
  pins: Pick<Pins, 'list' | 'remove'>
  /** Whether a CID must not be told of outside the swarm; by default none is. */
  isPrivate?: PrivateMark['isPrivate']
  log: Logger
  now?: () => number
}

export interface Pinning extends PinningService {
  /** Call after `jobs.start()`. */
  start(): void
  /** Call before `jobs.stop()`: requests under way stay as they are, and go on after the next start. */
  stop(): Promise<void>
}

export function createPinning(options: PinningOptions): Pinning {
  const { state, pins, now = Date.now, isPrivate = NOTHING_PRIVATE.isPrivate, ...rest } = options
  const log = options.log.child({ part: 'pinning' })
  const store = new PinRequestStore(state)
  const worker = new PinWorker({ ...rest, store, isPrivate, log, now })

  const add = async (pin: NewPin): Promise<StoredRequest> => {
    const checked = checkedPin(pin)
    if (store.count() >= MAX_REQUESTS) throw tooManyRequests(MAX_REQUESTS)
    const request = await store.insert({ id: randomUUID(), ...checked }, now())
    worker.wake()
    return request
  }
  const remove = async (id: string, signal: AbortSignal): Promise<void> => {
    const request = store.get(id)
    if (request === undefined) throw requestNotFound(id)
    await worker.abandon(request)
    try {
      await pins.remove(CID.parse(request.cid), { name: pinNameOf(id), signal })
    } catch (error) {
      if (!(error instanceof P2pnodeError && error.code === 'ERR_PIN_NOT_FOUND')) throw error
    }
    // Last: after a crash before it, it can be asked for again.
    await store.remove(id)
  }

  /** A pin that somebody removed on the node itself is none. */
  const truthful = (request: StoredRequest): PinRequest => {
    if (request.status !== 'pinned') return request
    const held = pins.list({ cid: CID.parse(request.cid), name: pinNameOf(request.id), limit: 1 })
    if (held.pins.length > 0) return request
    return { ...request, status: 'failed', reason: 'the pin was removed on the node itself' }
  }

  return {
    add,
    get(id) {
      const request = store.get(id)
      return request === undefined ? undefined : truthful(request)
    },
    list(query) {
      const { count, requests } = store.list(query)
      return { count, requests: requests.map(truthful) }
    },
    async replace(id, pin) {
      if (store.get(id) === undefined) throw requestNotFound(id)
      const request = await add(pin)
      // Not called off with the client: half a replacement would be two requests.
      await remove(id, new AbortController().signal)
      return request
    },
    remove: (id, { signal }) => remove(id, signal),
    start: () => worker.start(),
    stop: () => worker.stop(),
  }
}
