import { describe, expect, it } from 'vitest'
import { hostilePlot } from '../../../../scripts/bench/hostile-plot.ts'
import { hostileTable } from '../../../../scripts/bench/hostile-table.ts'
import { holdsOf } from '../../../../src/simulation/hostile/holds.ts'
import type { HostileReport, RoundSample } from '../../../../src/simulation/hostile/types.ts'
import type { Way } from '../../../../src/simulation/hostile/ways.ts'

function reportOf(way: Way, isTrusting: boolean, rounds: number): HostileReport {
  const sample = (round: number): RoundSample => ({
    round,
    atMs: round * 1_000,
    reads: { attempted: 6, right: isTrusting ? 6 : 5 },
    // Of the first round nothing is early.
    earlyReads: { attempted: round === 0 ? 0 : 8, right: round === 0 ? 0 : 8 },
    publicReads: { attempted: 6, right: 6 },
    failedPuts: 0,
    placed: 60,
    placedHostile: isTrusting ? 1 : 20,
    mostUnproven: 2,
    falseBytes: 0,
    falseAnswers: 0,
    lostBytes: 2 ** 20,
    repairedBytes: 0,
    scores: {
      honest: 0.5,
      leastHonest: 0.5,
      hostile: null,
      honestStorage: 0.5,
      hostileStorage: null,
      honestBanned: 0,
      hostileBanned: 0,
    },
  })
  const report = {
    ways: [way],
    isTrusting,
    seed: 'x',
    nodes: 100,
    hostile: 33,
    holders: 80,
    losers: 27,
    k: 4,
    n: 8,
    intervalMs: 1_000,
    rounds: Array.from({ length: rounds }, (_, round) => sample(round)),
    firstFiles: { attempted: 12, right: 11, bound: 0.953 },
  }
  return { ...report, holds: holdsOf(report, 2) }
}

describe('what the benchmark keeps', () => {
  const reports = [
    reportOf('dropping', true, 5),
    reportOf('dropping', false, 5),
    reportOf('silence', true, 1),
  ]

  it('is a plot with a row for each way and a line for each report, whatever was not measured', () => {
    const svg = hostilePlot(reports)
    expect(svg.match(/<polyline/g)).toHaveLength(3 * 7)
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
    expect(svg.match(/>dropping</g)).toHaveLength(1)
    expect(svg.match(/>silence</g)).toHaveLength(1)
    expect(svg.trim().startsWith('<svg ') && svg.trim().endsWith('</svg>')).toBe(true)
    expect(hostilePlot([])).toContain('</svg>')
  })

  it('is a table with a line for each report, in which what was missed stands out', () => {
    const lines = hostileTable(reports).split('\n')
    const rows = lines.filter((line) => line.startsWith('| dropping') || line.startsWith('| silence'))
    expect(rows).toEqual([
      '| dropping | on | 100, 33 | 100.0 % | 100.0 % | 1.7 % | 2 | 0 | 0.0 | 5.0 | 0.0 | 91.7 % | 95.3 % |',
      '| dropping | off | 100, 33 | **83.3 %** | 100.0 % | **33.3 %** | 2 | 0 | 0.0 | 5.0 | 0.0 | 91.7 % | 95.3 % |',
      '| silence | on | 100, 33 | **0.0 %** | **0.0 %** | 1.7 % | 2 | 0 | 0.0 | 1.0 | 0.0 | 91.7 % | 95.3 % |',
    ])
    expect(hostileTable([])).toBe('')
  })
})
