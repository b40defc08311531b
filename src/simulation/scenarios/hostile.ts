import { Experiment } from '../hostile/experiment.ts'
import { MIN_NODES } from '../hostile/limits.ts'
import type { HostileOptions } from '../hostile/types.ts'
import { WAYS } from '../hostile/ways.ts'
import type { Scenario } from './types.ts'

const OPTIONS: HostileOptions = { ways: WAYS, isTrusting: true, seed: 'a third' }

/** With trust on, what does not hold is a failure; with trust off it is what is to be seen. */
export function hostileScenario(options: Partial<HostileOptions> = {}): Scenario {
  return {
    name: 'hostile',
    summary:
      'a third of the nodes lie, stay silent or throw away what they were given; the others put, read and learn',
    minNodes: MIN_NODES,
    async play(run) {
      const report = await new Experiment(run, { ...OPTIONS, ...options }).play()
      if (report === undefined) return
      run.note(report)
      run.count('hostile', report.hostile)
      for (const { name, value, holds } of report.holds)
        if (!holds && report.isTrusting) run.fail(`${name}: ${value}`)
    },
  }
}
