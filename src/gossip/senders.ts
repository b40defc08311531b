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
  /** When something of it was taken last, by the clock of this node. */
  heardMs: number
}

/** In the table of settings, for all that is in the table of senders. */
const FORGOTTEN_SETTING = 'gossip.forgotten-until-ms'

export type Freshness = 'fresh' | 'repeated' | 'stale'

/** Tells what is new from what was heard before, over restarts too. */
export interface Senders {
  /** What `take` would say. Takes note of nothing. */
  look(sender: string, sequence: bigint, timeMs: number): Freshness
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
 * was under way out of order when the node stopped is not taken after it. Names cost nothing to make, so that senders have to be forgotten
 * for which a number would still be needed: of all of these one time is kept, and nothing that one of them may have said by then is taken.
 */
export function openSenders(options: SendersOptions): Senders {
  const { state, log, now, maxStored = MAX_STORED_SENDERS } = options
  const rows = state === undefined ? undefined : rowsOf(state, maxStored)
  const senders = new Map<string, Sender>()
  const unwritten = new Map<string, Sender>()
  let timer: NodeJS.Timeout | undefined
  let running = false
  /** Without a disk: when the last of those that were forgotten last spoke. */
  let forgottenUntilMs = Number.NEGATIVE_INFINITY

  function find(name: string): Sender | undefined {
    const known = senders.get(name) ?? unwritten.get(name)
    if (known !== undefined || rows === undefined) return known
    const highest = rows.highest(name)
    return highest === undefined ? undefined : { taken: new Set(), floor: highest, highest, heardMs: now() }
  }

  function judge(sender: Sender | undefined, sequence: bigint, timeMs: number): Freshness {
    const nowMs = now()
    if (timeMs < nowMs - MAX_AGE_MS || timeMs > nowMs + MAX_AHEAD_MS) return 'stale'
    if (sequence <= (sender?.floor ?? 0n) || sender?.taken.has(sequence) === true) return 'repeated'
    if (sender !== undefined) return 'fresh'
    const untilMs = rows?.forgottenUntilMs() ?? forgottenUntilMs
    // Of a clock that was put back since it says nothing.
    if (untilMs > nowMs + MAX_AHEAD_MS) return 'fresh'
    // The clock of who spoke may have been ahead.
    return timeMs <= untilMs + MAX_AHEAD_MS ? 'stale' : 'fresh'
  }

  function remember(name: string, sender: Sender): void {
    // Taken out and put in again, so that the map's order is that of their last words.
    senders.delete(name)
    const [oldest] = senders.values()
    if (senders.size >= MAX_SENDERS && oldest !== undefined && rows === undefined)
      forgottenUntilMs = Math.max(forgottenUntilMs, oldest.heardMs)
    forgetOldest(senders, MAX_SENDERS)
    senders.set(name, sender)
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
    look: (name, sequence, timeMs) => judge(find(name), sequence, timeMs),
    take(name, sequence, timeMs) {
      const known = find(name)
      const freshness = judge(known, sequence, timeMs)
      if (freshness !== 'fresh') return freshness
      const sender = known ?? { taken: new Set(), floor: 0n, highest: 0n, heardMs: 0 }
      sender.heardMs = now()
      sender.taken.add(sequence)
      if (sequence > sender.highest) sender.highest = sequence
      if (sender.taken.size > SEQUENCES_PER_SENDER) {
        const [first] = sender.taken
        if (first !== undefined) {
          sender.taken.delete(first)
          if (first > sender.floor) sender.floor = first
        }
      }
      remember(name, sender)
      if (rows !== undefined) {
        unwritten.set(name, sender)
        if (running) timer ??= setTimeout(write, WRITE_INTERVAL_MS).unref()
      }
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
  highest(name: string): bigint | undefined
  /** When the last of those that had to make room for others was written last. */
  forgottenUntilMs(): number
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
  const newestOf = db
    .prepare<[number], number>(
      'SELECT max(updated_ms) FROM (SELECT updated_ms FROM message_sender ORDER BY updated_ms LIMIT ?)',
    )
    .pluck()
  const forgotten = db.prepare<[string], string>('SELECT value FROM setting WHERE key = ?').pluck()
  const noteForgotten = db.prepare(
    'INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  )
  const trim = db.prepare<[number]>(
    'DELETE FROM message_sender WHERE sender IN (SELECT sender FROM message_sender ORDER BY updated_ms LIMIT ?)',
  )
  return {
    highest(name) {
      const stored = select.get(name)
      return stored === undefined ? undefined : BigInt(stored)
    },
    forgottenUntilMs: () => Number(forgotten.get(FORGOTTEN_SETTING) ?? Number.NEGATIVE_INFINITY),
    write(batch, nowMs) {
      state.writeRelaxed(() => {
        for (const [name, { highest }] of batch) upsert.run(name, highest.toString(), nowMs)
        // Their times are refused by now, whatever their numbers.
        forget.run(nowMs - 2 * (MAX_AGE_MS + MAX_AHEAD_MS))
        // Names cost nothing to make. A tenth at a time, since each time all of them are sorted.
        const stored = count.get() ?? 0
        if (stored <= maxStored) return
        const surplus = stored - Math.floor(0.9 * maxStored)
        noteForgotten.run(FORGOTTEN_SETTING, String(newestOf.get(surplus) ?? nowMs))
        trim.run(surplus)
      })
    },
  }
}
