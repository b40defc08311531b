import { describe, expect, it } from 'vitest'
import { FamiliarPeers } from '../../../../src/vault/holder/familiar-peers.ts'

const AFTER_MS = 60_000

function peers() {
  const clock = { nowMs: 0 }
  const connected: string[] = []
  const familiar = new FamiliarPeers({
    connected: () => connected,
    afterMs: AFTER_MS,
    monotonicMs: () => clock.nowMs,
  })
  const pass = (seconds: number): number => {
    let count = 0
    for (let second = 0; second < seconds; second++) {
      clock.nowMs += 1_000
      count = familiar.look()
    }
    return count
  }
  return { familiar, connected, clock, pass }
}

describe('familiar peers', () => {
  it('are those that were connected for an interval in all, and still are', () => {
    const { connected, pass } = peers()
    connected.push('a', 'b')
    expect(pass(40)).toBe(0)
    connected.splice(0)
    expect(pass(40)).toBe(0)
    connected.push('a')
    expect(pass(19)).toBe(0)
    expect(pass(1)).toBe(1)
    connected.splice(0)
    expect(pass(1)).toBe(0)
  })

  it('are those that proved a column', () => {
    const { familiar, connected, pass } = peers()
    connected.push('a', 'b')
    familiar.proven('a')
    expect(pass(1)).toBe(1)
  })

  it('are not strangers that come for a second, however many, and those do not push out others', () => {
    const { familiar, connected, pass } = peers()
    connected.push('old', 'proven')
    familiar.proven('proven')
    expect(pass(60)).toBe(2)
    for (let round = 0; round < 50; round++) {
      connected.splice(0)
      for (let stranger = 0; stranger < 100; stranger++) connected.push(`${round}/${stranger}`)
      expect(pass(1)).toBe(0)
    }
    connected.splice(0)
    connected.push('old', 'proven')
    expect(pass(1)).toBe(2)
  })

  it('count no time that this node slept', () => {
    const { connected, clock, pass } = peers()
    connected.push('a')
    pass(1)
    clock.nowMs += 10 * AFTER_MS
    expect(pass(1)).toBe(0)
  })
})
