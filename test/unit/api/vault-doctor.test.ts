import { describe, expect, it } from 'vitest'
import { checkVault } from '../../../src/node/doctor.ts'
import { configOf } from '../../support/config.ts'
import { FakeVault } from '../../support/api-vault.ts'

const DAY_MS = 86_400_000

/** What doctor says of a vault that reports so, by the name of the check. */
async function told(changes: Partial<ReturnType<FakeVault['report']>>): Promise<Record<string, string>> {
  const config = await configOf({})
  const vault = new FakeVault()
  const report = { ...vault.report(), ...changes }
  const checks = checkVault({ vault: { report: () => report }, config }, 0)
  return Object.fromEntries(checks.map(({ name, state }) => [name, state]))
}

describe('doctor on private files', () => {
  it('is content with what is whole and kept for long', async () => {
    expect(await told({})).toEqual({ leases: 'ok', 'private files': 'ok' })
    expect(await told({ soonestExpiryMs: 60 * DAY_MS })).toMatchObject({ leases: 'ok' })
  })

  it('warns of leases that end soon, and fails where one ended', async () => {
    expect(await told({ soonestExpiryMs: 10 * DAY_MS })).toMatchObject({ leases: 'warn' })
    expect(await told({ soonestExpiryMs: -1 })).toMatchObject({ leases: 'fail' })
  })

  it('warns of what is missing, and of what the vault complains of', async () => {
    const report = { degradedSlabs: 2, problems: ['too few holders'] }
    expect(await told(report)).toMatchObject({ 'private files': 'warn', vault: 'warn' })
  })

  it('says what was measured: what is lost fails, what was not measured is not called whole', async () => {
    const health = { healthy: 1, degraded: 0, critical: 0, lost: 0, unknown: 0 }
    expect(await told({ health: { ...health, critical: 1 } })).toMatchObject({ 'private files': 'warn' })
    expect(await told({ health: { ...health, lost: 1 } })).toMatchObject({ 'private files': 'fail' })
    const config = await configOf({})
    const report = { ...new FakeVault().report(), health: { ...health, unknown: 2 } }
    const checks = checkVault({ vault: { report: () => report }, config }, 0)
    expect(checks.at(-1)).toMatchObject({ state: 'ok', message: '1 measured whole, 2 not measured lately' })
  })

  it('says nothing where there is no vault', async () => {
    expect(checkVault({ vault: undefined, config: await configOf({}) }, 0)).toEqual([])
  })
})
