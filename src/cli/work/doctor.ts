import { lstat, statfs } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { loadConfig } from '../../../config/index.ts'
import { version } from '../../../config/version.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { NO_DAEMON_CODE, type Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { printableLines, shellWord } from '../format.ts'

type Check = Schema<'DoctorReport'>['checks'][number]

const LOW_DISK_BYTES = 1024 ** 3
const PORT_PROBE_MS = 500
/** A clock before this was never set. */
const EARLIEST_PLAUSIBLE_MS = Date.UTC(2026, 0, 1)

/** Asks the running node; without one, looks at what would keep it from starting. Exit code 1 where something failed. */
export async function doctor(context: CliContext): Promise<number> {
  const checks = await askDaemon(context)
  const { output } = context
  const marks = {
    ok: output.style('green', 'ok  '),
    warn: output.style('yellow', 'warn'),
    fail: output.style('red', 'FAIL'),
  }
  output.result({ checks }, () =>
    checks
      .map(
        (check) =>
          `${marks[check.state]}  ${check.name}: ${printableLines(check.message)}${check.fix === undefined ? '' : `\n      ${printableLines(check.fix)}`}`,
      )
      .join('\n'),
  )
  return checks.some((check) => check.state === 'fail') ? 1 : 0
}

async function askDaemon(context: CliContext): Promise<Check[]> {
  try {
    const report = await withClient(context, (client) =>
      client.get('/api/v1/doctor', { signal: context.signal }),
    )
    return [{ name: 'daemon', state: 'ok', message: 'answers' }, ...report.checks]
  } catch (error) {
    if (!(error instanceof P2pnodeError) || error.code !== NO_DAEMON_CODE) throw error
    return [{ name: 'daemon', state: 'warn', message: error.message }, ...(await lookAround(context))]
  }
}

/** Everything that can be seen without a node, of what would keep one from starting. */
async function lookAround(context: CliContext): Promise<Check[]> {
  const checks: Check[] = [
    { name: 'node', state: 'ok', message: `p2pnode ${version} on Node.js ${process.versions.node}` },
    checkClock(Date.now()),
  ]
  try {
    const { config } = await loadConfig({ home: context.home, env: context.env, flags: {} })
    checks.push({ name: 'configuration', state: 'ok', message: 'valid' })
    const swarmPorts = config.network.listen.flatMap((address) =>
      [...address.matchAll(/\/tcp\/(\d+)/g)].map((match) => Number(match[1])),
    )
    const keyOfPort = new Map(swarmPorts.map((port) => [port, 'network.listen']))
    keyOfPort.set(config.api.port, 'api.port')
    if (config.gateway.enabled) keyOfPort.set(config.gateway.port, 'gateway.port')
    keyOfPort.delete(0)
    checks.push(...(await Promise.all([...keyOfPort].map(([port, key]) => checkPort(port, key)))))
  } catch (error) {
    checks.push({
      name: 'configuration',
      state: 'fail',
      message: error instanceof Error ? error.message : String(error),
      fix: 'correct it, then check with: p2pnode config validate',
    })
  }
  checks.push(...(await checkModes(context.home)), await checkDisk(context.home))
  return checks
}

function checkClock(nowMs: number): Check {
  const message = new Date(nowMs).toISOString()
  return nowMs < EARLIEST_PLAUSIBLE_MS
    ? { name: 'clock', state: 'fail', message, fix: 'set the clock: signatures and leases depend on it' }
    : { name: 'clock', state: 'ok', message }
}

async function checkPort(port: number, key: string): Promise<Check> {
  const taken = await new Promise<boolean>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.setTimeout(PORT_PROBE_MS)
    const end = (answer: boolean) => () => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', end(true)).on('error', end(false)).on('timeout', end(false))
  })
  const name = `port ${port}`
  return taken
    ? {
        name,
        state: 'fail',
        message: 'another program listens there',
        fix: `stop it, or choose another port: p2pnode config set ${key} …`,
      }
    : { name, state: 'ok', message: 'free' }
}

async function checkModes(home: string): Promise<Check[]> {
  const checks: Check[] = []
  for (const name of ['identity.key', 'api.token']) {
    const path = join(home, name)
    try {
      const { mode } = await lstat(path)
      checks.push(
        (mode & 0o077) === 0
          ? { name, state: 'ok', message: 'readable by its owner alone' }
          : { name, state: 'fail', message: 'others can read it', fix: `chmod 600 ${shellWord(path)}` },
      )
    } catch {
      checks.push({ name, state: 'ok', message: 'none yet; the first start makes one' })
    }
  }
  return checks
}

async function checkDisk(home: string): Promise<Check> {
  for (let folder = home; ; folder = dirname(folder)) {
    try {
      const disk = await statfs(folder)
      const freeBytes = disk.bavail * disk.bsize
      const message = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free in ${folder}`
      return freeBytes < LOW_DISK_BYTES
        ? { name: 'disk', state: 'warn', message, fix: 'free some space' }
        : { name: 'disk', state: 'ok', message }
    } catch (error) {
      if (dirname(folder) === folder)
        return { name: 'disk', state: 'fail', message: (error as Error).message }
    }
  }
}
