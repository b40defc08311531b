import { multiaddr } from '@multiformats/multiaddr'
import type { Logger } from '../telemetry/types.ts'
import { CONTACT_BACKOFF, FIRST_CONTACT_MS } from './limits.ts'
import { peerOfAddress } from './address.ts'

export interface ContactsOptions {
  /** Connects to one peer by whichever of its addresses answers, and resolves with its id. */
  connect: (addresses: readonly string[], signal: AbortSignal) => Promise<string>
  /** Whether this node is connected to any member. */
  isConnected: () => boolean
  log: Logger
}

/** Finds the way to the members that a newcomer was told of. At a later start they are among the nodes to connect to. */
export class Contacts {
  readonly #options: ContactsOptions
  #timer: NodeJS.Timeout | undefined
  #running = new AbortController()

  constructor(options: ContactsOptions) {
    this.#options = options
  }

  /** The first that answers, or null; then it goes on trying, less and less often, until some member is there. */
  async reach(addresses: readonly string[], signal: AbortSignal): Promise<string | null> {
    this.stop()
    this.#running = new AbortController()
    const reached = await this.#try(addresses, signal)
    if (reached === null) this.#later(addresses, CONTACT_BACKOFF.firstMs)
    return reached
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#running.abort(new Error('no longer looked for'))
  }

  async #try(addresses: readonly string[], signal: AbortSignal): Promise<string | null> {
    const ended = AbortSignal.any([signal, this.#running.signal, AbortSignal.timeout(FIRST_CONTACT_MS)])
    const byPeer = Map.groupBy(addresses, (address) => peerOfAddress(multiaddr(address)))
    const dials = [...byPeer.values()].map((ofPeer) => this.#options.connect(ofPeer, ended))
    return Promise.any(dials).catch(() => null)
  }

  #later(addresses: readonly string[], waitMs: number): void {
    this.#timer = setTimeout(() => void this.#again(addresses, waitMs), waitMs).unref()
  }

  async #again(addresses: readonly string[], waitedMs: number): Promise<void> {
    const { isConnected, log } = this.#options
    const { signal } = this.#running
    if (isConnected() || (await this.#try(addresses, signal)) !== null || signal.aborted) return
    log.debug({ waitedMs }, 'no member of the swarm could be reached yet')
    this.#later(addresses, Math.min(CONTACT_BACKOFF.maxMs, 2 * waitedMs))
  }
}
