import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { shareOf, sumOf } from '../../src/simulation/hostile/holds.ts'
import type { HostileReport } from '../../src/simulation/hostile/types.ts'
import { WAYS, type Way } from '../../src/simulation/hostile/ways.ts'
import type { SimulationReport } from '../../src/simulation/index.ts'
import { hostileTable } from './hostile-table.ts'
import { hostilePlot } from './hostile-plot.ts'
import { Peer } from './processes.ts'
import { MIB, type Row } from './report.ts'

export interface HostileBench {
  nodes: number
  /** Which ways, a play for each; all of them by default. */
  ways?: readonly Way[]
  /** One play with all these ways at once, the hostile peers taking turns. */
  isTogether?: boolean
  /** With trust on, off, or first one and then the other. */
  trust?: readonly ('on' | 'off')[]
  /** Of an audit interval and a round, in seconds; by default so much for each node. */
  intervalS?: number | undefined
  seed?: string
  /** Where `hostile.md`, `hostile.svg` and `hostile.json` are kept; nowhere by default. */
  keep?: string | undefined
}

/** Whom to believe: with a third of the peers hostile in each of several ways, with trust on and off. */
export async function hostileRows({
  nodes,
  ways = WAYS,
  isTogether = false,
  trust = ['on', 'off'],
  intervalS,
  seed = 'a third',
  keep,
}: HostileBench): Promise<Row[]> {
  const reports: HostileReport[] = []
  const rows: Row[] = []
  for (const played of isTogether ? [ways] : ways.map((way) => [way])) {
    for (const state of trust) {
      const interval = intervalS === undefined ? [] : [String(intervalS)]
      const { experiment, failures, connected } = await play([
        String(nodes),
        played.join(','),
        state,
        seed,
        ...interval,
      ])
      if (experiment === null)
        throw new Error(
          `${played.join(', ')}, trust ${state}: ${connected.nodes} nodes connected; ${failures.join('; ')}`,
        )
      reports.push(experiment)
      rows.push(...rowsOf(experiment))
      if (keep !== undefined) await keepIn(keep, reports)
    }
  }
  return rows
}

async function play(args: string[]): Promise<SimulationReport> {
  const peer = new Peer(new URL('./hostile-peer.ts', import.meta.url), args, [
    // Many nodes share this one heap and thread: fewer collections, and no stack for each of thousands of aborted waits.
    '--max-semi-space-size=128',
    '--stack-trace-limit=0',
  ])
  try {
    return await peer.next<SimulationReport>()
  } finally {
    await peer.stop()
  }
}

/** What has to hold has to with trust on; with trust off it is what it is compared with. */
function rowsOf(report: HostileReport): Row[] {
  const name = `${report.hostile} of ${report.nodes} hostile by ${report.ways.join(', ')}, trust ${report.isTrusting ? 'on' : 'off'}`
  const { rounds, firstFiles } = report
  const total = (of: (round: HostileReport['rounds'][number]) => number): number =>
    rounds.reduce((sum, round) => sum + of(round), 0)
  const early = shareOf(sumOf(rounds.map(({ earlyReads }) => earlyReads)))
  return [
    ...report.holds.map(
      ({ name: what, value, hold }): Row => ({
        name: `${name}: ${what}`,
        measured: String(Number(value.toFixed(4))),
        value,
        unit: '',
        ...(report.isTrusting ? { hold } : {}),
      }),
    ),
    {
      name: `${name}: wasted`,
      measured: `${(total(({ falseBytes }) => falseBytes) / MIB).toFixed(1)} MiB false, ${(total(({ lostBytes }) => lostBytes) / MIB).toFixed(1)} MiB lost`,
      against: `${(total(({ repairedBytes }) => repairedBytes) / MIB).toFixed(1)} MiB repaired`,
      value: total(({ falseBytes, lostBytes }) => falseBytes + lostBytes) / MIB,
      unit: 'MiB',
      note: `early files ${(early * 100).toFixed(1)} % read, those of the first round at the end ${(shareOf(firstFiles) * 100).toFixed(1)} %, blind luck without repair ${(firstFiles.bound * 100).toFixed(1)} %`,
    },
  ]
}

async function keepIn(folder: string, reports: readonly HostileReport[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'hostile.json'), `${JSON.stringify(reports)}\n`)
  await writeFile(join(folder, 'hostile.svg'), hostilePlot(reports))
  await writeFile(join(folder, 'hostile.md'), hostileTable(reports))
}
