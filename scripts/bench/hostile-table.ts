import { shareOf, sumOf } from '../../src/simulation/hostile/holds.ts'
import type { HostileReport, RoundSample } from '../../src/simulation/hostile/types.ts'
import { DEEDS } from '../../src/simulation/hostile/ways.ts'
import { MIB } from './report.ts'

/** What was found, as a page of Markdown beside its plot. */
export function hostileTable(reports: readonly HostileReport[]): string {
  const [first] = reports
  if (first === undefined) return ''
  const lines = [
    '# With a third of the peers hostile',
    '',
    'Made by `npm run bench -- hostile`; [docs/operations/hostile-peers.md](../operations/hostile-peers.md) says how, and what it means.',
    '',
    '![reads, placement, waste and scores, round by round](hostile.svg)',
    '',
    '| way | trust | nodes, hostile | private reads after warm-up | public reads | new columns on hostile | unproven in a slab | honest banned | false MiB | lost MiB | repaired MiB | first files at the end | blind luck |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|---|',
    ...reports.map(rowOf),
    '',
    ...[...new Set(reports.flatMap(({ ways }) => ways))].map((way) => `- **${way}**: ${DEEDS[way]}`),
    '',
  ]
  return lines.join('\n')
}

function rowOf(report: HostileReport): string {
  const { ways, isTrusting, nodes, hostile, rounds, firstFiles, holds } = report
  const total = (of: (round: RoundSample) => number): string =>
    (rounds.reduce((sum, round) => sum + of(round), 0) / MIB).toFixed(1)
  const value = (name: string): string => {
    const hold = holds.find((one) => one.name.includes(name))
    if (hold === undefined) return '–'
    const text = 'atLeast' in hold.hold || hold.value < 1 ? percent(hold.value) : String(hold.value)
    return hold.holds ? text : `**${text}**`
  }
  const most = rounds.slice(-2).reduce((sum, { mostUnproven }) => Math.max(sum, mostUnproven), 0)
  const banned = Math.max(...rounds.map(({ scores }) => scores.honestBanned))
  const cells = [
    ways.join(', '),
    isTrusting ? 'on' : 'off',
    `${nodes}, ${hostile}`,
    value('private files'),
    value('public files'),
    value('new columns'),
    most,
    banned,
    total(({ falseBytes }) => falseBytes),
    total(({ lostBytes }) => lostBytes),
    total(({ repairedBytes }) => repairedBytes),
    percent(shareOf(sumOf([firstFiles]))),
    percent(firstFiles.bound),
  ]
  return `| ${cells.join(' | ')} |`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
