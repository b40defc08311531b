import type {
  CliContext,
  SimulationExperiment,
  SimulationReads,
  SimulationReport,
  SimulationTiming,
} from '../context.ts'
import { formatBytes, formatCount, formatDuration, printable } from '../format.ts'
import type { Output } from '../output.ts'
import { factsText, tableText } from '../table.ts'

const EXIT_FAILED = 1
const EXIT_WRONG = 5

export async function simulate(
  context: CliContext,
  { count, scenario }: { count: number; scenario: string },
): Promise<number> {
  const { output, handlers, signal } = context
  const report = await handlers.simulate({
    count,
    scenario,
    signal,
    onProgress: (progress) => output.progress({ ...progress, unit: 'items' }),
  })
  output.result(report, () => textOf(context, report))
  if (report.fetches.wrong > 0) return EXIT_WRONG
  return report.ok ? 0 : EXIT_FAILED
}

function textOf({ output }: CliContext, report: SimulationReport): string {
  const { nodes, connected, fetches, memory, counts, log } = report
  const notes = Object.entries(counts).map(([name, count]): [string, string] => [name, formatCount(count)])
  const hops =
    fetches.hops.p50 === null ? 'not measured' : `p50 ${fetches.hops.p50}, at most ${fetches.hops.max}`
  const unlisted = report.failureCount - report.failures.length
  return [
    factsText(output, [
      ['scenario', report.scenario],
      [
        'nodes',
        `${nodes.count}: ${plural(nodes.master, 'master')}, ${plural(nodes.worker, 'worker')}, ${plural(nodes.leecher, 'leecher')}`,
      ],
      [
        'connected',
        `${connected.nodes} of ${nodes.count}${connected.ms === null ? ', not in time' : ` after ${formatDuration(connected.ms)}`}, ${formatCount(connected.connections)} connections`,
      ],
      ['start of a node', timingText(report.starts)],
      ['files', formatCount(report.files)],
      [
        'fetches',
        `${fetches.right} of ${fetches.attempted} right, ${fetches.wrong} wrong, ${fetches.failed} failed; ${formatBytes(fetches.bytes)}`,
      ],
      ['time of a fetch', timingText(fetches.timing)],
      ['hops to the file', hops],
      ...notes,
      [
        'memory',
        `${formatBytes(memory.peakRssBytes)} at most, ${formatBytes(memory.rssPerNodeBytes)} a node`,
      ],
      ['processor', formatDuration(report.cpuSeconds * 1_000)],
      ['took', formatDuration(report.durationMs)],
      ['logs', `${formatCount(log.warnings)} warnings, ${formatCount(log.errors)} errors`],
    ]),
    ...(report.experiment === null ? [] : experimentText(output, report.experiment)),
    ...log.messages.map(
      ({ level, message, count }) => `${level}: ${printable(message)} (${formatCount(count)} times)`,
    ),
    ...report.failures.map((failure) => `failed: ${printable(failure)}`),
    ...(unlisted > 0 ? [`failed: ${formatCount(unlisted)} more`] : []),
  ].join('\n')
}

function experimentText(output: Output, experiment: SimulationExperiment): string[] {
  const { rounds, firstFiles, holds } = experiment
  const part = ({ attempted, right }: SimulationReads): string =>
    attempted === 0 ? 'none' : `${right} of ${attempted}`
  const score = (value: number | null): string => (value === null ? 'none' : value.toFixed(2))
  return [
    '',
    tableText(
      output,
      [
        'ROUND',
        'PRIVATE READS',
        'PUBLIC READS',
        'COLUMNS ON HOSTILE',
        'FALSE',
        'LOST',
        'REPAIRED',
        'HONEST',
        'HOSTILE',
      ],
      rounds.map((round) => [
        round.round + 1,
        part(round.reads),
        part(round.publicReads),
        `${round.placedHostile} of ${round.placed}`,
        formatBytes(round.falseBytes),
        formatBytes(round.lostBytes),
        formatBytes(round.repairedBytes),
        score(round.scores.honest),
        score(round.scores.hostile),
      ]),
    ),
    `files of the first round, read at the end: ${part(firstFiles)}; blind luck without repair: ${(firstFiles.bound * 100).toFixed(1)} %`,
    ...holds.map(({ name, value, hold, holds: does }) => {
      const bound = 'atLeast' in hold ? `at least ${hold.atLeast}` : `at most ${hold.atMost}`
      return `${does ? 'holds' : 'MISSED'}: ${name}: ${Number(value.toFixed(4))} (${bound})`
    }),
  ]
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

function timingText({ p50Ms, p99Ms, maxMs }: SimulationTiming): string {
  if (p50Ms === null || p99Ms === null || maxMs === null) return 'none'
  return `p50 ${formatDuration(p50Ms)}, p99 ${formatDuration(p99Ms)}, at most ${formatDuration(maxMs)}`
}
