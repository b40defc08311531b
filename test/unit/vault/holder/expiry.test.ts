import { describe, expect, it } from 'vitest'
import type { ColumnRow } from '../../../../src/storage/columns/types.ts'
import { newCounters } from '../../../../src/vault/holder/counters.ts'
import { Expiry, expiryDelayMs } from '../../../../src/vault/holder/expiry.ts'
import { quietLogger } from '../../../support/network.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

function row(name: number, storedAtMs: number, untilMs: number): ColumnRow {
  return { slab: new Uint8Array(32).fill(name), column: 0, storedAtMs, untilMs } as ColumnRow
}

/** Columns that know no more than when their leases end. */
function house(rows: ColumnRow[], clocks: { nowMs: number; awakeMs: number }, onRemoving = () => {}) {
  const forgotten: number[] = []
  const expiry = new Expiry({
    columns: {
      expired: (nowMs, limit) => rows.filter(({ untilMs }) => untilMs < nowMs).slice(0, limit),
      async remove(slab, isStillSo = () => true) {
        onRemoving()
        const at = rows.findIndex((held) => held.slab === slab)
        if (at < 0 || !isStillSo(rows[at] as ColumnRow)) return false
        rows.splice(at, 1)
        return true
      },
      async forgetTombstones(nowMs) {
        forgotten.push(nowMs)
        return 0
      },
    },
    counters: newCounters(),
    intervalMs: 1_000,
    nowMs: () => clocks.nowMs,
    awakeMs: () => clocks.awakeMs,
    log: quietLogger(),
    onRemoved: () => {},
  })
  return { expiry, forgotten }
}

describe('expired columns', () => {
  it('are kept on for a day, or for a quarter of a short lease', () => {
    expect(expiryDelayMs({ storedAtMs: 0, untilMs: 90 * DAY_MS })).toBe(DAY_MS)
    expect(expiryDelayMs({ storedAtMs: 0, untilMs: 8_000 })).toBe(2_000)
    // A lease that was shortened to before the column came.
    expect(expiryDelayMs({ storedAtMs: 10, untilMs: 5 })).toBe(0)
  })

  it('go when that time has passed', async () => {
    const clocks = { nowMs: 90 * DAY_MS + HOUR_MS, awakeMs: 30 * DAY_MS }
    const rows = [row(1, 0, 90 * DAY_MS), row(2, 0, 91 * DAY_MS)]
    const { expiry } = house(rows, clocks)
    expect(await expiry.look()).toBe(0)
    clocks.nowMs += DAY_MS
    expect(await expiry.look()).toBe(1)
    expect(rows).toHaveLength(1)
  })

  it('stay where their owner has renewed them while others were removed', async () => {
    const clocks = { nowMs: 92 * DAY_MS, awakeMs: 30 * DAY_MS }
    const rows = [row(1, 0, 90 * DAY_MS), row(2, 0, 90 * DAY_MS)]
    const renewed = row(2, 0, 180 * DAY_MS)
    const { expiry } = house(rows, clocks, () => {
      const at = rows.findIndex(({ slab }) => slab[0] === 2)
      rows[at] = { ...renewed, slab: (rows[at] as ColumnRow).slab }
    })
    expect(await expiry.look()).toBe(1)
    expect(rows.map(({ untilMs }) => untilMs)).toEqual([180 * DAY_MS])
  })

  it('stay while a clock that jumped may yet be put right', async () => {
    const clocks = { nowMs: 400 * DAY_MS, awakeMs: 10_000 }
    const rows = [row(1, 0, 90 * DAY_MS)]
    const { expiry, forgotten } = house(rows, clocks)
    expect(await expiry.look()).toBe(0)
    clocks.awakeMs = DAY_MS - 1
    expect(await expiry.look()).toBe(0)
    expect(forgotten).toEqual([])
    // The clock was set right: nothing had happened.
    clocks.nowMs = 5 * DAY_MS
    clocks.awakeMs = 2 * DAY_MS
    expect(await expiry.look()).toBe(0)
    expect(rows).toHaveLength(1)
  })
})
