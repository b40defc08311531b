import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PingSchedule } from '../../../src/network/liveness.ts'

const INTERVAL_MS = 60_000
const STEP_MS = 2_000

describe('PingSchedule', () => {
  it('spreads connections that came at once over the interval', () => {
    let nowMs = 0
    const schedule = new PingSchedule<object>(INTERVAL_MS, { now: () => nowMs })
    const connections = Array.from({ length: 300 }, () => ({}))
    const perLook: number[] = []
    for (; nowMs <= INTERVAL_MS; nowMs += STEP_MS) perLook.push(schedule.due(connections).length)
    expect(perLook.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(300)
    // Ten at a time on average; a Poisson of 10 is above 30 once in ten million.
    expect(Math.max(...perLook)).toBeLessThan(30)
  })

  it('never leaves a connection unheard for longer than an interval and a look', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (random) => {
        let nowMs = 0
        const schedule = new PingSchedule<object>(INTERVAL_MS, {
          now: () => nowMs,
          random: () => random.next().value,
        })
        const connection = {}
        let lastMs = 0
        for (; nowMs < 20 * INTERVAL_MS; nowMs += STEP_MS) {
          if (schedule.due([connection]).length === 0) continue
          expect(nowMs - lastMs).toBeLessThanOrEqual(INTERVAL_MS + STEP_MS)
          lastMs = nowMs
          schedule.measured(connection)
        }
        expect(lastMs).toBeGreaterThan(0)
      }),
    )
  })

  it('pings once for both sides, and lets each measure now and then', () => {
    let nowMs = 0
    const options = { now: () => nowMs }
    const sides = [
      new PingSchedule<object>(INTERVAL_MS, options),
      new PingSchedule<object>(INTERVAL_MS, options),
    ]
    const connections = [{}, {}]
    const pings = [0, 0]
    const minutes = 600
    for (; nowMs < minutes * INTERVAL_MS; nowMs += STEP_MS) {
      for (const [side, schedule] of sides.entries()) {
        if (schedule.due([connections[side]!]).length === 0) continue
        pings[side]! += 1
        schedule.measured(connections[side]!)
        sides[1 - side]!.heard(connections[1 - side]!)
      }
    }
    // Of both sides together: one for each interval, which is 0.8 to 1 minute long, and the tenth that is to measure.
    expect(pings[0]! + pings[1]!).toBeGreaterThan(minutes * 0.95)
    expect(pings[0]! + pings[1]!).toBeLessThan(minutes * 1.35)
    for (const count of pings) expect(count).toBeGreaterThan(minutes / 12)
  })
})
