import { spawn } from 'node:child_process'
import type { Logger } from '../telemetry/types.ts'

/** What a service manager is told; see sd_notify(3). */
export interface Notifier {
  /** The start goes on: it gets more time than the unit gives it. Ends at `ready`, `stopping` and `failed`. */
  starting(): void
  /** Everything is serving. */
  ready(status: string): void
  stopping(): void
  /** The start failed, and why. Resolves once the manager knows: the process is about to end. */
  failed(message: string): Promise<void>
  /** Ends timers; what was sent is not called back. */
  close(): void
}

export interface NotifierOptions {
  env: Readonly<Record<string, string | undefined>>
  log: Logger
  /** Whether the node is well enough to go on, and a line about it: asked for each sign of life. */
  look: () => { isWell: boolean; status: string }
}

/** Node.js has no datagram sockets of the Unix kind: the program that systemd brings for shell scripts sends for us. */
const HELPER = 'systemd-notify'
/** One datagram to a manager that answers at once; a hanging one must not pile up helpers. */
const SEND_TIMEOUT_MS = 5_000
/** A start may migrate or sweep a large store. It asks for so much, again and again while it goes on. */
const START_EXTENSION_MS = 60_000
const START_EXTENSION_INTERVAL_MS = 20_000
/** After so long a start hangs, and the manager may end it. */
const MAX_START_MS = 30 * 60_000
/** A status is one line that people read. */
const MAX_STATUS_CHARS = 200

const SILENT: Notifier = {
  starting() {},
  ready() {},
  stopping() {},
  failed: async () => {},
  close() {},
}

/**
 * Tells the service manager that started this process how it is: only where `NOTIFY_SOCKET` is set, as it is under
 * `Type=notify`. The unit needs `NotifyAccess=all`, since a helper sends.
 *
 * Signs of life are sent twice in each `WatchdogSec` while the node is well. A node that is not is then restarted by its manager.
 */
export function createNotifier({ env, log, look }: NotifierOptions): Notifier {
  const socket = env['NOTIFY_SOCKET']
  if (socket === undefined || socket === '') return SILENT
  const watchdogMs = watchdogOf(env)
  let extending: NodeJS.Timeout | undefined
  let watching: NodeJS.Timeout | undefined
  let hasWarned = false
  let last: Promise<void> = Promise.resolve()

  /** One message after the other: a manager takes the last word on a state for the current one. */
  function send(...assignments: string[]): Promise<void> {
    last = last.then(() => run(assignments))
    return last
  }

  function run(assignments: string[]): Promise<void> {
    return new Promise((resolve) => {
      const child = spawn(HELPER, assignments, {
        // Nothing else of the environment, which may hold a passphrase.
        env: { NOTIFY_SOCKET: socket, PATH: env['PATH'] ?? '/usr/bin:/bin' },
        stdio: 'ignore',
        timeout: SEND_TIMEOUT_MS,
      })
      child.once('error', (error) => {
        warn({ err: error })
        resolve()
      })
      child.once('exit', (code, killedBy) => {
        if (code !== 0) warn({ code, signal: killedBy })
        resolve()
      })
    })
  }

  function warn(details: object): void {
    // Once: it would be the same every time.
    if (!hasWarned) log.warn(details, `the service manager could not be told: ${HELPER} does not run`)
    hasWarned = true
  }

  function close(): void {
    clearInterval(extending)
    clearInterval(watching)
  }

  return {
    starting() {
      const beganMs = performance.now()
      const extend = (): void => {
        if (performance.now() - beganMs > MAX_START_MS) clearInterval(extending)
        else void send(`EXTEND_TIMEOUT_USEC=${START_EXTENSION_MS * 1_000}`, 'STATUS=starting')
      }
      extending = setInterval(extend, START_EXTENSION_INTERVAL_MS).unref()
    },
    ready(status) {
      clearInterval(extending)
      void send('READY=1', `STATUS=${lineOf(status)}`)
      if (watchdogMs === undefined) return
      watching = setInterval(() => {
        const { isWell, status: now } = look()
        if (isWell) void send('WATCHDOG=1', `STATUS=${lineOf(now)}`)
        else void send(`STATUS=${lineOf(now)}`)
      }, watchdogMs / 2).unref()
    },
    stopping() {
      close()
      void send('STOPPING=1', 'STATUS=stopping')
    },
    failed(message) {
      close()
      return send(`STATUS=${lineOf(message)}`)
    },
    close,
  }
}

/** How often the manager wants a sign of life of this very process, in milliseconds. */
function watchdogOf(env: NotifierOptions['env']): number | undefined {
  const microseconds = Number(env['WATCHDOG_USEC'])
  const isMeant = env['WATCHDOG_PID'] === undefined || Number(env['WATCHDOG_PID']) === process.pid
  return isMeant && Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 1_000 : undefined
}

/** A datagram's assignments are lines. */
function lineOf(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, MAX_STATUS_CHARS)
}
