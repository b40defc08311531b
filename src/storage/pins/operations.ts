/** The pin set's operations of the writer thread. */
import type { Database } from 'better-sqlite3'
import { CID } from 'multiformats/cid'
import type { Operations, WriterContext } from '../blocks/operations.ts'
import { pinIncomplete, pinUnwalkable, tooManyPinsWaiting } from './errors.ts'
import { isKnownCodec, isLeafCodec, toLink } from './links.ts'
import {
  KIND_DIRECT,
  KIND_RECURSIVE,
  type PinRow,
  STATE_PINNED,
  STATE_UNPINNING,
  STATE_WAITING,
  STATE_WALKING,
} from './states.ts'
import { createWalk, type StepResult, type WalkOptions } from './walk.ts'

/** Pins that wait for their walk; each has a caller that waits, or had one before a crash. */
const MAX_WAITING_PINS = 10_000

export interface AddArgs {
  cid: Uint8Array
  name: string
  kind: number
  nowMs: number
}

export interface AddReply {
  pin: PinRow
  /** The pin was being removed: it is added again, and whoever waits for its removal waits for nothing. */
  revived: boolean
}

export interface RemoveArgs {
  cid: Uint8Array
  name: string | null
  kind: number | null
}

export interface RemoveReply {
  /** Each as it was before, and whether its references are still being uncounted. */
  pins: { pin: PinRow; pending: boolean }[]
}

export type CancelReply = 'cancelled' | 'finished'

export function pinOperations(db: Database, context: WriterContext, options?: WalkOptions): Operations {
  const walk = createWalk(db, context, options)
  const { references, reader } = walk
  const find = db.prepare<[Uint8Array, string, number], PinRow>(
    'SELECT id, cid, name, kind, state, created_ms FROM pin WHERE cid = ? AND name = ? AND kind = ?',
  )
  const findById = db.prepare<[number], PinRow>(
    'SELECT id, cid, name, kind, state, created_ms FROM pin WHERE id = ?',
  )
  const findAll = db.prepare<RemoveArgs, PinRow>(
    `SELECT id, cid, name, kind, state, created_ms FROM pin
     WHERE cid = @cid AND (@name IS NULL OR name = @name) AND (@kind IS NULL OR kind = @kind) ORDER BY id`,
  )
  const findUnfinished = db.prepare<[], PinRow>(
    'SELECT id, cid, name, kind, state, created_ms FROM pin WHERE state <> 2 AND state < 2 ORDER BY id',
  )
  const insert = db.prepare<[Uint8Array, string, number, number, number]>(
    'INSERT INTO pin (cid, name, kind, state, created_ms) VALUES (?, ?, ?, ?, ?)',
  )
  const revive = db.prepare<[number, number]>(
    `UPDATE pin SET state = ${STATE_WAITING}, created_ms = ? WHERE id = ?`,
  )
  const deletePin = db.prepare<[number]>('DELETE FROM pin WHERE id = ?')
  const countWaiting = db
    .prepare<[], number>(`SELECT count(*) FROM pin WHERE state <> 2 AND state = ${STATE_WAITING}`)
    .pluck()

  function add(args: AddArgs): AddReply {
    const existing = find.get(args.cid, args.name, args.kind)
    if (existing !== undefined && existing.state !== STATE_UNPINNING) return { pin: existing, revived: false }
    const cid = CID.decode(args.cid)
    if (args.kind === KIND_RECURSIVE && !isKnownCodec(cid.code)) {
      throw pinUnwalkable(cid.toString(), cid.toString(), `codec 0x${cid.code.toString(16)} is not known`)
    }
    const link = toLink(cid)
    if (!reader.holds(args.cid)) throw pinIncomplete(cid.toString(), cid.toString())
    if (existing !== undefined) {
      revive.run(args.nowMs, existing.id)
      return { pin: { ...existing, state: STATE_WAITING, created_ms: args.nowMs }, revived: true }
    }
    const immediate = args.kind === KIND_DIRECT || isLeafCodec(cid.code)
    if (!immediate && (countWaiting.get() ?? 0) >= MAX_WAITING_PINS)
      throw tooManyPinsWaiting(MAX_WAITING_PINS)
    const state = immediate ? STATE_PINNED : STATE_WAITING
    insert.run(args.cid, args.name, args.kind, state, args.nowMs)
    const pin = find.get(args.cid, args.name, args.kind) as PinRow
    if (args.kind === KIND_DIRECT) references.countDirect(link)
    else if (immediate) references.count(link, pin.id)
    return { pin, revived: false }
  }

  /** True while references remain to be uncounted. */
  function remove(pin: PinRow): boolean {
    if (pin.state === STATE_UNPINNING) return true
    if (pin.kind === KIND_DIRECT) references.uncountDirect(toLink(CID.decode(pin.cid)))
    else if (pin.state !== STATE_WAITING) return walk.remove(pin) === 'removing'
    deletePin.run(pin.id)
    return false
  }

  return {
    /** Makes the pin durable. One with state WAITING or WALKING is told of by the events of later steps. */
    'pins.add': (args: AddArgs): AddReply => context.commit(() => add(args)),

    'pins.remove': (args: RemoveArgs): RemoveReply =>
      context.commit(() => ({ pins: findAll.all(args).map((pin) => ({ pin, pending: remove(pin) })) })),

    /** Undoes a pin that is not pinned yet. */
    'pins.cancel': (args: { id: number }): CancelReply =>
      context.commit(() => {
        const pin = findById.get(args.id)
        if (pin?.state === STATE_PINNED) return 'finished'
        if (pin?.state === STATE_WAITING || pin?.state === STATE_WALKING) remove(pin)
        return 'cancelled'
      }),

    /** Undoes all pins that are not pinned yet, and tells which. */
    'pins.giveUp': (): number[] =>
      context.commit(() => {
        const pins = findUnfinished.all()
        for (const pin of pins) remove(pin)
        return pins.map(({ id }) => id)
      }),

    /** One transaction of walking; to be called again while there is more. */
    'pins.step': (): StepResult => walk.step(),

    /** Takes up what a crash left, and what could not go on because a block could not be read. */
    'pins.retry': (): void => walk.retry(),
  }
}
