import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { eventually } from '../../test/support/network.ts'
import { cidOf, openProvideHouse, type ProvideHouse } from '../../test/support/provide.ts'
import { MIB, type Row } from './report.ts'

const ROOTS = 100_000
/** Of them announced at the highest rate that may be set, which takes ten seconds. */
const DRAINED = 10_000
const HIGHEST_RATE = 1_000
const LONG_MS = 200_000
const MAX_LOOP_DELAY_MS = 50

/**
 * The queue of provider records at 100 000 roots, without a network behind it: what it costs to take them up, to start
 * again with them, and to work through them at the highest rate that may be set, when announcing takes no time.
 */
export async function provideRows(): Promise<Row[]> {
  const house = await openProvideHouse()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  try {
    for (let index = 0; index < ROOTS; index++) house.pinned.push(cidOf(`root ${index}`))
    return await measure(house, delay)
  } finally {
    delay.disable()
    await house.close()
  }
}

async function measure(house: ProvideHouse, delay: ReturnType<typeof monitorEventLoopDelay>): Promise<Row[]> {
  // Pins are asked for each root; that question is not what is measured here.
  const [pinned, firstLoose] = [new Set(house.pinned.map(String)), cidOf('loose')]
  house.held.add(firstLoose.toString())
  house.network.hasRoutes = false
  // As with a network, an answer comes in a later turn of the loop.
  house.network.provide = async () => {
    await turn()
    return 1
  }
  globalThis.gc?.()
  const heapBefore = process.memoryUsage().heapUsed
  delay.enable()

  const takenUp = await timed(async () => {
    const provides = house.provides()
    provides.start()
    await eventually('all roots are queued', () => provides.statistics().records === ROOTS, LONG_MS)
  })
  const takeUpDelayMs = delay.percentile(99) / 1e6
  const { size } = await stat(join(house.home, 'state.db'))
  globalThis.gc?.()
  const heapMiB = (process.memoryUsage().heapUsed - heapBefore) / MIB

  await house.restart()
  await turn()
  delay.reset()
  const provides = house.provides({ concurrency: 64, ratePerSecond: HIGHEST_RATE })
  const restarted = await timed(async () => {
    provides.start()
    provides.add(firstLoose)
  })
  house.network.hasRoutes = true
  // Every record asks whether it is still pinned: a set answers, as an index of blocks.db does.
  house.isPinned = (cid) => pinned.has(cid.toString())
  const drained = await timed(async () => {
    house.meet()
    await eventually('they are announced', () => house.announced.length > DRAINED, LONG_MS)
  })
  const drainDelayMs = delay.percentile(99) / 1e6
  const perSecond = (roots: number, durationMs: number): number => Math.round(roots / (durationMs / 1_000))
  return [
    row(
      'provide queue: roots taken up',
      perSecond(ROOTS, takenUp),
      'roots/s',
      `${ROOTS} in ${Math.round(takenUp)} ms`,
    ),
    row('provide queue: started again', restarted, 'ms', 'with all of them waiting'),
    row(
      'provide queue: worked through',
      perSecond(DRAINED, drained),
      'roots/s',
      '1.3 a second is enough for 22 h',
    ),
    {
      ...row('provide queue: loop delay p99', Math.max(takeUpDelayMs, drainDelayMs), 'ms', 'both'),
      hold: { atMost: MAX_LOOP_DELAY_MS },
    },
    row('provide queue: heap', Math.max(0, heapMiB), 'MiB', 'once all are queued'),
    row('provide queue: state.db', size / MIB, 'MiB', `${Math.round(size / ROOTS)} bytes a root, log apart`),
  ]
}

function row(name: string, value: number, unit: string, measured: string): Row {
  return { name, value, unit, measured }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}
