import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EvidenceKind } from '../../../src/trust/contract.ts'
import {
  type Account,
  confidenceAt,
  isProvenAt,
  newAccount,
  note,
  overall,
  viewsAt,
} from '../../../src/trust/model/account.ts'
import { BASELINE, SUMS, WEIGHTS } from '../../../src/trust/model/weights.ts'

const DAY_MS = 24 * 3_600_000
const START_MS = 1_700_000_000_000
const KINDS = Object.keys(WEIGHTS) as EvidenceKind[]
const VIEWS = ['honesty', 'reliability', 'storage'] as const

const kind = fc.constantFrom(...KINDS)
const history = fc.array(fc.record({ kind, afterMs: fc.integer({ min: 0, max: 3 * DAY_MS }) }), {
  maxLength: 200,
})

function accountOf(events: readonly { kind: EvidenceKind; afterMs: number }[]): {
  account: Account
  atMs: number
} {
  const account = newAccount(START_MS)
  let atMs = START_MS
  for (const event of events) {
    atMs += event.afterMs
    note(account, event.kind, atMs)
  }
  return { account, atMs }
}

function repeated(what: EvidenceKind, times: number, atMs = START_MS): Account {
  const account = newAccount(START_MS)
  for (let time = 0; time < times; time += 1) note(account, what, atMs)
  return account
}

describe('the account of a peer', () => {
  it('is that of a proven holder after two audits, until they are forgotten, whatever else was seen', () => {
    expect(isProvenAt(repeated('audit-passed', 1), START_MS)).toBe(false)
    const twice = repeated('audit-passed', 2)
    expect(isProvenAt(twice, START_MS)).toBe(true)
    expect(isProvenAt(twice, START_MS + 12 * DAY_MS)).toBe(true)
    expect(isProvenAt(twice, START_MS + 13 * DAY_MS)).toBe(false)
    fc.assert(
      fc.property(history, (events) => {
        const { account, atMs } = accountOf(events.filter((event) => event.kind !== 'audit-passed'))
        expect(isProvenAt(account, atMs)).toBe(false)
      }),
    )
  })

  it('keeps every view and the confidence within bounds, whatever happens', () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 400 * DAY_MS }), (events, laterMs) => {
        const { account, atMs } = accountOf(events)
        const views = viewsAt(account, atMs + laterMs)
        for (const view of VIEWS) {
          expect(views[view]).toBeGreaterThanOrEqual(0)
          expect(views[view]).toBeLessThanOrEqual(1)
        }
        expect(confidenceAt(account, atMs + laterMs)).toBeGreaterThanOrEqual(0)
        expect(confidenceAt(account, atMs + laterMs)).toBeLessThan(1)
      }),
    )
  })

  it('is never worth less for good conduct, and never more for bad', () => {
    fc.assert(
      fc.property(history, kind, (events, next) => {
        const { account, atMs } = accountOf(events)
        const before = viewsAt(account, atMs)
        note(account, next, atMs)
        const after = viewsAt(account, atMs)
        const { sign } = SUMS[WEIGHTS[next].sum]
        for (const view of VIEWS) expect((after[view] - before[view]) * sign).toBeGreaterThanOrEqual(-1e-12)
      }),
    )
  })

  it('comes nearer to the baseline with time where only good or only bad was seen', () => {
    fc.assert(
      fc.property(
        history,
        fc.constantFrom(1, -1),
        fc.integer({ min: 0, max: 300 * DAY_MS }),
        fc.integer({ min: 1, max: 300 * DAY_MS }),
        (events, sign, firstMs, secondMs) => {
          const { account, atMs } = accountOf(
            events.filter((event) => SUMS[WEIGHTS[event.kind].sum].sign === sign),
          )
          const early = viewsAt(account, atMs + firstMs)
          const late = viewsAt(account, atMs + firstMs + secondMs)
          for (const view of VIEWS)
            expect(Math.abs(late[view] - BASELINE)).toBeLessThanOrEqual(
              Math.abs(early[view] - BASELINE) + 1e-12,
            )
        },
      ),
    )
  })

  it('does not depend on the order of evidence of one moment where no bound is reached', () => {
    // Three of each kind reach neither a day's bound nor that of a sum.
    const events = fc.shuffledSubarray(
      [...KINDS, ...KINDS, ...KINDS].filter((name) => name !== 'block-invalid'),
    )
    fc.assert(
      fc.property(events, (order) => {
        const one = newAccount(START_MS)
        const other = newAccount(START_MS)
        for (const name of order) note(one, name, START_MS)
        for (const name of order.toReversed()) note(other, name, START_MS)
        const [a, b] = [viewsAt(one, START_MS), viewsAt(other, START_MS)]
        for (const view of VIEWS) expect(a[view]).toBeCloseTo(b[view], 9)
      }),
    )
  })

  it('gives 0.001 for a valid message, at most 0.01 a day, and takes 0.1 for an invalid one', () => {
    expect(viewsAt(repeated('message-valid', 1), START_MS).honesty).toBeCloseTo(0.501, 9)
    expect(viewsAt(repeated('message-valid', 10_000), START_MS).honesty).toBeCloseTo(0.51, 9)
    expect(viewsAt(repeated('message-invalid', 1), START_MS).honesty).toBeCloseTo(0.4, 9)
    const account = repeated('message-valid', 100)
    for (let time = 0; time < 100; time += 1) note(account, 'message-valid', START_MS + DAY_MS)
    expect(viewsAt(account, START_MS + DAY_MS).honesty).toBeGreaterThan(0.519)
    expect(viewsAt(account, START_MS + DAY_MS).honesty).toBeLessThan(0.52)
  })

  it('counts no message for storage, and no lost column for anything else', () => {
    expect(viewsAt(repeated('message-valid', 10), START_MS)).toMatchObject({ storage: 0.5, reliability: 0.5 })
    const lost = viewsAt(repeated('audit-failed', 1), START_MS)
    expect(lost).toMatchObject({ honesty: 0.5, reliability: 0.5 })
    expect(lost.storage).toBeCloseTo(0.3, 9)
  })

  it('takes slowness for no lie', () => {
    const slow = viewsAt(repeated('transfer-failed', 1_000), START_MS)
    expect(slow.honesty).toBe(0.5)
    expect(slow.reliability).toBeCloseTo(0.3, 9)
    expect(overall(slow.honesty, slow.reliability)).toBeCloseTo(0.4, 9)
  })

  it('forgets half of bad messages in two weeks, and is not for sale for a good past', () => {
    const bad = repeated('message-invalid', 2)
    expect(viewsAt(bad, START_MS + 14 * DAY_MS).honesty).toBeCloseTo(0.4, 9)
    const saint = newAccount(START_MS)
    let atMs = START_MS
    for (let day = 0; day < 1_000; day += 1) {
      atMs += DAY_MS
      for (let time = 0; time < 20; time += 1) note(saint, 'audit-passed', atMs)
      for (let time = 0; time < 20; time += 1) note(saint, 'transfer-served', atMs)
    }
    expect(viewsAt(saint, atMs).honesty).toBe(1)
    for (let time = 0; time < 10; time += 1) note(saint, 'message-invalid', atMs)
    expect(viewsAt(saint, atMs).honesty).toBeLessThan(0.1)
  })

  it('stands a clock that goes back', () => {
    const account = repeated('message-invalid', 1, START_MS + DAY_MS)
    note(account, 'message-invalid', START_MS - DAY_MS)
    expect(account.atMs).toBe(START_MS + DAY_MS)
    expect(viewsAt(account, START_MS).honesty).toBeCloseTo(0.3, 9)
  })

  it('is known the better the more was seen', () => {
    expect(confidenceAt(newAccount(START_MS), START_MS)).toBe(0)
    expect(confidenceAt(repeated('audit-passed', 2), START_MS)).toBeCloseTo(0.5, 9)
    expect(confidenceAt(repeated('audit-passed', 8), START_MS)).toBeCloseTo(0.8, 9)
  })
})
