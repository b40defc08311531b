import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { identityOf, isRunning, type ProcessIdentity, signal } from './identity.ts'
import type { NodeState } from './state.ts'

const executable = fileURLToPath(new URL('../../bin/p2pnode.js', import.meta.url))

/** A daemon ends by itself within 10 s of a signal; then it is made to. */
const STOP_PATIENCE_MS = 12_000
/** After SIGKILL the kernel only has to clean up. */
const KILL_PATIENCE_MS = 5_000
const POLL_MS = 50
/** A start takes under a second on a free machine. */
const START_PATIENCE_MS = 60_000
/** What of a log is shown of a daemon that did not start. */
const LOG_TAIL_CHARS = 2_000

export interface DaemonOptions {
  node: Omit<NodeState, 'process' | 'peerId' | 'api' | 'multiaddrs'>
  network: string
  bootstrap: readonly string[]
  /** `KEY=VALUE`, stronger than what the script sets. */
  settings: readonly string[]
  /** Called as soon as there is a process, before anything is waited for. */
  onSpawn: (identity: ProcessIdentity) => void
  signal: AbortSignal
}

/** Starts a daemon that outlives this process, and resolves once it serves; one that does not serve is ended. */
export async function startDaemon(
  options: DaemonOptions,
): Promise<Pick<NodeState, 'peerId' | 'api' | 'multiaddrs'>> {
  const { node, network, bootstrap, settings } = options
  mkdirSync(dirname(node.log), { recursive: true, mode: 0o700 })
  const logFile = openSync(node.log, 'a', 0o600)
  const own = [
    'api.port=0',
    'gateway.port=0',
    `network.name=${network}`,
    'network.mdns=false',
    // All of them come from one address.
    'network.maxInboundPerIpPerSecond=1000',
    // What a role lends is a part of this; a dozen of the defaults would promise more than the disk has.
    'storage.quota=10GiB',
  ]
  const child = spawn(
    process.execPath,
    [
      executable,
      '--home',
      node.home,
      'start',
      '--json',
      '--role',
      node.role,
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
      ...bootstrap.flatMap((address) => ['--bootstrap', address]),
      ...[...own, ...settings].flatMap((setting) => ['--set', setting]),
    ],
    // Of its own session: a Ctrl-C here is not meant for it.
    { detached: true, stdio: ['ignore', 'pipe', logFile], env: cleanEnvironment() },
  )
  closeSync(logFile)
  const stdout = child.stdout as Readable
  const spawned = child.pid === undefined ? undefined : identityOf(child.pid)
  if (spawned !== undefined) options.onSpawn(spawned)
  const within = AbortSignal.any([options.signal, AbortSignal.timeout(START_PATIENCE_MS)])
  try {
    const lines = createInterface({ input: stdout })
    const [line] = (await Promise.race([
      once(lines, 'line', { signal: within }),
      once(child, 'close', { signal: within }).then(([code]) => {
        throw new Error(`it ended with ${code}`)
      }),
    ])) as [string]
    lines.close()
    // It writes no more there, and this process may end.
    stdout.destroy()
    child.unref()
    const ready = JSON.parse(line) as
      | { error: { message: string } }
      | { peerId: string; api: string; multiaddrs: string[] }
    if ('error' in ready) throw new Error(ready.error.message)
    return { peerId: ready.peerId, api: ready.api, multiaddrs: ready.multiaddrs }
  } catch (error) {
    if (spawned !== undefined) await stopProcess(spawned)
    options.signal.throwIfAborted()
    throw new Error(
      `${node.name} did not start: ${(error as Error).message}\n${tailOf(node.log)}`.trimEnd(),
      {
        cause: error,
      },
    )
  }
}

/** Stops a process in order, or by force where it does not end. @returns how; `gone` where it was not there any more */
export async function stopProcess(identity: ProcessIdentity): Promise<'gone' | 'stopped' | 'killed'> {
  if (!signal(identity, 'SIGTERM')) return 'gone'
  if (await hasEnded(identity, STOP_PATIENCE_MS)) return 'stopped'
  signal(identity, 'SIGKILL')
  if (await hasEnded(identity, KILL_PATIENCE_MS)) return 'killed'
  throw new Error(`the process ${identity.pid} does not end, not even by SIGKILL`)
}

async function hasEnded(identity: ProcessIdentity, patienceMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + patienceMs
  while (isRunning(identity)) {
    if (performance.now() > deadlineMs) return false
    await sleep(POLL_MS)
  }
  return true
}

/** The environment less what would configure a node. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('P2PNODE_')))
}

function tailOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-LOG_TAIL_CHARS).trimEnd()
  } catch {
    return ''
  }
}
