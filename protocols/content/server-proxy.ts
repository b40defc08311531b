import type { CID } from 'multiformats/cid'
import type { FairSlots } from '../shared/fair-slots.ts'
import { MAX_BLOCK_BYTES } from './limits.ts'
import type { OpenWant, Step } from './server-want.ts'
import type { ProxyServer } from './types.ts'

export interface ProxyReadsInit {
  /** Text form of the client's peer id. */
  peer: string
  isPrivate: (cid: CID) => boolean
  proxy?: ProxyServer | undefined
  /** Blocks that are on their way from elsewhere or wait to be sent, over all streams of this node. */
  proxySlots: FairSlots
  /** From the own store. */
  read: (cid: CID) => Promise<Uint8Array | undefined>
  push: (step: Step) => void
  /** Aborted when the stream ends. */
  signal: AbortSignal
}

/**
 * Answers the Proxies of one stream: held blocks at once, others from elsewhere, each when it comes. Nobody waits for a block
 * that takes long. Private blocks are not looked for: that would tell of them elsewhere.
 */
export class ProxyReads {
  readonly #init: ProxyReadsInit
  readonly #underWay = new Set<Promise<void>>()

  constructor(init: ProxyReadsInit) {
    this.#init = init
  }

  begin(open: OpenWant, cids: CID[], root: CID): void {
    const answered: Promise<void> = Promise.all(
      cids.map((cid, index) => this.#answer(open, cid, index, root)),
    )
      .then(
        () => this.#init.push({ kind: 'done', open }),
        // The stream has ended.
        () => {},
      )
      .finally(() => this.#underWay.delete(answered))
    this.#underWay.add(answered)
  }

  /** Resolves when every Proxy so far is answered, but for the sending. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  async #answer(open: OpenWant, cid: CID, index: number, root: CID): Promise<void> {
    const { peer, proxy, proxySlots, isPrivate, push, signal } = this.#init
    if (proxy === undefined || !proxy.admits(peer, cid)) {
      open.refused = true
      open.miss(cid)
      return
    }
    if (isPrivate(cid) || isPrivate(root)) {
      open.miss(cid)
      return
    }
    await proxySlots.acquire(peer, signal)
    const release = (): void => proxySlots.release(peer)
    let bytes: Uint8Array | undefined
    try {
      bytes = open.isEnding ? undefined : await this.#find(proxy, cid, root)
    } finally {
      if (bytes === undefined || signal.aborted) release()
    }
    signal.throwIfAborted()
    if (bytes === undefined) open.miss(cid)
    else push({ kind: 'block', open, cid, index, bytes: Promise.resolve(bytes), isRead: true, release })
  }

  async #find(proxy: ProxyServer, cid: CID, root: CID): Promise<Uint8Array | undefined> {
    const { peer, read, signal } = this.#init
    const bytes = (await read(cid)) ?? (await proxy.fetch(peer, cid, { root, signal }))
    return bytes === undefined || bytes.length > MAX_BLOCK_BYTES ? undefined : bytes
  }
}
