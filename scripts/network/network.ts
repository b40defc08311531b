import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, locate } from '../../src/client/index.ts'
import { distancesFrom, graphOf } from '../../src/simulation/graph.ts'
import { CONNECT_TIMEOUT_MS } from '../../src/simulation/limits.ts'
import { forEachLimited } from '../../src/simulation/measure.ts'
import { rolesOf } from '../../src/simulation/members.ts'
import { acquireHomeLock } from '../../src/storage/state/index.ts'
import { startDaemon, stopProcess } from './daemon.ts'
import { isRunning } from './identity.ts'
import { type NetworkState, type NodeState, readState, STATE_FILE, writeState } from './state.ts'

/** A daemon takes some 100 MB: so many fit a large machine. */
export const MAX_NODES = 64
/** Between two looks at who is connected. */
const CONNECT_POLL_MS = 250
/** One question to a daemon on this machine. */
const ASK_TIMEOUT_MS = 5_000
/** The lock of the folder, as a node has one of its own. */
const LOCK_FILE = 'lock'
/** Folders of nodes below the network's. */
const NODE_FOLDER = /^node-\d{3}$/

export interface NodeReport {
  name: string
  role: string
  pid: number
  running: boolean
  /** As `/health/ready` says; null where it does not answer. */
  health: string | null
  peers: number | null
  peerId: string | null
  api: string | null
  multiaddrs: string[]
  home: string
  log: string
}

export interface NetworkReport {
  home: string
  /** Null where there is none. */
  network: string | null
  running: number
  ready: number
  /** Whether one could walk from each node to each other one over open connections. */
  connected: boolean
  nodes: NodeReport[]
}

export interface UpOptions {
  home: string
  count: number
  settings: readonly string[]
  signal: AbortSignal
  onProgress: (text: string) => void
}

/**
 * Sees to it that `count` daemons run: starts those that are missing, and leaves the others alone. Where one does not start, or this is
 * called off, those started now are stopped again.
 *
 * @throws ERR_HOME_LOCKED where another `up` or `down` is at work
 */
export async function up(options: UpOptions): Promise<NetworkReport> {
  const { home, count, signal } = options
  if (existsSync(join(home, 'identity.key'))) {
    throw new Error(`${home} is the data folder of a node; give --home a folder of its own`)
  }
  const lock = acquireHomeLock(home)
  const state: NetworkState = readState(home) ?? {
    version: 1,
    network: `local-${randomBytes(6).toString('hex')}`,
    nodes: [],
  }
  const begun: NodeState[] = []
  try {
    state.nodes = state.nodes.filter((node) => isRunning(node.process))
    writeState(home, state)
    const missing = rolesOf(count)
      .map((role, index) => ({ role, name: `node-${String(index).padStart(3, '0')}` }))
      .filter(({ name }) => !state.nodes.some((node) => node.name === name))
    const startOne = async ({ role, name }: (typeof missing)[number]): Promise<void> => {
      signal.throwIfAborted()
      const folder = join(home, name)
      const node = { name, role, home: join(folder, 'home'), log: join(folder, 'log') }
      let entry: NodeState | undefined
      const ready = await startDaemon({
        node,
        network: state.network,
        bootstrap: waysIn(state, name),
        settings: options.settings,
        signal,
        onSpawn(process) {
          entry = { ...node, process, peerId: null, api: null, multiaddrs: [] }
          begun.push(entry)
          state.nodes.push(entry)
          writeState(home, state)
        },
      })
      if (entry !== undefined) Object.assign(entry, ready)
      writeState(home, state)
      options.onProgress(`${name} runs as a ${role}`)
    }
    // The first one is everybody's way in.
    await forEachLimited(missing.slice(0, 1), 1, startOne)
    await forEachLimited(missing.slice(1), availableParallelism(), startOne)
    return await whenConnected(home, signal)
  } catch (error) {
    await Promise.all(begun.map((node) => stopProcess(node.process)))
    state.nodes = state.nodes.filter((node) => !begun.includes(node))
    if (state.nodes.length > 0) writeState(home, state)
    else removeAll(home)
    throw error
  } finally {
    lock.release()
  }
}

export interface DownReport {
  home: string
  stopped: number
  /** Of those, how many had to be ended by force. */
  killed: number
  /** Daemons that had ended by themselves. */
  gone: number
}

/** Stops what `up` started and removes what it made, data included unless `keepData`; done again, it does nothing. */
export async function down({ home, keepData }: { home: string; keepData: boolean }): Promise<DownReport> {
  const report: DownReport = { home, stopped: 0, killed: 0, gone: 0 }
  // Without one the folder is somebody else's, or not there: it gets no lock either.
  if (readState(home) === undefined) return report
  const lock = acquireHomeLock(home)
  try {
    const state = readState(home)
    if (state === undefined) return report
    await Promise.all(
      state.nodes.map(async (node) => {
        const how = await stopProcess(node.process)
        if (how === 'gone') report.gone += 1
        else report.stopped += 1
        if (how === 'killed') report.killed += 1
      }),
    )
    if (keepData) writeState(home, { ...state, nodes: [] })
    else removeAll(home)
    return report
  } finally {
    lock.release()
  }
}

/** What there is, asked from the daemons themselves. */
export async function status(home: string): Promise<NetworkReport> {
  const state = readState(home)
  if (state === undefined) {
    return { home, network: null, running: 0, ready: 0, connected: false, nodes: [] }
  }
  const peers = new Map<string, string[]>()
  const nodes = await Promise.all(
    state.nodes
      .toSorted((a, b) => a.name.localeCompare(b.name))
      .map(async (node): Promise<NodeReport> => {
        const { name, role, peerId, api, multiaddrs, log } = node
        const running = isRunning(node.process)
        const asked = running ? await ask(node) : undefined
        if (asked !== undefined && peerId !== null) peers.set(peerId, asked.peers)
        return {
          name,
          role,
          pid: node.process.pid,
          running,
          health: asked?.health ?? null,
          peers: asked?.peers.length ?? null,
          peerId,
          api,
          multiaddrs,
          home: node.home,
          log,
        }
      }),
  )
  const running = nodes.filter((node) => node.running).length
  const ready = nodes.filter(({ health }) => health === 'ready' || health === 'degraded').length
  const [first] = peers.keys()
  const reached = first === undefined ? 0 : distancesFrom(graphOf(peers), first).size
  return {
    home,
    network: state.network,
    running,
    ready,
    connected: running > 0 && reached === running,
    nodes,
  }
}

async function ask({ home }: NodeState): Promise<{ health: string; peers: string[] } | undefined> {
  try {
    const client = new Client(locate({ home }))
    const signal = AbortSignal.timeout(ASK_TIMEOUT_MS)
    const [report, { peers }] = await Promise.all([
      client.get('/api/v1/status', { signal }),
      client.get('/api/v1/peers', { signal }),
    ])
    return { health: report.health, peers: peers.map(({ peer }) => peer) }
  } catch {
    // It starts, stops, or hangs: what is said of it is that it does not answer.
    return undefined
  }
}

/** Up to two nodes that a further one connects to, masters first. */
function waysIn(state: NetworkState, self: string): string[] {
  const others = state.nodes.filter((node) => node.name !== self && node.multiaddrs.length > 0)
  const masters = others.filter(({ role }) => role === 'master')
  return [...masters, ...others.filter(({ role }) => role !== 'master')]
    .slice(0, 2)
    .flatMap(({ multiaddrs }) => multiaddrs.slice(0, 1))
}

async function whenConnected(home: string, signal: AbortSignal): Promise<NetworkReport> {
  const deadlineMs = performance.now() + CONNECT_TIMEOUT_MS
  for (;;) {
    const report = await status(home)
    if (report.connected || performance.now() > deadlineMs) return report
    await sleep(CONNECT_POLL_MS, undefined, { signal })
  }
}

/** Only what this script made, while its lock is still held: the folder may be one that somebody else uses too. */
function removeAll(home: string): void {
  for (const name of readdirSync(home)) {
    if (NODE_FOLDER.test(name)) rmSync(join(home, name), { recursive: true, force: true, maxRetries: 3 })
  }
  rmSync(join(home, STATE_FILE), { force: true })
  rmSync(join(home, LOCK_FILE), { force: true })
  try {
    rmdirSync(home)
  } catch {
    // Something else lies in it.
  }
}
