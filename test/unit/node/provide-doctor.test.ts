import { describe, expect, it } from 'vitest'
import { checkProvides } from '../../../src/node/doctor.ts'
import { configOf } from '../../support/config.ts'

const HOUR_MS = 3_600_000

async function told(records: number, debtOldestMs: number): Promise<string | undefined> {
  const provides = {
    records,
    debtRecords: debtOldestMs > 0 ? 1 : 0,
    debtOldestMs,
    running: 0,
    provided: 0,
    failed: 0,
    refused: { private: 0, denied: 0, hash: 0, full: 0 },
  }
  return checkProvides({ provides, config: await configOf({}) })[0]?.state
}

describe('doctor on provider records', () => {
  it('is content with what is in time, warns of what is behind, and fails where others have forgotten', async () => {
    expect(await told(0, 0)).toBeUndefined()
    expect(await told(5, 0)).toBe('ok')
    expect(await told(5, HOUR_MS - 1)).toBe('ok')
    expect(await told(5, 2 * HOUR_MS)).toBe('warn')
    // 48 h less the interval of 22 h.
    expect(await told(5, 27 * HOUR_MS)).toBe('fail')
  })
})
