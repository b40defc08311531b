import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RETENTION_INTERVAL_MS, RETENTION_MS } from '../../../src/trust/ledger.ts'
import { newPeer, openTrust, type TrustFixture } from '../../support/trust.ts'

const never = new AbortController().signal

let fixture: TrustFixture
let peer: string
beforeEach(async () => {
  fixture = await openTrust()
  ;({ peer } = await newPeer())
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  fixture.trust.start()
})
afterEach(async () => {
  vi.useRealTimers()
  await fixture.close()
})

/** Lets so many minutes go by, for the clock and for the ledger's timers. */
async function pass(minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute += 1) {
    fixture.clock.nowMs += RETENTION_INTERVAL_MS
    await vi.advanceTimersByTimeAsync(RETENTION_INTERVAL_MS)
  }
}

async function sealed(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1)
    fixture.trust.report(peer, 'audit-passed', { slab: 'ab', column: index })
  await pass(2)
}

const audit = () => fixture.trust.audit(never)

describe('the chain through the ledger', () => {
  it('holds for what was stored, and counts what is not sealed yet', async () => {
    await sealed(10)
    expect(await audit()).toMatchObject({ ok: true, verified: 10, unsealed: 0, firstBroken: null })
    fixture.trust.report(peer, 'message-valid')
    fixture.trust.evidence()
    expect(await audit()).toMatchObject({ ok: true, verified: 10, unsealed: 1 })
  })

  it('is of an empty ledger as well', async () => {
    expect(await audit()).toMatchObject({ ok: true, verified: 0, unsealed: 0 })
  })

  it.each([
    ['a flipped byte', `UPDATE evidence SET detail = replace(detail, 'ab', 'ac') WHERE id = 4`, 4],
    ['another peer', `UPDATE evidence SET peer = 'somebody' WHERE id = 1`, 1],
    ['a count', `UPDATE evidence SET count = 2 WHERE id = 10`, 10],
    ['another time', `UPDATE evidence SET at_ms = at_ms + 1 WHERE id = 7`, 7],
    ['a hash', `UPDATE evidence SET hash = zeroblob(32) WHERE id = 3`, 3],
    ['no hash', `UPDATE evidence SET hash = NULL WHERE id = 3`, 3],
    ['an entry taken out', `DELETE FROM evidence WHERE id = 5`, 5],
    ['the end taken off', `DELETE FROM evidence WHERE id > 8`, 9],
  ])('finds %s', async (_, sql, id) => {
    await sealed(10)
    fixture.state.db.exec(sql)
    expect(await audit()).toMatchObject({ ok: false, firstBroken: { id } })
  })

  it('goes on after a restart, and seals what was left', async () => {
    await sealed(3)
    fixture.trust.report(peer, 'audit-failed', { slab: 'cd' })
    fixture.trust.stop()
    const again = fixture.reopen()
    again.start()
    await pass(2)
    expect(await again.audit(never)).toMatchObject({ ok: true, verified: 4, unsealed: 0 })
    again.stop()
  })

  it('seals merged evidence only once nothing is added to it any more', async () => {
    fixture.trust.report(peer, 'message-valid')
    fixture.trust.evidence()
    await vi.advanceTimersByTimeAsync(RETENTION_INTERVAL_MS)
    fixture.trust.report(peer, 'message-valid')
    fixture.trust.evidence()
    expect(await audit()).toMatchObject({ ok: true, verified: 0, unsealed: 1 })
    await pass(2)
    expect(await audit()).toMatchObject({ ok: true, verified: 1, unsealed: 0 })
    expect(fixture.trust.evidence().evidence[0]).toMatchObject({ count: 2 })
  })

  it('begins behind what was removed for its age', async () => {
    await sealed(10)
    fixture.clock.nowMs += RETENTION_MS + 1
    await sealed(2)
    const report = await audit()
    expect(report).toMatchObject({ ok: true, verified: 2, checkpoint: { id: 10 } })
    fixture.state.db.exec('UPDATE evidence SET count = 9 WHERE id = 11')
    expect(await audit()).toMatchObject({ ok: false, firstBroken: { id: 11 } })
  })

  it('can be left in the middle', async () => {
    await sealed(10)
    await expect(fixture.trust.audit(AbortSignal.abort())).rejects.toThrow()
  })
})
