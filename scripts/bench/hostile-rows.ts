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
  /** Which ways; all of them by default. */
  ways?: readonly Way[]
  seed?: string
  /** Where `hostile.md`, `hostile.svg` and `hostile.json` are kept; nowhere by default. */
  keep?: string | undefined
}

/** Whom to believe: with a third of the peers hostile in each of several ways, with trust on and off. */
export async function hostileRows({
  nodes,
  ways = WAYS,
  seed = 'a third',
  keep,
}: HostileBench): Promise<Row[]> {
  const reports: HostileReport[] = []
  const rows: Row[] = []
  for (const way of ways) {
    for (const trust of ['on', 'off']) {
      const { experiment, failures, connected } = await play([String(nodes), way, trust, seed])
      if (experiment === null)
        throw new Error(`${way}, trust ${trust}: ${connected.nodes} nodes connected; ${failures.join('; ')}`)
      reports.push(experiment)
      rows.push(...rowsOf(way, experiment))
      if (keep !== undefined) await keepIn(keep, reports)
    }
  }
  return rows
}

async function play(args: string[]): Promise<SimulationReport> {
  const peer = new Peer(new URL('./hostile-peer.ts', import.meta.url), args)
  try {
    return await peer.next<SimulationReport>()
  } finally {
    await peer.stop()
  }
}

/** What has to hold has to with trust on; with trust off it is what it is compared with. */
function rowsOf(way: Way, report: HostileReport): Row[] {
  const name = `${report.hostile} of ${report.nodes} hostile by ${way}, trust ${report.isTrusting ? 'on' : 'off'}`
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
