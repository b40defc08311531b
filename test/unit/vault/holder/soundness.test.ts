import { describe, expect, it } from 'vitest'
import type { StateDatabase } from '../../../../src/storage/state/types.ts'
import { Soundness } from '../../../../src/vault/holder/soundness.ts'
import { temporaryState } from '../../../support/vault-state.ts'

const MINUTE_MS = 60_000

interface Clocks {
  wallMs: number
  steadyMs: number
  connected: number
  /** Of those; all of them where it is left out. */
  familiar?: number
}

function soundness(state: StateDatabase, clocks: Clocks, halfLifeMs = 10 * MINUTE_MS): Soundness {
  return new Soundness({
    state,
    connected: () => clocks.connected,
    familiar: () => clocks.familiar ?? clocks.connected,
    halfLifeMs,
    settleMs: 5_000,
    nowMs: () => clocks.wallMs,
    monotonicMs: () => clocks.steadyMs,
  })
}

/** Lets the time of both clocks pass, a tick a second. */
function pass(sound: Soundness, clocks: Clocks, seconds: number): void {
  for (let second = 0; second < seconds; second++) {
    clocks.wallMs += 1_000
    clocks.steadyMs += 1_000
    sound.tick()
  }
}

describe('soundness', () => {
  it('concludes nothing before others had time to come, or with nobody there', async () => {
    const clocks = { wallMs: 1_000_000, steadyMs: 0, connected: 3 }
    const sound = soundness(await temporaryState(), clocks)
    expect(sound.isSound).toBe(false)
    pass(sound, clocks, 6)
    expect(sound.isSound).toBe(true)
    clocks.connected = 0
    expect(sound.isSound).toBe(false)
  })

  it('concludes nothing while fewer than half of the usual peers are seen, until those count as gone', async () => {
    const clocks = { wallMs: 1_000_000, steadyMs: 0, connected: 10 }
    const sound = soundness(await temporaryState(), clocks)
    pass(sound, clocks, 60)
    clocks.connected = 5
    expect(sound.isSound).toBe(true)
    clocks.connected = 3
    expect(sound.isSound).toBe(false)
    pass(sound, clocks, 5 * 60)
    expect(sound.isSound).toBe(false)
    pass(sound, clocks, 15 * 60)
    expect(sound.isSound).toBe(true)
  })

  it('does not forget how many there were while nobody is seen at all', async () => {
    const clocks = { wallMs: 1_000_000, steadyMs: 0, connected: 10 }
    const sound = soundness(await temporaryState(), clocks)
    pass(sound, clocks, 60)
    clocks.connected = 0
    pass(sound, clocks, 24 * 60)
    clocks.connected = 4
    expect(sound.isSound).toBe(false)
  })

  it('is not kept from its work by strangers that came and went, and says so where it is', async () => {
    const clocks: Clocks = { wallMs: 1_000_000, steadyMs: 0, connected: 100, familiar: 6 }
    const sound = soundness(await temporaryState(), clocks)
    expect(sound.problem).toBeUndefined()
    pass(sound, clocks, 60)
    clocks.connected = 6
    expect(sound.isSound).toBe(true)
    expect(sound.problem).toBeUndefined()
    clocks.connected = 2
    expect(sound.isSound).toBe(false)
    expect(sound.problem).toContain('connected to 2 of some 6')
  })

  it('takes enough peers for enough, however many there were', async () => {
    const clocks = { wallMs: 1_000_000, steadyMs: 0, connected: 1_000 }
    const sound = soundness(await temporaryState(), clocks)
    pass(sound, clocks, 60)
    expect(sound.usualPeers).toBe(32)
    clocks.connected = 16
    expect(sound.isSound).toBe(true)
  })

  it('takes a sleep and a clock that is set for a gap, and nothing else', async () => {
    const clocks = { wallMs: 1_000_000, steadyMs: 0, connected: 4 }
    const sound = soundness(await temporaryState(), clocks)
    const gaps: number[] = []
    sound.onGap((awayMs) => gaps.push(awayMs))
    pass(sound, clocks, 30)
    expect(gaps).toEqual([])
    // Asleep: the wall goes on, the steady clock does not.
    clocks.wallMs += 3_600_000
    pass(sound, clocks, 1)
    expect(gaps).toEqual([3_601_000])
    expect(sound.isSound).toBe(false)
    pass(sound, clocks, 6)
    expect(sound.isSound).toBe(true)
    // Set back.
    clocks.wallMs -= 7_200_000
    pass(sound, clocks, 1)
    expect(gaps).toHaveLength(2)
    expect(sound.awakeMs).toBeLessThan(0)
  })

  it('knows after a restart how long it was away and how many peers are usual', async () => {
    const state = await temporaryState()
    const clocks = { wallMs: 1_000_000, steadyMs: 0, connected: 8 }
    const before = soundness(state, clocks)
    expect(before.awayBeforeMs).toBe(0)
    pass(before, clocks, 30)
    before.stop()
    clocks.wallMs += 20 * MINUTE_MS
    clocks.steadyMs = 0
    clocks.connected = 2
    const after = soundness(state, clocks)
    expect(after.awayBeforeMs).toBe(20 * MINUTE_MS)
    pass(after, clocks, 10)
    expect(after.isSound).toBe(false)
    clocks.connected = 4
    expect(after.isSound).toBe(true)
  })

  it('a clock that went back over a restart counts as long away', async () => {
    const state = await temporaryState()
    const clocks = { wallMs: 100 * MINUTE_MS, steadyMs: 0, connected: 1 }
    const before = soundness(state, clocks)
    pass(before, clocks, 1)
    before.stop()
    clocks.wallMs -= 50 * MINUTE_MS
    expect(soundness(state, clocks).awayBeforeMs).toBeGreaterThan(10 * MINUTE_MS)
  })
})
