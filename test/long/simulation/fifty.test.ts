import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SimulationReport } from '../../../src/simulation/index.ts'
import { p2pnode } from '../../support/daemon.ts'

const GIB = 2 ** 30
const MINUTE_MS = 60_000

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-test-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function play(count: number, scenario: string): Promise<SimulationReport> {
  const TMPDIR = join(folder, scenario)
  await mkdir(TMPDIR)
  const args = ['simulate', '--count', String(count), '--scenario', scenario, '--json']
  const result = await p2pnode(args, { env: { TMPDIR }, timeoutMs: 10 * MINUTE_MS })
  const report = result.json<SimulationReport>()
  console.log(JSON.stringify(report))
  expect(report.failures).toEqual([])
  expect(result.code).toBe(0)
  // Node keeps its compile cache there too.
  expect((await readdir(TMPDIR)).filter((name) => name.startsWith('p2pnode-'))).toEqual([])
  return report
}

// The numbers to hold of DESIGN.md: fifty nodes on one machine are connected within 90 s, in 8 GiB.
describe('fifty nodes in one process', () => {
  it('connect, add and fetch', async () => {
    const report = await play(50, 'basic')
    expect(report.connected.nodes).toBe(50)
    expect(report.connected.ms).toBeLessThanOrEqual(90_000)
    expect(report.memory.peakRssBytes).toBeLessThanOrEqual(8 * GIB)
    expect(report.fetches).toMatchObject({ wrong: 0, failed: 0 })
    expect(report.fetches.right).toBeGreaterThanOrEqual(80)
  })

  it('stay one network while a quarter leaves and comes back', async () => {
    const report = await play(50, 'churn')
    expect(report.counts).toMatchObject({ left: 12, returned: 12 })
    expect(report.counts.kept).toBeGreaterThan(0)
    expect(report.memory.peakRssBytes).toBeLessThanOrEqual(8 * GIB)
  })

  it('keep private files for each other', async () => {
    const report = await play(20, 'private')
    expect(report.fetches).toMatchObject({ wrong: 0, failed: 0 })
  })
})
