import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { QUEUE_MAX_ROWS, RETENTION_MAX_ROWS, RETENTION_MS } from '../../../src/trust/ledger.ts'
import type { TrustFixture } from '../../support/trust.ts'
import { newPeer, openTrust } from '../../support/trust.ts'

let fixture: TrustFixture
let peer: string
beforeEach(async () => {
  fixture = await openTrust()
  ;({ peer } = await newPeer())
})
afterEach(async () => {
  vi.useRealTimers()
  await fixture.close()
})

const countRows = (): number =>
  fixture.state.db.prepare<[], number>('SELECT count(*) FROM evidence').pluck().get() ?? -1

describe('evidence', () => {
  it('is stored with its detail, in order, and found by peer', async () => {
    const { trust, clock } = fixture
    const other = await newPeer()
    trust.report(peer, 'block-invalid', { cid: 'bafy' })
    trust.report(other.peer, 'dial-failed', { reason: 'timeout' })
    clock.nowMs += 5
    trust.report(peer, 'transfer-failed', { reason: 'stalled', bytes: 12, whole: false })

    const { evidence, nextAfterId } = trust.evidence({ peer })
    expect(evidence).toEqual([
      { id: 1, peer, kind: 'block-invalid', detail: { cid: 'bafy' }, atMs: clock.nowMs - 5, count: 1 },
      {
        id: 3,
        peer,
        kind: 'transfer-failed',
        detail: { reason: 'stalled', bytes: 12, whole: false },
        atMs: clock.nowMs,
        count: 1,
      },
    ])
    expect(nextAfterId).toBeNull()
    expect(trust.evidence().evidence).toHaveLength(3)
    expect(trust.evidence({ peer: other.did }).evidence).toHaveLength(1)
  })

  it('comes in pages', () => {
    const { trust } = fixture
    for (let index = 0; index < 16; index++) {
      trust.report(peer, 'dial-failed', { index })
    }
    const seen: unknown[] = []
    let afterId: number | null = 0
    while (afterId !== null) {
      const page = trust.evidence({ limit: 5, afterId })
      seen.push(...page.evidence.map(({ detail }) => detail.index))
      afterId = page.nextAfterId
    }
    expect(seen).toEqual(Array.from({ length: 16 }, (_, index) => index))
    expect(() => trust.evidence({ peer: 'nobody' })).toThrow(/is not a peer id/)
  })

  it('of the routine kind is one row a peer, kind and minute, with sums', () => {
    const { trust, clock } = fixture
    const serve = (times: number): void => {
      for (let index = 0; index < times; index++) {
        trust.report(peer, 'transfer-served', { bytes: 10, durationMs: 1, protocol: 'content' })
      }
    }
    serve(51)
    // What was written already is added to, not written again.
    expect(trust.evidence({ peer }).evidence).toMatchObject([{ count: 51, detail: { bytes: 510 } }])
    serve(49)
    trust.report(peer, 'message-valid')
    clock.nowMs += 60_000
    trust.report(peer, 'transfer-served', { bytes: 1 })
    expect(trust.evidence({ peer }).evidence).toMatchObject([
      { kind: 'transfer-served', count: 100, detail: { bytes: 1_000, durationMs: 100 } },
      { kind: 'message-valid', count: 1, detail: {} },
      { kind: 'transfer-served', count: 1, detail: { bytes: 1 } },
    ])
  })

  it('of a peer that misbehaves all the time is sixteen rows a minute and one that counts', () => {
    const { trust } = fixture
    for (let index = 0; index < 1_000; index++) {
      trust.report(peer, 'message-invalid', { reason: `number ${index}` })
    }
    const { evidence } = trust.evidence({ peer })
    expect(evidence).toHaveLength(17)
    expect(evidence.reduce((sum, { count }) => sum + count, 0)).toBe(1_000)
  })

  it('is cut to the bounds of the contract', () => {
    const { trust } = fixture
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`key${index}`, index]))
    trust.report(peer, 'protocol-violation', many)
    trust.report('x'.repeat(10_000), 'protocol-violation', { rule: 'y'.repeat(10_000), rate: Number.NaN })
    const [first, second] = trust.evidence().evidence
    expect(Object.keys(first?.detail ?? {})).toHaveLength(16)
    expect(second?.detail).toEqual({ rule: 'y'.repeat(256) })
    expect(second?.peer).toHaveLength(128)
  })

  it('over the bound of the queue is counted and dropped', () => {
    const { trust } = fixture
    for (let index = 0; index < QUEUE_MAX_ROWS + 5; index++) {
      trust.report(`peer ${index}`, 'dial-failed')
    }
    expect(trust.droppedEvidence()).toBe(5)
    trust.stop()
    expect(countRows()).toBe(QUEUE_MAX_ROWS)
  })

  it('that the disk refuses is counted, and later evidence is stored again', () => {
    const { trust, state } = fixture
    state.db.exec('ALTER TABLE evidence RENAME TO elsewhere')
    trust.report(peer, 'message-valid')
    trust.report(peer, 'block-invalid')
    trust.stop()
    expect(trust.droppedEvidence()).toBe(2)
    state.db.exec('ALTER TABLE elsewhere RENAME TO evidence')
    trust.report(peer, 'message-valid')
    expect(trust.evidence({ peer }).evidence).toMatchObject([{ kind: 'message-valid', count: 1 }])
  })

  it('is written once a second while trust runs, and at the stop', async () => {
    vi.useFakeTimers()
    const { trust } = fixture
    trust.start()
    trust.start()
    trust.report(peer, 'dial-failed')
    expect(countRows()).toBe(0)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(countRows()).toBe(1)
    trust.report(peer, 'dial-failed')
    trust.stop()
    trust.stop()
    expect(countRows()).toBe(2)
  })

  it('is removed in small steps when it is too old', async () => {
    vi.useFakeTimers()
    const { trust, clock } = fixture
    for (let index = 0; index < 1_200; index++) {
      trust.report(`peer ${index}`, 'dial-failed')
    }
    trust.stop()
    clock.nowMs += RETENTION_MS + 1
    trust.report(peer, 'dial-failed')
    trust.start()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(countRows()).toBe(701)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(countRows()).toBe(201)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(countRows()).toBe(1)
  })

  it('is removed from the old end when there is too much', async () => {
    vi.useFakeTimers()
    const { trust, state } = fixture
    trust.report('old', 'dial-failed')
    trust.report('old too', 'dial-failed')
    trust.stop()
    // The newest id tells how many there are: a million rows need not be written to test it.
    state.db
      .prepare('INSERT INTO evidence (id, peer, kind, detail, at_ms, count) VALUES (?, ?, ?, ?, ?, 1)')
      .run(RETENTION_MAX_ROWS + 1, 'new', 'dial-failed', '{}', fixture.clock.nowMs)
    trust.start()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(trust.evidence().evidence.map((row) => row.peer)).toEqual(['old too', 'new'])
  })
})
