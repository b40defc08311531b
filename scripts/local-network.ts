/**
 * A network of real daemons on this machine, on loopback and free ports, of its own name: nothing else is met.
 *
 * `up` may be called again: it starts what is missing. `down` stops the daemons by their ids, each checked by the time of its start, so
 * that an id which is another process's by now is left alone.
 */
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { down, MAX_NODES, type NetworkReport, status, up } from './network/network.ts'

const DEFAULT_HOME = fileURLToPath(new URL('../.tmp/local-network', import.meta.url))
const DEFAULT_COUNT = 4
const EXIT = { done: 0, failed: 1, usage: 2, nothing: 3, cancelled: 7 } as const

const HELP = `Usage: scripts/local-network up|down|status [options]

  up      start daemons of all roles, those that do not run yet, and wait until they are connected
  status  what runs
  down    stop them and remove their data

  --count N        daemons in all, from 1 to ${MAX_NODES} (up; default ${DEFAULT_COUNT})
  --home DIR       where they keep their data (default ${DEFAULT_HOME})
  --set KEY=VALUE  one key of the configuration of all of them; may be given several times (up)
  --keep           leave the data, so that the next up goes on with it (down)
  --json           one JSON line as the result

Exits with 0 when done (status: all run and are ready), 1 otherwise, 2 for wrong usage, 3 where there is no network (status).
`

async function main(args: string[]): Promise<number> {
  let parsed
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        count: { type: 'string' },
        home: { type: 'string' },
        set: { type: 'string', multiple: true },
        keep: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    return misused((error as Error).message)
  }
  const { values, positionals } = parsed
  const [command, ...rest] = positionals
  if (values.help === true) {
    process.stdout.write(HELP)
    return EXIT.done
  }
  if (rest.length > 0) return misused(`found ${rest.join(' ')} after ${command}`)
  const home = resolve(values.home ?? DEFAULT_HOME)
  const print = (value: unknown, text: string): void =>
    void process.stdout.write(`${values.json === true ? JSON.stringify(value) : text}\n`)

  switch (command) {
    case 'up': {
      const count = values.count === undefined ? DEFAULT_COUNT : Number(values.count)
      if (!Number.isInteger(count) || count < 1 || count > MAX_NODES)
        return misused(`found --count ${values.count}, allowed: a whole number from 1 to ${MAX_NODES}`)
      const report = await runUp(home, count, values.set ?? [])
      print(report, `${tableOf(report)}\n\nTry: npx p2pnode --home ${report.nodes[0]?.home} status`)
      return report.connected ? EXIT.done : EXIT.failed
    }
    case 'status': {
      const report = await status(home)
      print(report, report.network === null ? `no network below ${home}` : tableOf(report))
      if (report.network === null) return EXIT.nothing
      return report.ready === report.nodes.length && report.ready > 0 ? EXIT.done : EXIT.failed
    }
    case 'down': {
      const report = await down({ home, keepData: values.keep === true })
      const gone = report.gone === 0 ? '' : `, ${report.gone} had ended before`
      const killed = report.killed === 0 ? '' : `, ${report.killed} by force`
      print(report, `stopped ${report.stopped}${killed}${gone}`)
      return EXIT.done
    }
    case undefined:
      return misused('found no command')
    default:
      return misused(`found ${command}`)
  }
}

async function runUp(home: string, count: number, settings: readonly string[]): Promise<NetworkReport> {
  const cancel = new AbortController()
  const onSignal = (): void => cancel.abort()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
  return up({
    home,
    count,
    settings,
    signal: cancel.signal,
    onProgress: (text) => process.stderr.write(`${text}\n`),
  })
}

function misused(what: string): number {
  process.stderr.write(`${what}; allowed: up, down or status with their options, see --help\n`)
  return EXIT.usage
}

function tableOf(report: NetworkReport): string {
  const table = new Table({
    head: ['node', 'role', 'process', 'health', 'peers', 'API'],
    style: { head: [], border: [], compact: true },
  })
  for (const { name, role, pid, running, health, peers, api } of report.nodes) {
    table.push([name, role, running ? pid : 'ended', health ?? 'no answer', peers ?? '', api ?? ''])
  }
  const state = report.connected ? 'connected' : 'not connected'
  return `${table.toString()}\n${report.ready} of ${report.nodes.length} ready, ${state}; data and logs in ${join(report.home, 'node-*')}`
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const isCancelled = error instanceof Error && error.name === 'AbortError'
  process.stderr.write(
    `${isCancelled ? 'called off: what was started is stopped again' : (error as Error).message}\n`,
  )
  process.exitCode = isCancelled ? EXIT.cancelled : EXIT.failed
}
