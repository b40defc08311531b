import type { Datastore, Key } from 'interface-datastore'
import { forgetOldest } from '../../protocols/shared/forget-oldest.ts'

export interface RecordQuota {
  /** Keys that start with this are counted; they look like `<prefix>/record/…` and `<prefix>/provider/<cid>/<peer>`. */
  prefix: string
  /** The text form of this node's peer id: its own provider records are always kept. */
  self: string
  /** All records that others leave here. */
  maxRecords: number
  /** Provider records of one peer, so that one does not use up what is there for all. */
  maxRecordsPerPeer: number
  /** Who sent what is being written; undefined for what this node does itself. */
  sender?(): string | undefined
  onRefused?(reason: 'total' | 'peer' | 'rate'): void
}

/**
 * Values that one peer may leave here: those of a whole network's catalogue at once, then about nine thousand a day. A value's
 * key names nobody, so that it is the sender who is held to it, whether a value is new or replaces one.
 */
export const VALUES_PER_SENDER = { burst: 1_000, perSecond: 0.1 }
/** Senders that are remembered; over that the oldest begins anew. */
const MAX_SENDERS = 4_096

/**
 * The DHT's view of a datastore with a bound on how many records others may leave in it. kad-dht itself keeps whatever
 * any peer sends. A record over the bound is not kept and its sender is not told: records are kept on best effort,
 * by several nodes, and expire.
 */
export function boundDatastore(datastore: Datastore, quota: RecordQuota): Datastore {
  const prefix = `${quota.prefix}/`
  let counts: Promise<{ total: number; byPeer: Map<string, number> }> | undefined

  /** Counted, but perhaps not in the datastore yet: the same record often comes from several peers at once. */
  const arriving = new Set<string>()

  const senders = new Map<string, { values: number; atMs: number }>()

  /** Whether the sender of a value has not left too many here lately. */
  function mayLeaveValue(sender: string): boolean {
    const now = performance.now()
    const known = senders.get(sender) ?? { values: VALUES_PER_SENDER.burst, atMs: now }
    const back = ((now - known.atMs) / 1000) * VALUES_PER_SENDER.perSecond
    const values = Math.min(VALUES_PER_SENDER.burst, known.values + back)
    senders.delete(sender)
    forgetOldest(senders, MAX_SENDERS)
    senders.set(sender, { values: Math.max(0, values - 1), atMs: now })
    return values >= 1
  }

  /** Counts once what an earlier run left. */
  function load(): Promise<{ total: number; byPeer: Map<string, number> }> {
    counts ??= (async () => {
      const byPeer = new Map<string, number>()
      let total = 0
      for await (const key of datastore.queryKeys({ prefix })) {
        total++
        const peer = providerOf(key)
        byPeer.set(peer, (byPeer.get(peer) ?? 0) + 1)
      }
      return { total, byPeer }
    })()
    return counts
  }

  async function admits(key: Key): Promise<boolean> {
    // Asked before anything is awaited: after that it is another message's turn.
    const sender = quota.sender?.()
    const known = await load()
    const peer = providerOf(key)
    if (peer === '' && sender !== undefined && !mayLeaveValue(sender)) {
      quota.onRefused?.('rate')
      return false
    }
    const text = key.toString()
    if (arriving.has(text) || (await datastore.has(key))) {
      return true
    }
    const ofPeer = known.byPeer.get(peer) ?? 0
    if (peer !== quota.self) {
      if (known.total >= quota.maxRecords) {
        quota.onRefused?.('total')
        return false
      }
      if (peer !== '' && ofPeer >= quota.maxRecordsPerPeer) {
        quota.onRefused?.('peer')
        return false
      }
    }
    arriving.add(text)
    known.total++
    known.byPeer.set(peer, ofPeer + 1)
    return true
  }

  async function removed(key: Key): Promise<void> {
    const known = await load()
    if (!(await datastore.has(key))) {
      return
    }
    known.total--
    const peer = providerOf(key)
    const ofPeer = (known.byPeer.get(peer) ?? 1) - 1
    if (ofPeer <= 0) {
      known.byPeer.delete(peer)
    } else {
      known.byPeer.set(peer, ofPeer)
    }
  }

  const isCounted = (key: Key): boolean => key.toString().startsWith(prefix)

  const put: Datastore['put'] = async (key, value, options) => {
    if (!isCounted(key) || (await admits(key))) {
      try {
        await datastore.put(key, value, options)
      } finally {
        arriving.delete(key.toString())
      }
    }
    return key
  }
  const remove: Datastore['delete'] = async (key, options) => {
    if (isCounted(key)) {
      await removed(key)
    }
    await datastore.delete(key, options)
  }

  return {
    has: (key, options) => datastore.has(key, options),
    get: (key, options) => datastore.get(key, options),
    getMany: (source, options) => datastore.getMany(source, options),
    query: (query, options) => datastore.query(query, options),
    queryKeys: (query, options) => datastore.queryKeys(query, options),
    put,
    delete: remove,
    async *putMany(source, options) {
      for await (const { key, value } of source) {
        yield await put(key, value, options)
      }
    },
    async *deleteMany(source, options) {
      for await (const key of source) {
        await remove(key, options)
        yield key
      }
    },
    // kad-dht uses no batches; one here would go around the bound.
    batch() {
      throw new Error('the DHT does not write in batches')
    },
  }
}

/** The peer of `<prefix>/provider/<cid>/<peer>`; empty for values, whose key names nobody. */
function providerOf(key: Key): string {
  const parts = key.toString().split('/')
  return parts.at(-3) === 'provider' ? (parts.at(-1) ?? '') : ''
}
