import { setTimeout as sleep } from 'node:timers/promises'
import type { BlockBroker } from 'helia'
import { LRUCache } from 'lru-cache'
import type { CID } from 'multiformats/cid'
import { keyOf } from '../../../protocols/content/hash.ts'
import { unlessAborted } from '../../../protocols/shared/unless-aborted.ts'

/** Bitswap forgets a want some milliseconds after it has ended, in a timer of its own. */
const FORGOTTEN_AFTER_MS = 50

/** Peers that run @helia/bitswap do not send a block again that they have sent within 5 s, and say nothing then. */
const RECENT_FOR_MS = 8_000
const MAX_RECENT_BYTES = 16 * 1024 * 1024

interface SharedWant {
  bytes: Promise<Uint8Array>
  users: number
  abort: AbortController
}

/**
 * Wants of Bitswap, one for all who want the same block. @helia/bitswap keeps a want until it is told that the block has come,
 * does not send it again meanwhile, and ends it for everybody when one caller gives up: a second want beside the first, or too soon
 * after it, would wait in vain. Blocks that came are kept for some seconds, since their senders would not send them again.
 */
export class SharedWants {
  readonly #wants = new Map<string, SharedWant>()
  /** Ended, and not forgotten by Bitswap yet. */
  readonly #ending = new Map<string, Promise<void>>()

  /** What has come lately: a peer would not send it again. */
  readonly #recent = new LRUCache<string, Uint8Array>({
    maxSize: MAX_RECENT_BYTES,
    sizeCalculation: (bytes) => bytes.length + 1,
    ttl: RECENT_FOR_MS,
    ttlAutopurge: true,
  })

  /** @throws whatever the broker throws; the signal's reason */
  async retrieve(broker: BlockBroker, cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    const key = keyOf(cid)
    const recent = this.#recent.get(key)
    if (recent !== undefined) return recent
    for (let ending = this.#ending.get(key); ending !== undefined; ending = this.#ending.get(key))
      await ending
    signal.throwIfAborted()
    const want = this.#wants.get(key) ?? this.#begin(broker, cid, key)
    want.users += 1
    try {
      return await unlessAborted(want.bytes, signal)
    } finally {
      want.users -= 1
      if (want.users === 0) want.abort.abort(new Error('nobody wants it any more'))
    }
  }

  #begin(broker: BlockBroker, cid: CID, key: string): SharedWant {
    const abort = new AbortController()
    const bytes = retrieved(broker, cid, abort.signal)
    const end = (): void => {
      this.#wants.delete(key)
      this.#ending.set(
        key,
        forgotten(broker, cid).finally(() => this.#ending.delete(key)),
      )
    }
    bytes.then((brought) => {
      this.#recent.set(key, brought)
      end()
    }, end)
    const want: SharedWant = { bytes, users: 0, abort }
    this.#wants.set(key, want)
    return want
  }
}

async function retrieved(broker: BlockBroker, cid: CID, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = await broker.retrieve?.(cid, { signal })
  if (bytes === undefined) throw new Error('Bitswap does not run')
  return bytes
}

async function forgotten(broker: BlockBroker, cid: CID): Promise<void> {
  // What it would tell others of is not in the store that it reads from without being asked.
  await Promise.resolve(broker.announce?.(cid)).catch(() => {})
  await sleep(FORGOTTEN_AFTER_MS)
}
