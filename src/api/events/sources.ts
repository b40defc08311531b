import type { Static } from 'typebox'
import type { CatalogService } from '../../catalog/types.ts'
import type { Announcements } from '../../content/announce/index.ts'
import type { JobRecord, Jobs } from '../../jobs/types.ts'
import type { Network } from '../../network/types.ts'
import { JOB_EVENT_INTERVAL_MS, MAX_TRACKED_JOBS, STATUS_SAMPLE_INTERVAL_MS } from '../limits.ts'
import { withoutLinks } from '../present.ts'
import type { StatusEvent } from '../schemas/events.ts'
import type { EventHub } from './hub.ts'

interface Tracked {
  state: JobRecord['state']
  reason: string | null
  sentAtMs: number
  /** Fires when the progress that came too early is due. */
  timer: NodeJS.Timeout | undefined
  latest: JobRecord
}

/**
 * Jobs as events. A change of state or reason is sent at once; progress at most every JOB_EVENT_INTERVAL_MS a job, the
 * last one always: a job may report progress with every block.
 */
export function publishJobs(hub: EventHub, jobs: Pick<Jobs, 'onChange'>): () => void {
  const tracked = new Map<string, Tracked>()

  const send = (job: JobRecord, entry: Tracked | undefined): void => {
    if (entry !== undefined) {
      clearTimeout(entry.timer)
      entry.timer = undefined
      entry.sentAtMs = performance.now()
      entry.state = job.state
      entry.reason = job.reason
    }
    // Everybody with the scope `read` may listen.
    hub.publish('jobs', 'job', withoutLinks(job))
  }

  const unsubscribe = jobs.onChange((job) => {
    const entry = tracked.get(job.id)
    if (job.endedAtMs !== null) {
      clearTimeout(entry?.timer)
      tracked.delete(job.id)
      send(job, undefined)
      return
    }
    if (entry === undefined) {
      // Over the bound progress is left out; beginnings are told, and ends in any case.
      if (tracked.size >= MAX_TRACKED_JOBS) {
        if (job.progress === null) send(job, undefined)
        return
      }
      const first = { state: job.state, reason: job.reason, sentAtMs: 0, timer: undefined, latest: job }
      tracked.set(job.id, first)
      send(job, first)
      return
    }
    entry.latest = job
    const waitMs = entry.sentAtMs + JOB_EVENT_INTERVAL_MS - performance.now()
    if (entry.state !== job.state || entry.reason !== job.reason || waitMs <= 0) {
      send(job, entry)
    } else if (entry.timer === undefined) {
      entry.timer = setTimeout(() => send(entry.latest, entry), waitMs)
      entry.timer.unref()
    }
  })

  return () => {
    unsubscribe()
    for (const entry of tracked.values()) clearTimeout(entry.timer)
    tracked.clear()
  }
}

/** Connections that came and went. */
export function publishPeers(hub: EventHub, network: Pick<Network, 'onChange'>): () => void {
  return network.onChange(({ type, peer }) => hub.publish('peers', 'peer', { type, peer }))
}

/** What others announce as it is heard. */
export function publishAnnouncements(
  hub: EventHub,
  announcements: Pick<Announcements, 'onAnnouncement'> | undefined,
): () => void {
  const end = announcements?.onAnnouncement(({ cid, name, sizeBytes, kind, author, atMs }) =>
    hub.publish('content', 'announcement', {
      cid: cid.toString(),
      name,
      size: sizeBytes,
      kind,
      author,
      atMs,
    }),
  )
  return () => end?.()
}

/** Entries of the catalogue as they come; the catalogue itself bounds how many it tells of. */
export function publishCatalog(
  hub: EventHub,
  catalog: Pick<CatalogService, 'onEntry'> | undefined,
): () => void {
  const end = catalog?.onEntry((entry) =>
    hub.publish('catalog', 'catalogEntry', { ...entry, tags: [...entry.tags] }),
  )
  return () => end?.()
}

/** The node's own state when it changed, looked at while anybody listens; `publishNow` looks at once. */
export function publishStatus(
  hub: EventHub,
  read: () => Static<typeof StatusEvent>,
): { publishNow(): void; stop(): void } {
  let last = ''
  const publishNow = (): void => {
    const status = read()
    const text = JSON.stringify(status)
    if (text === last) return
    last = text
    hub.publish('storage', 'status', status)
  }
  const timer = setInterval(() => {
    if (hub.clients > 0) publishNow()
  }, STATUS_SAMPLE_INTERVAL_MS)
  timer.unref()
  return { publishNow, stop: () => clearInterval(timer) }
}
