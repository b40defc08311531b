import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { simulate } from '../../../src/simulation/index.ts'
import { SCENARIOS } from '../../../src/simulation/scenarios/index.ts'
import { createProgram } from '../../../src/cli/index.ts'

const outer = tmpdir()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(outer, 'p2pnode-test-'))
  vi.stubEnv('TMPDIR', folder)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true, force: true })
})

const never = new AbortController().signal

describe('simulate', () => {
  it('six nodes connect, every fetch is right, and nothing stays', async () => {
    const labels = new Set<string>()
    const report = await simulate({
      count: 6,
      scenario: 'basic',
      signal: never,
      onProgress: ({ label }) => labels.add(label),
    })
    expect(report.failures).toEqual([])
    expect(report).toMatchObject({
      ok: true,
      nodes: { count: 6, master: 1, worker: 4, leecher: 1 },
      connected: { nodes: 6, ms: expect.any(Number) },
      files: 1,
      fetches: { attempted: 5, right: 5, wrong: 0, failed: 0, hops: { p50: expect.any(Number) } },
      log: { errors: 0 },
    })
    expect(report.connected.connections).toBeGreaterThanOrEqual(5)
    expect(report.memory.peakRssBytes).toBeGreaterThan(0)
    expect([...labels]).toEqual(['starting nodes', 'adding files', 'fetching files', 'stopping nodes'])
    expect(await readdir(folder)).toEqual([])
  })

  it('refuses what it cannot play, and says what it can', async () => {
    const refused = (count: number, scenario: string) =>
      simulate({ count, scenario, signal: never }).catch((error: Error) => error)
    expect(await refused(1, 'basic')).toMatchObject({
      code: 'ERR_SIMULATION_COUNT',
      kind: 'usage',
      message: 'found 1 nodes, allowed: a whole number from 2 to 200',
    })
    expect(await refused(201, 'basic')).toMatchObject({ code: 'ERR_SIMULATION_COUNT' })
    expect(await refused(2, 'churn')).toMatchObject({ message: expect.stringContaining('at least 5') })
    expect(await refused(15, 'hostile')).toMatchObject({ message: expect.stringContaining('at least 16') })
    expect(await refused(5, 'toString')).toMatchObject({
      code: 'ERR_SIMULATION_SCENARIO',
      message: 'found the scenario "toString", allowed: basic, churn, private, hostile',
    })
    expect(await readdir(folder)).toEqual([])
  })

  it('has help that names every scenario', () => {
    const command = createProgram(async () => {}).commands.find((one) => one.name() === 'simulate')
    for (const name of Object.keys(SCENARIOS)) expect(command?.helpInformation()).toContain(`  ${name} `)
  })
})
