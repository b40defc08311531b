/**
 * The numbers to hold, measured: `npm run bench`, or parts of it: `npm run bench -- vault --size 256MiB --json FILE`.
 *
 * `npm run bench -- hostile --keep docs/hostile` plays the experiment with hostile peers, and keeps its table and plot.
 *
 * Machines are noisy, so figures are ratios between things measured in the same run, the best of a few runs each; nothing here fails a
 * build. Needs a built `dist/` and some gigabytes of disk in the folder for temporary files.
 */
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { parseSize } from '../config/units.ts'
import { WAYS } from '../src/simulation/hostile/ways.ts'
import { Lab } from '../test/support/daemon.ts'
import { cacheRows } from './bench/cache-rows.ts'
import { catalogRows } from './bench/catalog-rows.ts'
import { gatewayRows } from './bench/gateway-rows.ts'
import { gossipRows } from './bench/gossip-rows.ts'
import { hostileRows } from './bench/hostile-rows.ts'
import { locateRows } from './bench/locate-rows.ts'
import { idleRows, responseRows } from './bench/node-rows.ts'
import { provideRows } from './bench/provide-rows.ts'
import { holds, printTable, type Row } from './bench/report.ts'
import { memoryRows, smallFileRows, sourceRows, transferRows } from './bench/transfer-rows.ts'
import { transportRows } from './bench/transport-rows.ts'
import { vaultRows } from './bench/vault-rows.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: {
      type: 'string',
      default:
        'response,transfer,sources,files,transports,memory,idle,vault,locate,provide,cache,gateway,catalog,gossip',
    },
    size: { type: 'string', default: '1GiB' },
    'memory-size': { type: 'string', default: '4GiB' },
    'idle-seconds': { type: 'string', default: '60' },
    runs: { type: 'string', default: '3' },
    'hostile-nodes': { type: 'string', default: '100' },
    'hostile-ways': { type: 'string', default: WAYS.join(',') },
    'hostile-together': { type: 'boolean', default: false },
    'hostile-trust': { type: 'string', default: 'on,off' },
    'hostile-interval': { type: 'string' },
    keep: { type: 'string' },
    json: { type: 'string' },
  },
})
execFileSync(process.execPath, [fileURLToPath(new URL('./prepare.mjs', import.meta.url))], {
  stdio: 'inherit',
})

/** More would measure the disk. */
const GATEWAY_FILE_BYTES = 256 * 2 ** 20

function bytesOf(text: string): number {
  const bytes = parseSize(text)
  if (bytes === undefined) throw new Error(`${text} is no size; write it like 256MiB`)
  return bytes
}

const runs = Number(values.runs)
const parts: Record<string, (lab: Lab) => Promise<Row[]>> = {
  response: (lab) => responseRows(lab, Math.max(3, runs)),
  transfer: (lab) => transferRows(lab, { bytes: bytesOf(values.size), runs }),
  sources: (lab) => sourceRows(lab, Math.min(bytesOf(values.size), 128 * 2 ** 20)),
  files: (lab) => smallFileRows(lab, { files: 10_000, bytes: bytesOf(values.size) }),
  transports: (lab) => transportRows(lab, { bytes: bytesOf(values.size), runs }),
  memory: (lab) => memoryRows(lab, bytesOf(values['memory-size'])),
  vault: (lab) => vaultRows(lab, { bytes: bytesOf(values.size), runs }),
  locate: () => locateRows(),
  gateway: (lab) => gatewayRows(lab, { bytes: Math.min(bytesOf(values.size), GATEWAY_FILE_BYTES), runs }),
  provide: () => provideRows(),
  gossip: () => gossipRows({ runs }),
  cache: () => cacheRows(),
  // Ten plays of minutes each: only where it is asked for.
  hostile: () =>
    hostileRows({
      nodes: Number(values['hostile-nodes']),
      ways: WAYS.filter((way) => values['hostile-ways'].split(',').includes(way)),
      isTogether: values['hostile-together'],
      trust: (['on', 'off'] as const).filter((state) => values['hostile-trust'].split(',').includes(state)),
      intervalS: values['hostile-interval'] === undefined ? undefined : Number(values['hostile-interval']),
      keep: values.keep,
    }),
  catalog: () => catalogRows(),
  idle: (lab) => idleRows(lab, Number(values['idle-seconds']) * 1_000),
}

const rows: Row[] = []
for (const name of positionals.length > 0 ? positionals : values.only.split(',')) {
  const part = parts[name]
  if (part === undefined) throw new Error(`no part ${name}; there are ${Object.keys(parts).join(', ')}`)
  const lab = new Lab()
  try {
    const measured = await part(lab)
    printTable(measured)
    rows.push(...measured)
  } finally {
    await lab.close()
  }
}

const report = {
  at: new Date().toISOString(),
  node: process.versions.node,
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  rows: rows.map((row) => ({ ...row, holds: holds(row) ?? null })),
}
if (values.json === undefined) console.log(JSON.stringify(report))
else await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`)
