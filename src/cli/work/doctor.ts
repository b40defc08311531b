import { lstat, statfs } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { loadConfig } from '../../../config/index.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { NO_DAEMON_CODE, type Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'

type Check = Schema<'DoctorReport'>['checks'][number]

const LOW_DISK_BYTES = 1024 ** 3
const PORT_PROBE_MS = 500

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
          `${marks[check.state]}  ${check.name}: ${check.message}${check.fix === undefined ? '' : `\n      ${check.fix}`}`,
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

async function lookAround(context: CliContext): Promise<Check[]> {
  const checks: Check[] = [{ name: 'node', state: 'ok', message: `Node.js ${process.versions.node}` }]
  try {
    const { config } = await loadConfig({ home: context.home, env: context.env, flags: {} })
    checks.push({ name: 'configuration', state: 'ok', message: 'valid' })
    const swarmPorts = config.network.listen.flatMap((address) =>
      [...address.matchAll(/\/tcp\/(\d+)/g)].map((match) => Number(match[1])),
    )
    for (const port of [config.api.port, ...swarmPorts]) checks.push(...(await checkPort(port)))
  } catch (error) {
    checks.push({
      name: 'configuration',
      state: 'fail',
      message: error instanceof Error ? error.message : String(error),
      fix: 'p2pnode config validate',
    })
  }
  checks.push(await checkKey(context.home), await checkDisk(context.home))
  return checks
}

async function checkPort(port: number): Promise<Check[]> {
  if (port === 0) return []
  const taken = await new Promise<boolean>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.setTimeout(PORT_PROBE_MS)
    const end = (answer: boolean) => () => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', end(true)).on('error', end(false)).on('timeout', end(false))
  })
  return [
    taken
      ? {
          name: `port ${port}`,
          state: 'fail',
          message: 'another program listens there',
          fix: 'stop it, or choose another port (p2pnode config set api.port PORT)',
        }
      : { name: `port ${port}`, state: 'ok', message: 'free' },
  ]
}

async function checkKey(home: string): Promise<Check> {
  const path = join(home, 'identity.key')
  try {
    const { mode } = await lstat(path)
    return (mode & 0o077) === 0
      ? { name: 'identity', state: 'ok', message: 'readable by its owner alone' }
      : { name: 'identity', state: 'fail', message: 'others can read the key', fix: `chmod 600 ${path}` }
  } catch {
    return { name: 'identity', state: 'ok', message: 'none yet; the first start makes one' }
  }
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
