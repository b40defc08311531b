import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** One process for good: a process id is given again to another one, but not with the same time of its start. */
export interface ProcessIdentity {
  pid: number
  /** When it started, in the system's own words: on Linux the boot's id and the clock ticks since. */
  startedAt: string
}

/** After the command's name in `/proc/PID/stat` (proc_pid_stat(5)): the state is field 3, the start time field 22. */
const STATE_FIELD = 0
const START_FIELD = 19

/** The process that has this id now, or undefined where none has, or it has ended and only waits to be asked for its exit code. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined
  try {
    return process.platform === 'linux' ? fromProc(pid) : fromPs(pid)
  } catch {
    return undefined
  }
}

/** Whether that very process still runs. */
export function isRunning({ pid, startedAt }: ProcessIdentity): boolean {
  return identityOf(pid)?.startedAt === startedAt
}

/** Sends a signal to that very process, and to no other. @returns whether it ran */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false
  try {
    return process.kill(identity.pid, name)
  } catch {
    return false
  }
}

function fromProc(pid: number): ProcessIdentity | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[STATE_FIELD]
  const ticks = fields[START_FIELD]
  if (state === undefined || ticks === undefined || /[ZX]/.test(state)) return undefined
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return { pid, startedAt: `${boot}/${ticks}` }
}

function fromPs(pid: number): ProcessIdentity | undefined {
  const [state, ...startedAt] = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
    .trim()
    .split(/\s+/)
  return state === undefined || state.startsWith('Z') || startedAt.length === 0
    ? undefined
    : { pid, startedAt: startedAt.join(' ') }
}
