import type { Graph } from './graph.ts'
import { hopsToNearest } from './graph.ts'
import type { SimulatedFile } from './files.ts'
import type { HostileReport } from './hostile/types.ts'
import {
  CONCURRENT_FETCHES,
  CONNECT_TIMEOUT_MS,
  CONNECT_TIMEOUT_PER_NODE_MS,
  MAX_LISTED_FAILURES,
  OPERATION_TIMEOUT_MS,
  OPERATION_TIMEOUT_PER_NODE_MS,
} from './limits.ts'
import { forEachLimited, percentile, timingOf } from './measure.ts'
import type { Member, SimulatedNetwork } from './network.ts'
import type { NodeServices } from '../node/index.ts'
import type { SimulationProgress, SimulationReport } from './types.ts'

/** One fetch that a scenario asks for. */
export interface Fetch {
  member: Member
  file: SimulatedFile
}

/** Gets one file through one node. @returns the SHA-256 of what came, in hex */
export type Fetcher = (services: NodeServices, file: SimulatedFile, signal: AbortSignal) => Promise<string>

/** What a scenario works with: the network, and the book in which it notes what happened. */
export class Run {
  readonly network: SimulatedNetwork
  readonly signal: AbortSignal
  readonly #onProgress: (progress: SimulationProgress) => void
  readonly #fetchesMs: number[] = []
  readonly #hops: number[] = []
  readonly #failures: string[] = []
  readonly #counts: Record<string, number> = {}
  #failureCount = 0
  #experiment: HostileReport | null = null
  #connected: SimulationReport['connected'] = { nodes: 0, ms: null, connections: 0 }
  #files = 0
  #right = 0
  #wrong = 0
  #failed = 0
  #bytes = 0

  constructor(options: {
    network: SimulatedNetwork
    signal: AbortSignal
    onProgress: (progress: SimulationProgress) => void
  }) {
    this.network = options.network
    this.signal = options.signal
    this.#onProgress = options.onProgress
  }

  /** Shows progress: the returned function counts one step. */
  steps(label: string, total: number): () => void {
    let done = 0
    this.#onProgress({ label, done, total })
    return () => this.#onProgress({ label, done: ++done, total })
  }

  count(name: string, by: number): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + by
  }

  note(experiment: HostileReport): void {
    this.#experiment = experiment
  }

  fail(message: string): void {
    this.#failureCount += 1
    if (this.#failures.length < MAX_LISTED_FAILURES) this.#failures.push(message)
  }

  /** The signal of the simulation with the time that one operation has. */
  operationSignal(): AbortSignal {
    const timeoutMs = Math.max(
      OPERATION_TIMEOUT_MS,
      this.network.members.length * OPERATION_TIMEOUT_PER_NODE_MS,
    )
    return AbortSignal.any([this.signal, AbortSignal.timeout(timeoutMs)])
  }

  /** Starts every node and waits until they are one network. @returns whether they were in time */
  async startAll(): Promise<boolean> {
    const { network, signal } = this
    const { members } = network
    const timeoutMs = Math.max(CONNECT_TIMEOUT_MS, members.length * CONNECT_TIMEOUT_PER_NODE_MS)
    const beganMs = performance.now()
    const step = this.steps('starting nodes', members.length)
    await network.start(members, { signal, onStarted: step })
    const restMs = timeoutMs - (performance.now() - beganMs)
    const isOne = restMs > 0 && (await network.whenConnected(restMs, signal))
    const tookMs = Math.round(performance.now() - beganMs)
    this.#connected = { ...network.connected(), ms: isOne ? tookMs : null }
    if (!isOne)
      this.fail(`only ${this.#connected.nodes} of ${members.length} nodes were connected after ${tookMs} ms`)
    return isOne
  }

  /** Makes files, one on each member given; those that could not be made are failures, unless `mayFail`. */
  async make(
    members: readonly Member[],
    label: string,
    make: (
      member: Member,
      services: NodeServices,
      index: number,
      signal: AbortSignal,
    ) => Promise<SimulatedFile>,
    { mayFail = false }: { mayFail?: boolean } = {},
  ): Promise<SimulatedFile[]> {
    const files: SimulatedFile[] = []
    const step = this.steps(label, members.length)
    await forEachLimited(members, CONCURRENT_FETCHES, async (member, index) => {
      try {
        files.push(await make(member, this.network.services(member), index, this.operationSignal()))
        this.#files += 1
      } catch (error) {
        this.signal.throwIfAborted()
        if (mayFail) this.count(`not made: ${codeOf(error)}`, 1)
        else this.fail(`${member.name} (${member.role}), ${label}: ${textOf(error)}`)
      }
      step()
    })
    return files
  }

  /**
   * Fetches files and compares them with what was stored; a fetch that goes wrong is noted, and the others go on. `mayFail`: one that
   * brings nothing is counted and no failure of the scenario, which wrong bytes always are.
   * @returns those that were right
   */
  async fetchAll(
    fetches: readonly Fetch[],
    label: string,
    fetcher: Fetcher,
    options: { isPublic: boolean; mayFail?: boolean },
  ): Promise<Set<Fetch>> {
    const step = this.steps(label, fetches.length)
    const right = new Set<Fetch>()
    await forEachLimited(fetches, CONCURRENT_FETCHES, async (fetch) => {
      if (options.isPublic) this.#noteHops(fetch, this.network.graph())
      if (await this.#fetch(fetch, fetcher, options)) right.add(fetch)
      step()
    })
    return right
  }

  /** The report so far; the caller adds what only it knows. */
  summary(): Pick<
    SimulationReport,
    'connected' | 'starts' | 'files' | 'fetches' | 'counts' | 'experiment' | 'failures' | 'failureCount'
  > {
    return {
      connected: this.#connected,
      starts: timingOf(this.network.startsMs),
      files: this.#files,
      fetches: {
        attempted: this.#right + this.#wrong + this.#failed,
        right: this.#right,
        wrong: this.#wrong,
        failed: this.#failed,
        bytes: this.#bytes,
        timing: timingOf(this.#fetchesMs),
        hops: { p50: percentile(this.#hops, 50), max: percentile(this.#hops, 100) },
      },
      counts: this.#counts,
      experiment: this.#experiment,
      failures: this.#failures,
      failureCount: this.#failureCount,
    }
  }

  #noteHops({ member, file }: Fetch, graph: Graph): void {
    const holders = [...file.holders].filter(({ node }) => node !== undefined).map(({ peer }) => peer)
    const hops = hopsToNearest(graph, member.peer, holders)
    if (hops !== null) this.#hops.push(hops)
  }

  async #fetch(
    { member, file }: Fetch,
    fetcher: Fetcher,
    { isPublic, mayFail = false }: { isPublic: boolean; mayFail?: boolean },
  ): Promise<boolean> {
    const what = `${member.name} (${member.role}), ${file.name}`
    const beganMs = performance.now()
    try {
      const sha256 = await fetcher(this.network.services(member), file, this.operationSignal())
      if (sha256 !== file.sha256) {
        this.#wrong += 1
        this.fail(`${what}: the bytes are not those that were stored`)
        return false
      }
      this.#right += 1
      this.#bytes += file.sizeBytes
      this.#fetchesMs.push(performance.now() - beganMs)
      if (isPublic) file.holders.add(member)
      return true
    } catch (error) {
      this.signal.throwIfAborted()
      this.#failed += 1
      if (mayFail) this.count(`not fetched: ${codeOf(error)}`, 1)
      else this.fail(`${what}: ${textOf(error)}`)
      return false
    }
  }
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? `${error.message} (${String(error.code)})` : error.message
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return 'code' in error ? String(error.code) : error.name
}
