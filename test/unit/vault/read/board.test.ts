import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LaneOrder } from '../../../../src/vault/read/board.ts'
import { SegmentBoard } from '../../../../src/vault/read/board.ts'

const MS = 10
const board = (k: number, segments: number, expectedMs: (peer: string) => number = () => MS) =>
  new SegmentBoard({
    k,
    segments: Array.from({ length: segments }, (_, at) => at),
    expectedMs,
    costMs: expectedMs,
  })
const END = Number.POSITIVE_INFINITY

function columnsOf(orders: LaneOrder[]): number[] {
  return orders.map(({ column }) => column).sort((one, other) => one - other)
}

describe('which holders are asked', () => {
  test('data columns first, where all are as fast', () => {
    const it = board(2, 3)
    for (const column of [3, 2, 1, 0]) it.offer(`peer${column}`, column)
    const orders = it.orders(0, END)
    expect(columnsOf(orders)).toEqual([0, 1])
    expect(orders.map(({ segments }) => segments)).toEqual([
      [0, 1, 2],
      [0, 1, 2],
    ])
  })

  test('the fastest, where some are much faster', () => {
    const it = board(2, 3, (peer) => (peer === 'peer3' || peer === 'peer2' ? MS : 10 * MS))
    for (const column of [0, 1, 2, 3]) it.offer(`peer${column}`, column)
    expect(columnsOf(it.orders(0, END))).toEqual([2, 3])
  })

  test('copies are shared out, neighbouring segments to different holders', () => {
    const it = board(1, 8)
    for (const column of [0, 1]) it.offer(`peer${column}`, column)
    const orders = it.orders(0, END)
    expect(orders.map(({ segments }) => segments)).toEqual([
      [0, 2, 4, 6],
      [1, 3, 5, 7],
    ])
  })

  test('nothing of copies beyond the horizon', () => {
    const it = board(1, 8)
    it.offer('peer', 0)
    expect(it.orders(0, 1).map(({ segments }) => segments)).toEqual([[0, 1]])
  })

  test('two holders of one column do not count as two pieces', () => {
    const it = board(2, 1)
    it.offer('one', 0)
    it.offer('other', 0)
    expect(it.orders(0, END)).toHaveLength(1)
    expect(it.outlook(0)).toEqual({ isHopeless: true, pieces: 1 })
  })
})

describe('late and lost holders', () => {
  test('another takes over what a lost one had still to give', () => {
    const it = board(2, 3)
    for (const column of [0, 1, 2]) it.offer(`peer${column}`, column)
    const [first] = it.orders(0, END) as [LaneOrder, LaneOrder]
    it.piece(first.lane, 0, 1)
    it.lost(first.lane, 'failed', 2)
    expect(it.orders(2, END)).toMatchObject([{ column: 2, segments: [1, 2] }])
  })

  test('one that failed is tried again, one that lied never', () => {
    const it = board(1, 1)
    it.offer('peer', 0)
    const [first] = it.orders(0, END) as [LaneOrder]
    it.lost(first.lane, 'failed', 0)
    expect(it.orders(0, END)).toEqual([])
    const later = it.retryAtMs(0) as number
    const [second] = it.orders(later, END) as [LaneOrder]
    it.lost(second.lane, 'invalid', later)
    it.renewed('peer')
    expect(it.outlook(0)).toEqual({ isHopeless: true, pieces: 0 })
    expect(it.orders(later + 60_000, END)).toEqual([])
  })

  test('a late one has another called in, and leaves when that one is first', () => {
    const it = board(2, 2)
    for (const column of [0, 1, 2]) it.offer(`peer${column}`, column)
    const [slow, quick] = it.orders(0, END) as [LaneOrder, LaneOrder]
    it.piece(quick.lane, 0, 400)
    expect(it.checkLate(401)).toEqual({ late: [slow.peer], stalled: [] })
    const [help] = it.orders(401, END) as [LaneOrder]
    expect(help).toMatchObject({ column: 2, segments: [0, 1] })
    expect(it.piece(help.lane, 0, 410)).toEqual({ isWanted: true, isComplete: true, close: [slow.lane] })
  })

  test('the one called in leaves when the late one goes on first', () => {
    const it = board(2, 2)
    for (const column of [0, 1, 2]) it.offer(`peer${column}`, column)
    const [slow, quick] = it.orders(0, END) as [LaneOrder, LaneOrder]
    it.piece(quick.lane, 0, 400)
    it.checkLate(401)
    const [help] = it.orders(401, END) as [LaneOrder]
    expect(it.piece(slow.lane, 0, 410)).toEqual({ isWanted: true, isComplete: true, close: [help.lane] })
  })

  test('where everybody is silent, nobody is called late at once', () => {
    const it = board(2, 2)
    for (const column of [0, 1, 2]) it.offer(`peer${column}`, column)
    it.orders(0, END)
    expect(it.checkLate(1_000).late).toEqual([])
    expect(it.checkLate(5_000).late).toHaveLength(2)
  })

  test('who waits for the consumer is not late', () => {
    const it = board(1, 1)
    it.offer('peer', 0)
    const [lane] = it.orders(0, END) as [LaneOrder]
    it.paused(lane.lane)
    expect(it.checkLate(60_000)).toEqual({ late: [], stalled: [] })
    it.resumed(lane.lane, 60_000)
    expect(it.checkLate(60_001).late).toEqual([])
  })
})

/** A run with random speeds, losses and silences, in virtual time. */
interface Fate {
  everyMs: number
  /** After so many pieces the peer fails; undefined: never. */
  failsAfter: number | undefined
  reason: 'missing' | 'invalid' | 'failed'
  isSilent: boolean
}

const fate: fc.Arbitrary<Fate> = fc.record({
  everyMs: fc.integer({ min: 1, max: 500 }),
  failsAfter: fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined }),
  reason: fc.constantFrom('missing' as const, 'invalid' as const, 'failed' as const),
  isSilent: fc.boolean(),
})

describe('whatever holders do', () => {
  test('each segment gets k pieces of different columns as long as k holders are good', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 12 }),
        fc.array(fate, { maxLength: 6 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 400 })),
        (k, segments, bad, speeds) => {
          const fates = new Map<string, Fate>()
          for (const [at, one] of bad.entries()) fates.set(`bad${at}`, one)
          for (let at = 0; at < k; at += 1) {
            const everyMs = speeds.next().value as number
            fates.set(`good${at}`, { everyMs, failsAfter: undefined, reason: 'failed', isSilent: false })
          }
          const it = board(k, segments, () => 50)
          for (const [at, peer] of [...fates.keys()].entries()) it.offer(peer, at)

          const got = new Map<number, Set<number>>()
          const lanes = new Map<number, { order: LaneOrder; fate: Fate; next: number; dueMs: number }>()
          let sent = 0
          let nowMs = 0
          for (; !it.isComplete; nowMs += 10) {
            expect(nowMs).toBeLessThan(10 * 60_000)
            for (const order of it.orders(nowMs, END)) {
              const fate = fates.get(order.peer) as Fate
              lanes.set(order.lane, { order, fate, next: 0, dueMs: nowMs + fate.everyMs })
            }
            for (const id of it.checkLate(nowMs).stalled) {
              it.lost(id, 'failed', nowMs)
              lanes.delete(id)
            }
            for (const [id, lane] of lanes) {
              if (lane.fate.isSilent || lane.dueMs > nowMs) continue
              if (lane.next === lane.fate.failsAfter) {
                it.lost(id, lane.fate.reason, nowMs)
                lanes.delete(id)
                continue
              }
              const segment = lane.order.segments[lane.next] as number
              const { isWanted, isComplete, close } = it.piece(id, segment, nowMs)
              sent += 1
              lane.next += 1
              lane.dueMs = nowMs + lane.fate.everyMs
              if (isWanted) {
                const columns = got.get(segment) ?? new Set()
                expect(columns.has(lane.order.column)).toBe(false)
                got.set(segment, columns.add(lane.order.column))
                expect(isComplete).toBe(columns.size === k)
              }
              for (const other of close) lanes.delete(other)
            }
          }
          for (let at = 0; at < segments; at += 1) expect(got.get(at)?.size).toBe(k)
          // What is asked for twice is bounded by how often somebody was late.
          expect(sent).toBeLessThanOrEqual(4 * k * segments + fates.size * segments)
        },
      ),
      { numRuns: 300 },
    )
  })
})
