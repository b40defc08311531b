import type { CID } from 'multiformats/cid'
import { isSupportedHash, keyOf, matches } from '../../../protocols/content/hash.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { gatewayFailed } from '../errors.ts'
import { readCarBlock, readCarHeader } from '../import/car-reader.ts'
import { linksOf } from '../private/walk-held.ts'
import { PullReader } from '../../tar/pull-reader.ts'
import type { CarRequest, Gateway } from './gateway.ts'
import { MAX_BUFFERED_BYTES, MAX_EXPECTED_CIDS, MAX_WASTED_BYTES } from './limits.ts'

/** Says that it does not do this at all, not that it lacks the block. */
const NO_CARS: ReadonlySet<unknown> = new Set([400, 405, 406, 415, 501])

/** `expected`: a block that came links to it. `seen`: it has come. */
type State = 'expected' | 'seen'

/**
 * A CAR on its way from a gateway: blocks are verified as they come, and each must be one that our own walk has reached by
 * then. They wait, a bounded number of bytes, for those who ask; where nobody asks, the stream is held back.
 */
export class CarStream {
  readonly gateway: Gateway
  readonly #request: CarRequest
  readonly #stop = new AbortController()
  readonly #states = new Map<string, State>()
  /** In the order in which they came. */
  readonly #buffer = new Map<string, Uint8Array>()
  readonly #waiting = new Map<string, (bytes: Uint8Array | undefined) => void>()
  #bufferedBytes = 0
  #wastedBytes = 0
  #onRoom: (() => void) | undefined
  #hasEnded = false
  /** Why it ended before its end. */
  failure: Error | undefined

  constructor(gateway: Gateway, request: CarRequest) {
    this.gateway = gateway
    this.#request = request
    this.#states.set(keyOf(request.cid), 'expected')
    void this.#run()
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Whether the block is here or may still come. */
  mayBring(cid: CID): boolean {
    const key = keyOf(cid)
    return this.#buffer.has(key) || (!this.#hasEnded && this.#states.get(key) === 'expected')
  }

  /** The block, verified; undefined once it is known not to come. Each is asked for by one at a time. @throws the signal's reason */
  async take(cid: CID, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const key = keyOf(cid)
    const buffered = this.#buffer.get(key)
    if (buffered !== undefined) {
      this.#forget(key, buffered)
      return buffered
    }
    if (!this.mayBring(cid)) return undefined
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.delete(key)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.set(key, (bytes) => {
        signal.removeEventListener('abort', onAbort)
        resolve(bytes)
      })
      this.#makeRoom()
    })
  }

  close(): void {
    this.#stop.abort(new Error('nobody wants it any more'))
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    const body = this.gateway.car(this.#request, signal)
    const source = { offset: 0, [Symbol.asyncIterator]: () => body }
    const reader = new PullReader(source)
    try {
      const { endOffset } = await readCarHeader(reader)
      for (;;) {
        const block = await readCarBlock(reader, endOffset)
        if (block === undefined) break
        this.#arrived(block.cid, block.bytes)
        while (this.#bufferedBytes > MAX_BUFFERED_BYTES) await this.#room(signal)
      }
      this.gateway.succeeded()
    } catch (error) {
      this.failure = error as Error
      const status = error instanceof P2pnodeError ? error.details['status'] : undefined
      if (NO_CARS.has(status)) this.gateway.makesCars = false
      // What the gateway said, or did not, it has counted itself; what was wrong with its bytes it does not know.
      else if (!signal.aborted && status === undefined) this.gateway.failed()
    } finally {
      this.#hasEnded = true
      for (const answer of this.#waiting.values()) answer(undefined)
      this.#waiting.clear()
      await reader.close().catch(() => {})
    }
  }

  /** @throws where the block is wrong, belongs elsewhere, or too much was sent in vain */
  #arrived(cid: CID, bytes: Uint8Array): void {
    const key = keyOf(cid)
    const state = this.#states.get(key)
    if (state === undefined)
      throw gatewayFailed(this.gateway.name, `a block that is no part of the DAG: ${cid}`)
    if (state === 'seen') return this.#waste(bytes)
    if (!isSupportedHash(cid) || !matches(cid, bytes)) {
      throw gatewayFailed(this.gateway.name, `wrong bytes for ${cid}`)
    }
    this.#states.set(key, 'seen')
    this.#expect(cid, bytes)
    const answer = this.#waiting.get(key)
    if (answer !== undefined) {
      this.#waiting.delete(key)
      answer(bytes)
      return
    }
    this.#buffer.set(key, bytes)
    this.#bufferedBytes += bytes.length
    this.#makeRoom()
  }

  #expect(cid: CID, bytes: Uint8Array): void {
    if (this.#request.scope === 'block') return
    for (const link of linksOf(cid, bytes)) {
      const key = keyOf(link)
      if (!this.#states.has(key)) this.#states.set(key, 'expected')
    }
    if (this.#states.size > MAX_EXPECTED_CIDS)
      throw gatewayFailed(this.gateway.name, 'more than is kept track of')
  }

  /** While somebody waits for what comes later, the oldest that nobody asked for goes: it is asked for by itself, if ever. */
  #makeRoom(): void {
    while (this.#bufferedBytes > MAX_BUFFERED_BYTES && this.#waiting.size > 0) {
      const [oldest] = this.#buffer
      if (oldest === undefined) return
      this.#forget(...oldest)
      this.#waste(oldest[1])
    }
  }

  #waste(bytes: Uint8Array): void {
    this.#wastedBytes += bytes.length
    if (this.#wastedBytes > MAX_WASTED_BYTES) this.#stop.abort(new Error('too much was sent in vain'))
  }

  #forget(key: string, bytes: Uint8Array): void {
    this.#buffer.delete(key)
    this.#bufferedBytes -= bytes.length
    this.#onRoom?.()
  }

  #room(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error)
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      this.#onRoom = () => {
        signal.removeEventListener('abort', onAbort)
        this.#onRoom = undefined
        resolve()
      }
    })
  }
}
