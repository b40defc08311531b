import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../telemetry/types.ts'

/** Roots that wait to be announced; who adds faster than the DHT takes records loses the oldest. */
const MAX_QUEUED_ROOTS = 1024
/** One provide is a walk and 20 sends; what is not done by then will not be. */
const PROVIDE_TIMEOUT_MS = 60_000

type Announcer = Pick<Libp2p, 'contentRouting' | 'getPeers' | 'addEventListener' | 'removeEventListener'>

/**
 * Announces roots in the DHT in the background, one at a time and only while somebody is connected: best effort, since
 * whoever is connected is asked without any announcement.
 */
export class ProvideQueue {
  readonly #libp2p: Announcer
  readonly #log: Logger
  readonly #queue = new Map<string, CID>()
  readonly #stop = new AbortController()
  #isBusy = false

  constructor(libp2p: Announcer, log: Logger) {
    this.#libp2p = libp2p
    this.#log = log
    libp2p.addEventListener('peer:identify', this.#onPeer)
  }

  add(cid: CID): void {
    const key = cid.toString()
    this.#queue.delete(key)
    this.#queue.set(key, cid)
    const [oldest] = this.#queue.keys()
    if (this.#queue.size > MAX_QUEUED_ROOTS && oldest !== undefined) this.#queue.delete(oldest)
    void this.#work()
  }

  stop(): void {
    this.#stop.abort()
    this.#libp2p.removeEventListener('peer:identify', this.#onPeer)
  }

  readonly #onPeer = (): void => {
    void this.#work()
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      while (!this.#stop.signal.aborted && this.#libp2p.getPeers().length > 0) {
        const [next] = this.#queue
        if (next === undefined) return
        const [key, cid] = next
        this.#queue.delete(key)
        await this.#provide(cid)
      }
    } finally {
      this.#isBusy = false
    }
  }

  async #provide(cid: CID): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(PROVIDE_TIMEOUT_MS)])
    try {
      await this.#libp2p.contentRouting.provide(cid, { signal })
    } catch (error) {
      this.#log.debug({ cid: cid.toString(), error: String(error) }, 'a root could not be announced')
    }
  }
}
