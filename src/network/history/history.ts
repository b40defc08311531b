import type { Logger } from '../../telemetry/types.ts'
import {
  MAX_ADDRESS_CHARACTERS,
  MAX_ADDRESSES,
  MAX_AGENT_CHARACTERS,
  MAX_PENDING,
  PRUNE_EVERY_MS,
  WRITE_AFTER_MS,
  WRITE_ROWS,
} from './limits.ts'
import { type HistoryState, HistoryStore } from './store.ts'
import type { KnownPeer, PeerHistory } from './types.ts'

export interface PeerHistoryOptions {
  state: HistoryState
  log: Logger
  /** How long a peer that is away is remembered. */
  retentionMs: number
  /** Milliseconds since the Unix epoch; tests pass their own. */
  now?: () => number
}

export function createPeerHistory({
  state,
  log,
  retentionMs,
  now = Date.now,
}: PeerHistoryOptions): PeerHistory {
  const store = new HistoryStore(state, now)
  /** What is to be written: whole rows, so that several changes of a peer are one write. */
  const pending = new Map<string, KnownPeer>()
  let timer: NodeJS.Timeout | undefined
  let isRunning = false
  let prunedMs = -Infinity

  /** The row to change; undefined where the peer is unknown and is not to become known. */
  function open(peer: string, isNew: boolean): KnownPeer | undefined {
    let known = pending.get(peer) ?? read(peer)
    if (known === undefined && isNew) known = newcomer(peer, now())
    if (known === undefined) return undefined
    if (!pending.has(peer) && pending.size >= MAX_PENDING) write()
    pending.set(peer, known)
    if (isRunning) timer ??= setTimeout(onTimer, WRITE_AFTER_MS).unref()
    return known
  }

  function read(peer: string): KnownPeer | undefined {
    try {
      return store.get(peer)
    } catch (error) {
      log.warn({ err: error }, 'the history of peers could not be read')
      return undefined
    }
  }

  /** A disk that refuses is no reason to stop: what was seen is forgotten. */
  function write(): void {
    const rows = [...pending.values()]
    pending.clear()
    try {
      for (let at = 0; at < rows.length; at += WRITE_ROWS) store.put(rows.slice(at, at + WRITE_ROWS))
    } catch (error) {
      log.warn({ err: error, peers: rows.length }, 'the history of peers could not be written')
    }
  }

  function prune(): void {
    if (performance.now() - prunedMs < PRUNE_EVERY_MS) return
    try {
      if (!store.prune(retentionMs)) prunedMs = performance.now()
    } catch (error) {
      prunedMs = performance.now()
      log.warn({ err: error }, 'the history of peers could not be tidied')
    }
  }

  function onTimer(): void {
    timer = undefined
    write()
    prune()
  }

  return {
    connected(peer, address) {
      const known = open(peer, true)
      if (known === undefined) return
      known.successes += 1
      known.failuresInRow = 0
      known.lastSeenMs = now()
      if (address !== undefined) known.addresses = merged([address], known.addresses)
    },
    identified(peer, { agent, addresses }) {
      const known = open(peer, true)
      if (known === undefined) return
      known.lastSeenMs = now()
      known.agent = agent?.slice(0, MAX_AGENT_CHARACTERS) ?? known.agent
      // Where it was reached last is the one address that is proven; of the others, what it says now counts.
      known.addresses = merged(known.addresses.slice(0, 1), addresses)
    },
    disconnected(peer, latencyMs) {
      const known = open(peer, true)
      if (known === undefined) return
      known.lastSeenMs = now()
      known.latencyMs = latencyMs ?? known.latencyMs
    },
    failed(peer) {
      const known = open(peer, false)
      if (known === undefined) return
      known.failures += 1
      known.failuresInRow += 1
    },
    moved(peer, direction, bytes) {
      const known = open(peer, false)
      if (known === undefined) return
      known.lastSeenMs = now()
      if (direction === 'in') known.bytesIn += bytes
      else known.bytesOut += bytes
    },

    get: (peer) => pending.get(peer) ?? store.get(peer),
    recent(limit) {
      write()
      return store.recent(limit)
    },
    candidates(limit) {
      write()
      return store.dialable(limit)
    },

    start() {
      isRunning = true
      prune()
    },
    stop() {
      isRunning = false
      clearTimeout(timer)
      timer = undefined
      write()
    },
  }
}

function newcomer(peer: string, atMs: number): KnownPeer {
  return {
    peer,
    addresses: [],
    firstSeenMs: atMs,
    lastSeenMs: atMs,
    successes: 0,
    failures: 0,
    failuresInRow: 0,
    bytesIn: 0,
    bytesOut: 0,
    latencyMs: null,
    agent: null,
  }
}

function merged(first: readonly string[], then: readonly string[]): string[] {
  const usable = [...first, ...then].filter((address) => address.length <= MAX_ADDRESS_CHARACTERS)
  return [...new Set(usable)].slice(0, MAX_ADDRESSES)
}
