import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MAX_AGE_MS, MAX_AHEAD_MS, MAX_SENDERS, SEQUENCES_PER_SENDER } from '../../../src/gossip/limits.ts'
import { openSenders, type Senders } from '../../../src/gossip/senders.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { quietLogger } from '../../support/network.ts'

const NOW_MS = 1_700_000_000_000

let home: string
let state: StateDatabase
let clock: { nowMs: number }
let senders: Senders
const open = (): Senders => openSenders({ state, log: quietLogger(), now: () => clock.nowMs })

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'p2pnode-senders-'))
  state = await openState({ path: join(home, 'state.db'), log: quietLogger() })
  clock = { nowMs: NOW_MS }
  senders = open()
  senders.start()
})
afterEach(async () => {
  senders.stop()
  await state.close()
  await rm(home, { recursive: true, force: true })
})

const take = (sequence: bigint, sender = 'a', timeMs = clock.nowMs) => senders.take(sender, sequence, timeMs)

describe('what was heard before', () => {
  it('is taken once, whatever the order within the window', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.bigInt({ min: 1n, max: 2n ** 63n }), {
          minLength: 1,
          maxLength: SEQUENCES_PER_SENDER,
        }),
        fc.uuid(),
        (sequences, sender) => {
          for (const sequence of sequences) expect(take(sequence, sender)).toBe('fresh')
          for (const sequence of sequences) expect(take(sequence, sender)).toBe('repeated')
        },
      ),
      { numRuns: 50 },
    )
  })

  it('is never taken twice, however much comes', () => {
    const taken = new Set<bigint>()
    for (let round = 0n; round < 2_000n; round += 1n) {
      const sequence = (round * 7_919n) % 1_000n
      const isFresh = take(sequence + 1n) === 'fresh'
      if (isFresh) expect(taken.has(sequence)).toBe(false)
      taken.add(sequence)
    }
  })

  it('is stale before and after its time', () => {
    expect(take(1n, 'a', NOW_MS - MAX_AGE_MS - 1)).toBe('stale')
    expect(take(1n, 'a', NOW_MS + MAX_AHEAD_MS + 1)).toBe('stale')
    expect(take(1n, 'a', NOW_MS - MAX_AGE_MS)).toBe('fresh')
    expect(take(2n, 'a', NOW_MS + MAX_AHEAD_MS)).toBe('fresh')
  })

  it('is known after a restart', () => {
    expect(take(2n ** 63n + 5n)).toBe('fresh')
    expect(take(7n, 'b')).toBe('fresh')
    senders.stop()
    senders = open()
    expect(take(2n ** 63n + 5n)).toBe('repeated')
    expect(take(7n, 'b')).toBe('repeated')
    expect(take(8n, 'b')).toBe('fresh')
    expect(take(7n, 'c')).toBe('fresh')
  })

  it('is forgotten on disk once its time is over', () => {
    take(7n)
    senders.stop()
    clock.nowMs += 3 * (MAX_AGE_MS + MAX_AHEAD_MS)
    senders = open()
    senders.take('b', 1n, clock.nowMs)
    senders.stop()
    const rows = state.db.prepare<[], string>('SELECT sender FROM message_sender').pluck().all()
    expect(rows).toEqual(['b'])
    // By its time, which the sender has signed.
    expect(take(7n, 'a', NOW_MS)).toBe('stale')
  })

  it('takes a bounded place on disk, whatever names are made up', () => {
    senders.stop()
    const bounded = openSenders({ state, log: quietLogger(), now: () => clock.nowMs, maxStored: 20 })
    bounded.start()
    for (let index = 0; index < 100; index++) bounded.take(`made up ${index}`, 1n, clock.nowMs)
    bounded.stop()
    expect(state.db.prepare('SELECT count(*) AS count FROM message_sender').get()).toEqual({ count: 18 })
  })

  it('is not taken again once its sender had to make room for made-up names', () => {
    senders.stop()
    const openSmall = (): Senders =>
      openSenders({ state, log: quietLogger(), now: () => clock.nowMs, maxStored: 10 })
    let small = openSmall()
    const saidMs = clock.nowMs + MAX_AHEAD_MS
    expect(small.take('victim', 5n, saidMs)).toBe('fresh')
    small.stop()
    clock.nowMs += 1_000
    small = openSmall()
    for (let index = 0; index < 50; index += 1) small.take(`made up ${index}`, 1n, clock.nowMs)
    small.stop()
    small = openSmall()
    expect(state.db.prepare("SELECT * FROM message_sender WHERE sender = 'victim'").all()).toEqual([])
    expect(small.look('victim', 5n, saidMs)).toBe('stale')
    expect(small.take('victim', 5n, saidMs)).toBe('stale')
    // What is said after that is taken, and names that are known are not touched by it.
    expect(small.take('made up 49', 2n, clock.nowMs)).toBe('fresh')
    clock.nowMs += MAX_AHEAD_MS + 1_000
    expect(small.take('victim', 6n, clock.nowMs)).toBe('fresh')
    small.stop()
  })

  it('is not taken again where nothing is on disk either', () => {
    const inMemory = openSenders({ state: undefined, log: quietLogger(), now: () => clock.nowMs })
    const saidMs = clock.nowMs
    expect(inMemory.take('victim', 5n, saidMs)).toBe('fresh')
    clock.nowMs += 1
    for (let index = 0; index < MAX_SENDERS; index += 1)
      inMemory.take(`made up ${index}`, 1n, clock.nowMs + MAX_AHEAD_MS)
    expect(inMemory.take('victim', 5n, saidMs)).toBe('stale')
    // A clock that is put back by a day does not silence strangers for a day.
    clock.nowMs -= 24 * 3_600_000
    expect(inMemory.take('stranger', 1n, clock.nowMs)).toBe('fresh')
  })

  it('is looked at without taking note of it', () => {
    expect(senders.look('a', 1n, clock.nowMs)).toBe('fresh')
    expect(take(1n)).toBe('fresh')
    expect(senders.look('a', 1n, clock.nowMs)).toBe('repeated')
    expect(senders.look('a', 2n, clock.nowMs - MAX_AGE_MS - 1)).toBe('stale')
    expect(senders.look('a', 0n, clock.nowMs)).toBe('repeated')
  })
})
