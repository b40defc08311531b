/**
 * Announcements: what is new and public, told to everybody in the network by gossip.
 *
 * ```ts
 * const gossip = createGossip({ networkName, topics: [announcementsTopic()], … })
 * const announcements = createAnnouncements({ config, gossip, isPrivate, log })
 * announcements.start()
 * const end = announcements.onAnnouncement(({ author, cid, name }) => { … })
 * announcements.tell({ cid, name: 'holiday.jpg', sizeBytes: 4_200_000, kind: 'file' })
 * announcements.stop()
 * ```
 */
import type { CID } from 'multiformats/cid'
import { decodeAnnouncement, encodeAnnouncement } from '../../../protocols/keep/index.ts'
import type { Announcement } from '../../../protocols/keep/types.ts'
import type { Gossip } from '../../gossip/index.ts'
import { RateLimits } from '../../gossip/rate.ts'
import type { Logger } from '../../telemetry/types.ts'
import { ANNOUNCEMENT_RATE, MAX_LISTENERS, MAX_WAITING } from './limits.ts'
import { ANNOUNCEMENTS_TOPIC } from './topic.ts'

export { announcementsTopic } from './topic.ts'

/** An announcement as it was heard. */
export interface Heard extends Announcement {
  /** Text form of the peer id whose key signed it. */
  author: string
}

export interface AnnouncementStatistics {
  /** Own ones that were sent. */
  told: number
  /** Own ones that were not, since too many waited. */
  dropped: number
  heard: number
}

export interface AnnouncementsOptions {
  config: {
    /** Whether what this node adds is announced. */
    publish: boolean
    /** Whether this node listens to what others announce. */
    receive: boolean
  }
  gossip: Pick<Gossip, 'publish' | 'subscribe'>
  /** Whether a CID must not leave the swarm; by default nothing is private. */
  isPrivate?: ((cid: CID) => boolean | Promise<boolean>) | undefined
  log: Logger
  now?: () => number
}

export interface Announcements {
  readonly isPublishing: boolean
  start(): void
  stop(): void
  /** Announces soon, where `publish` is on and the content is not private; bounded and best effort. */
  tell(what: Omit<Announcement, 'atMs'>): void
  /** Calls back with what others announce; returns the function that ends it. @throws RangeError over 16 listeners */
  onAnnouncement(listener: (heard: Heard) => void): () => void
  statistics(): AnnouncementStatistics
}

export function createAnnouncements(options: AnnouncementsOptions): Announcements {
  const { config, gossip, isPrivate, log, now = Date.now } = options
  const rate = new RateLimits(1, () => performance.now())
  const listeners = new Set<(heard: Heard) => void>()
  const counts: AnnouncementStatistics = { told: 0, dropped: 0, heard: 0 }
  let waiting: Omit<Announcement, 'atMs'>[] = []
  let timer: NodeJS.Timeout | undefined
  let end: (() => void) | undefined
  let isSending = false

  async function send(): Promise<void> {
    if (isSending) return
    isSending = true
    try {
      for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
        if (!rate.take('own', ANNOUNCEMENT_RATE)) {
          timer = setTimeout(() => void send(), 1_000 / ANNOUNCEMENT_RATE.perSecond).unref()
          return
        }
        waiting.shift()
        // Asked at the last moment: it may have been marked since.
        if ((await isPrivate?.(next.cid)) === true) continue
        await gossip.publish(ANNOUNCEMENTS_TOPIC, encodeAnnouncement({ ...next, atMs: now() }))
        counts.told += 1
      }
    } catch (error) {
      log.debug({ error: String(error) }, 'content could not be announced')
    } finally {
      isSending = false
    }
  }

  function hear(author: string, data: Uint8Array): void {
    const heard = { author, ...decodeAnnouncement(data) }
    counts.heard += 1
    for (const listener of listeners) {
      try {
        listener(heard)
      } catch (error) {
        log.warn({ err: error }, 'a listener of announcements failed')
      }
    }
  }

  return {
    isPublishing: config.publish,
    start() {
      if (end !== undefined || !config.receive) return
      end = gossip.subscribe(ANNOUNCEMENTS_TOPIC, ({ author, data }) => hear(author, data))
    },
    stop() {
      clearTimeout(timer)
      waiting = []
      end?.()
      end = undefined
    },
    tell(what) {
      if (!config.publish) return
      waiting.push(what)
      if (waiting.length > MAX_WAITING) {
        waiting.shift()
        counts.dropped += 1
      }
      void send()
    },
    onAnnouncement(listener) {
      if (listeners.size >= MAX_LISTENERS) throw new RangeError(`at most ${MAX_LISTENERS} listeners`)
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    statistics: () => ({ ...counts }),
  }
}
