import { setTimeout as sleep } from 'node:timers/promises'
import type { Chunk } from '../../../protocols/chunk/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import { DELETION_ROUND_MS, DELETION_SETTLE_MS } from './limits.ts'
import { deleteIn, type OwnerPruneOptions } from './prune.ts'

/**
 * Tells holders of deletions that they have not confirmed yet: when one connects, and from time to time. They learn of them
 * from others too; this is what makes the owner's record end.
 */
export class DeletionRounds {
  readonly #options: OwnerPruneOptions & { chunk: Pick<Chunk, 'onPeer'>; log: Logger }
  readonly #stop = new AbortController()
  #wake = new AbortController()
  #running: Promise<void> | undefined
  #forget: () => void = () => {}

  constructor(options: OwnerPruneOptions & { chunk: Pick<Chunk, 'onPeer'>; log: Logger }) {
    this.#options = options
  }

  start(): void {
    this.#forget = this.#options.chunk.onPeer(({ type }) => {
      if (type === 'connected') this.#wake.abort()
    })
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#forget()
    this.#stop.abort(new Error('the node stops'))
    this.#wake.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    let searchedMs = Number.NEGATIVE_INFINITY
    while (!signal.aborted) {
      await sleep(DELETION_ROUND_MS, undefined, { signal: this.#wake.signal }).catch(() => {})
      // Several peers that come together make one round.
      await sleep(DELETION_SETTLE_MS, undefined, { signal }).catch(() => {})
      this.#wake = new AbortController()
      if (signal.aborted) return
      try {
        // Who connects may be a holder that is known. To search for others whenever anybody comes would never end.
        const isSearching = performance.now() - searchedMs >= DELETION_ROUND_MS
        if (isSearching) searchedMs = performance.now()
        await deleteIn(this.#options, 'deleting', signal, { isSearching })
      } catch (error) {
        if (!signal.aborted)
          this.#options.log.warn({ err: error }, 'deletions could not be told; trying again')
      }
    }
  }
}
