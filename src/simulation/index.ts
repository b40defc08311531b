/**
 * Many whole nodes in one process, over loopback sockets, and a story that is played with them. What they have on disk is
 * below one temporary folder, which is removed however the story ends.
 *
 * @example
 * const report = await simulate({ count: 50, scenario: 'basic', signal })
 * report.ok // every node connected, every fetch right
 */
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cancelled, countInvalid, scenarioUnknown, tooFewNodes } from './errors.ts'
import { MAX_NODES, MIN_NODES } from './limits.ts'
import { countingLog } from './log.ts'
import { watchMemory } from './measure.ts'
import { SimulatedNetwork } from './network.ts'
import { Run } from './run.ts'
import { type Scenario, SCENARIOS } from './scenarios/index.ts'
import type { SimulationOptions, SimulationReport } from './types.ts'

export type { SimulationOptions, SimulationProgress, SimulationReport } from './types.ts'

const MICROSECONDS_PER_SECOND = 1e6

/**
 * Plays one scenario and resolves with what was found, also where a fetch was wrong: then `ok` is false.
 *
 * @throws ERR_SIMULATION_COUNT, ERR_SIMULATION_SCENARIO, ERR_CANCELLED, and what a node's start throws
 */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const { count, signal } = options
  const scenario = scenarioOf(options)
  const beganMs = performance.now()
  const cpu = process.cpuUsage()
  const rssBefore = process.memoryUsage.rss()
  const memory = watchMemory()
  const log = countingLog()
  const folder = await mkdtemp(join(tmpdir(), 'p2pnode-simulation-'))
  // Whatever ends the process without a way back here: a second Ctrl-C, an error that nobody caught.
  const onExit = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', onExit)
  const network = new SimulatedNetwork({ count, folder, log })
  const run = new Run({ network, signal, onProgress: options.onProgress ?? (() => {}) })
  try {
    signal.throwIfAborted()
    await scenario.play(run)
  } catch (error) {
    throw signal.aborted ? cancelled(error) : error
  } finally {
    await network.stop(network.members, run.steps('stopping nodes', network.running().length))
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    process.off('exit', onExit)
    memory.stop()
  }
  const peakRssBytes = memory.peakRssBytes()
  const { user, system } = process.cpuUsage(cpu)
  const summary = run.summary()
  const { master = [], worker = [], leecher = [] } = Object.groupBy(network.members, ({ role }) => role)
  return {
    ok: summary.failureCount === 0,
    scenario: scenario.name,
    nodes: { count, master: master.length, worker: worker.length, leecher: leecher.length },
    ...summary,
    memory: {
      peakRssBytes,
      rssPerNodeBytes: Math.max(0, Math.round((peakRssBytes - rssBefore) / count)),
    },
    cpuSeconds: (user + system) / MICROSECONDS_PER_SECOND,
    durationMs: Math.round(performance.now() - beganMs),
    log: log.summary(),
  }
}

/** @throws ERR_SIMULATION_COUNT, ERR_SIMULATION_SCENARIO */
function scenarioOf({ count, scenario: asked }: SimulationOptions): Scenario {
  if (!Number.isInteger(count) || count < MIN_NODES || count > MAX_NODES) throw countInvalid(count)
  const scenario = typeof asked === 'string' ? named(asked) : asked
  if (count < scenario.minNodes) throw tooFewNodes(scenario.name, count, scenario.minNodes)
  return scenario
}

function named(name: string): Scenario {
  const scenario = Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name] : undefined
  if (scenario === undefined) throw scenarioUnknown(name, Object.keys(SCENARIOS))
  return scenario
}
