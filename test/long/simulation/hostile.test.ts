import { describe, expect, it } from 'vitest'
import { WAYS } from '../../../src/simulation/hostile/ways.ts'
import { simulate } from '../../../src/simulation/index.ts'
import { hostileScenario } from '../../../src/simulation/scenarios/hostile.ts'

const NODES = 18

// The full size is a part of the benchmark (docs/operations/hostile-peers.md): hours. This one is minutes a way.
describe('with a third of the peers hostile, honest ones keep and find what they store', () => {
  for (const way of WAYS) {
    it(`by ${way}`, async () => {
      const report = await simulate({
        count: NODES,
        scenario: hostileScenario({ ways: [way] }),
        signal: new AbortController().signal,
      })
      console.log(JSON.stringify(report.experiment))
      expect(report.failures).toEqual([])
      expect(report.experiment?.hostile).toBe(6)
      expect(report.experiment?.holds.every(({ holds }) => holds)).toBe(true)
      expect(report.fetches.wrong).toBe(0)
      // Who lost columns is known by the end, and nobody else is thought worse of than a stranger.
      const scores = report.experiment?.rounds.at(-1)?.scores
      if (way !== 'filters') expect(scores?.hostileStorage ?? 1).toBeLessThan(scores?.honestStorage ?? 0)
    })
  }
})
