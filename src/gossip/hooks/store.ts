import type { Statement } from 'better-sqlite3'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { AppMessage } from '../messages/types.ts'
import { MAX_QUEUED_BYTES, MAX_QUEUED_MESSAGES } from './limits.ts'
import type { Hook } from './types.ts'

export interface StoredHook extends Hook {
  secret: Uint8Array
  failingSinceMs: number | null
  disabledAtMs: number | null
  problem: string | null
  lastDeliveredMs: number | null
  delivered: number
  dropped: number
  refused: number
}

/** A message that waits for one hook. */
export interface Delivery extends Omit<AppMessage, 'topic' | 'droppedBefore'> {
  id: number
  heardAtMs: number
  refusals: number
}

interface HookRow {
  id: number
  topic: string
  url: string
  secret: Uint8Array
  created_ms: number
  failing_since_ms: number | null
  disabled_ms: number | null
  problem: string | null
  last_delivered_ms: number | null
  delivered: number
  dropped: number
  refused: number
}

interface DeliveryRow {
  id: number
  sender: string
  direct: number
  sequence: string
  time_ms: number
  payload: Uint8Array
  heard_ms: number
  refusals: number
}

interface Queue {
  messages: number
  bytes: number
}

type State = Pick<StateDatabase, 'db' | 'write' | 'writeRelaxed'>

/** Hooks and what waits for them, in state.db. What is queued survives a crash of the process; hooks themselves power loss, too. */
export class HookStore {
  readonly #state: State
  /** By hook. */
  readonly #queues = new Map<number, Queue>()
  readonly #insert: Statement<[number, string, number, string, number, Uint8Array, number]>
  readonly #oldest: Statement<[number], { id: number; bytes: number }>
  readonly #head: Statement<[number], DeliveryRow>
  readonly #size: Statement<[number], number>
  readonly #drop: Statement<[number]>
  readonly #refuse: Statement<[number]>
  readonly #delivered: Statement<[number, number]>
  readonly #failed: Statement<[number, string, number]>
  readonly #count: { dropped: Statement<[number]>; refused: Statement<[number]> }

  constructor(state: State) {
    this.#state = state
    const { db } = state
    this.#insert = db.prepare(
      `INSERT INTO message_delivery (hook, sender, direct, sequence, time_ms, payload, heard_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (hook, sender, sequence) DO NOTHING`,
    )
    this.#oldest = db.prepare(
      'SELECT id, length(payload) AS bytes FROM message_delivery WHERE hook = ? ORDER BY id LIMIT 1',
    )
    this.#head = db.prepare('SELECT * FROM message_delivery WHERE hook = ? ORDER BY id LIMIT 1')
    this.#size = db
      .prepare<[number], number>('SELECT length(payload) FROM message_delivery WHERE id = ?')
      .pluck()
    this.#drop = db.prepare('DELETE FROM message_delivery WHERE id = ?')
    this.#refuse = db.prepare('UPDATE message_delivery SET refusals = refusals + 1 WHERE id = ?')
    this.#delivered = db.prepare(
      'UPDATE message_hook SET delivered = delivered + 1, last_delivered_ms = ?, failing_since_ms = NULL, problem = NULL WHERE id = ?',
    )
    this.#failed = db.prepare(
      'UPDATE message_hook SET failing_since_ms = coalesce(failing_since_ms, ?), problem = ? WHERE id = ?',
    )
    this.#count = {
      dropped: db.prepare('UPDATE message_hook SET dropped = dropped + 1 WHERE id = ?'),
      refused: db.prepare('UPDATE message_hook SET refused = refused + 1 WHERE id = ?'),
    }
    const queues = db.prepare<[], Queue & { hook: number }>(
      'SELECT hook, count(*) AS messages, sum(length(payload)) AS bytes FROM message_delivery GROUP BY hook',
    )
    for (const { hook, messages, bytes } of queues.all()) this.#queues.set(hook, { messages, bytes })
  }

  hooks(): StoredHook[] {
    return this.#state.db.prepare<[], HookRow>('SELECT * FROM message_hook ORDER BY id').all().map(toHook)
  }

  find(id: number): StoredHook | undefined {
    const row = this.#state.db.prepare<[number], HookRow>('SELECT * FROM message_hook WHERE id = ?').get(id)
    return row === undefined ? undefined : toHook(row)
  }

  async add(hook: Pick<StoredHook, 'topic' | 'url' | 'secret'>, nowMs: number): Promise<number> {
    const insert = this.#state.db.prepare(
      'INSERT INTO message_hook (topic, url, secret, created_ms) VALUES (?, ?, ?, ?)',
    )
    const { lastInsertRowid } = await this.#state.write(() =>
      insert.run(hook.topic, hook.url, hook.secret, nowMs),
    )
    return Number(lastInsertRowid)
  }

  async remove(id: number): Promise<void> {
    const remove = this.#state.db.prepare('DELETE FROM message_hook WHERE id = ?')
    await this.#state.write(() => remove.run(id))
    this.#queues.delete(id)
  }

  /** @param atMs null: it is not any more, and begins anew */
  async setDisabled(id: number, atMs: number | null): Promise<void> {
    const set = this.#state.db.prepare(
      atMs === null
        ? 'UPDATE message_hook SET disabled_ms = ?, failing_since_ms = NULL, problem = NULL WHERE id = ?'
        : 'UPDATE message_hook SET disabled_ms = ? WHERE id = ?',
    )
    await this.#state.write(() => set.run(atMs, id))
  }

  queued(hook: number): number {
    return this.#queues.get(hook)?.messages ?? 0
  }

  /** Puts a message at the end, and lets go of the oldest until there is room; how many went. */
  enqueue(hook: number, message: AppMessage, nowMs: number): number {
    const { sender, direct, sequence, timeMs, payload } = message
    const queue = this.#queues.get(hook) ?? { messages: 0, bytes: 0 }
    const after = { ...queue }
    const dropped = this.#state.writeRelaxed(() => {
      const number = sequence.toString()
      const { changes } = this.#insert.run(hook, sender, direct ? 1 : 0, number, timeMs, payload, nowMs)
      if (changes === 0) return 0
      after.messages += 1
      after.bytes += payload.byteLength
      let gone = 0
      while (after.messages > MAX_QUEUED_MESSAGES || after.bytes > MAX_QUEUED_BYTES) {
        const oldest = this.#oldest.get(hook)
        if (oldest === undefined) break
        this.#drop.run(oldest.id)
        this.#count.dropped.run(hook)
        after.messages -= 1
        after.bytes -= oldest.bytes
        gone += 1
      }
      return gone
    })
    this.#queues.set(hook, after)
    return dropped
  }

  /** What is to be sent next. */
  head(hook: number): Delivery | undefined {
    const row = this.#head.get(hook)
    if (row === undefined) return undefined
    const { direct, sequence, time_ms: timeMs, heard_ms: heardAtMs, ...rest } = row
    return { ...rest, direct: direct === 1, sequence: BigInt(sequence), timeMs, heardAtMs }
  }

  delivered(hook: number, delivery: number, nowMs: number): void {
    this.#take(hook, delivery, () => this.#delivered.run(nowMs, hook))
  }

  /** It is given up, since it was refused too often. */
  giveUp(hook: number, delivery: number): void {
    this.#take(hook, delivery, () => this.#count.refused.run(hook))
  }

  failed(hook: number, delivery: number, problem: string, isRefused: boolean, nowMs: number): void {
    this.#state.writeRelaxed(() => {
      this.#failed.run(nowMs, problem, hook)
      if (isRefused) this.#refuse.run(delivery)
    })
  }

  /** Out of the queue, where it still is in it: it may have had to make room meanwhile. */
  #take(hook: number, delivery: number, also: () => void): void {
    const bytes = this.#state.writeRelaxed(() => {
      const size = this.#size.get(delivery)
      this.#drop.run(delivery)
      also()
      return size
    })
    const queue = this.#queues.get(hook)
    if (bytes === undefined || queue === undefined) return
    this.#queues.set(hook, { messages: queue.messages - 1, bytes: queue.bytes - bytes })
  }
}

function toHook(row: HookRow): StoredHook {
  return {
    id: row.id,
    topic: row.topic,
    url: row.url,
    secret: row.secret,
    createdAtMs: row.created_ms,
    failingSinceMs: row.failing_since_ms,
    disabledAtMs: row.disabled_ms,
    problem: row.problem,
    lastDeliveredMs: row.last_delivered_ms,
    delivered: row.delivered,
    dropped: row.dropped,
    refused: row.refused,
  }
}
