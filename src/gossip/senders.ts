import { forgetOldest } from '../../protocols/shared/forget-oldest.ts'
import type { StateDatabase } from '../storage/state/types.ts'
import type { Logger } from '../telemetry/types.ts'
import {
  MAX_AGE_MS,
  MAX_AHEAD_MS,
  MAX_SENDERS,
  MAX_STORED_SENDERS,
  SEQUENCES_PER_SENDER,
  WRITE_INTERVAL_MS,
} from './limits.ts'

/** What a sender is known to have said. */
interface Sender {
  /** Numbers taken, the highest `SEQUENCES_PER_SENDER` of them, in the order they came. */
  taken: Set<bigint>
  /** Nothing up to here is taken any more. */
  floor: bigint
  highest: bigint
}

export type Freshness = 'fresh' | 'repeated' | 'stale'

/** Tells what is new from what was heard before, over restarts too. */
export interface Senders {
  /** Takes note of a message that is fresh. */
  take(sender: string, sequence: bigint, timeMs: number): Freshness
  start(): void
  /** Writes what is not written yet. */
  stop(): void
}

export interface SendersOptions {
  /** Without it everything is forgotten at the end. */
  state: Pick<StateDatabase, 'db' | 'writeRelaxed'> | undefined
  log: Logger
  now: () => number
  /** Of so many senders there is a number on disk; other than the default only in tests. */
  maxStored?: number
}

/**
 * A sliding window a sender, as IPsec has against replays (RFC 4303, section 3.4.3). On disk there is one number a sender, the highest: what
 * was under way out of order when the node stopped is not taken after it.
 */
export function openSenders(options: SendersOptions): Senders {
  const { state, log, now, maxStored = MAX_STORED_SENDERS } = options
  const rows = state === undefined ? undefined : rowsOf(state, maxStored)
  const senders = new Map<string, Sender>()
  const unwritten = new Map<string, Sender>()
  let timer: NodeJS.Timeout | undefined
  let running = false

  function senderOf(name: string): Sender {
    const known = senders.get(name)
    // Taken out and put in again, so that the map's order is that of their last words.
    senders.delete(name)
    forgetOldest(senders, MAX_SENDERS)
    const sender = known ?? unwritten.get(name) ?? load(name)
    senders.set(name, sender)
    return sender
  }

  function load(name: string): Sender {
    const highest = rows?.highest(name) ?? 0n
    return { taken: new Set(), floor: highest, highest }
  }

  function write(): void {
    timer = undefined
    const batch = [...unwritten]
    unwritten.clear()
    try {
      rows?.write(batch, now())
    } catch (error) {
      log.warn({ err: error, senders: batch.length }, 'what was heard could not be remembered')
    }
  }

  return {
    take(name, sequence, timeMs) {
      const nowMs = now()
      if (timeMs < nowMs - MAX_AGE_MS || timeMs > nowMs + MAX_AHEAD_MS) return 'stale'
      const sender = senderOf(name)
      if (sequence <= sender.floor || sender.taken.has(sequence)) return 'repeated'
      sender.taken.add(sequence)
      if (sequence > sender.highest) sender.highest = sequence
      if (sender.taken.size > SEQUENCES_PER_SENDER) {
        const [first] = sender.taken
        if (first !== undefined) {
          sender.taken.delete(first)
          if (first > sender.floor) sender.floor = first
        }
      }
      unwritten.set(name, sender)
      if (running) timer ??= setTimeout(write, WRITE_INTERVAL_MS).unref()
      return 'fresh'
    },
    start() {
      running = true
    },
    stop() {
      running = false
      clearTimeout(timer)
      if (unwritten.size > 0) write()
    },
  }
}

/** What is on disk of it. */
function rowsOf(
  state: NonNullable<SendersOptions['state']>,
  maxStored: number,
): {
  highest(name: string): bigint
  write(batch: readonly [string, Sender][], nowMs: number): void
} {
  const { db } = state
  const select = db.prepare<[string], string>('SELECT highest FROM message_sender WHERE sender = ?').pluck()
  const upsert = db.prepare(
    `INSERT INTO message_sender (sender, highest, updated_ms) VALUES (?, ?, ?)
     ON CONFLICT (sender) DO UPDATE SET highest = excluded.highest, updated_ms = excluded.updated_ms`,
  )
  const forget = db.prepare('DELETE FROM message_sender WHERE updated_ms < ?')
  const count = db.prepare<[], number>('SELECT count(*) FROM message_sender').pluck()
  const trim = db.prepare<[number]>(
    'DELETE FROM message_sender WHERE sender IN (SELECT sender FROM message_sender ORDER BY updated_ms LIMIT ?)',
  )
  return {
    highest: (name) => BigInt(select.get(name) ?? 0),
    write(batch, nowMs) {
      state.writeRelaxed(() => {
        for (const [name, { highest }] of batch) upsert.run(name, highest.toString(), nowMs)
        // Their times are refused by now, whatever their numbers.
        forget.run(nowMs - 2 * (MAX_AGE_MS + MAX_AHEAD_MS))
        // Names cost nothing to make. A tenth at a time, since each time all of them are sorted.
        const stored = count.get() ?? 0
        if (stored > maxStored) trim.run(stored - Math.floor(0.9 * maxStored))
      })
    },
  }
}
