import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Daemon } from '../../test/support/daemon.ts'
import { Peer } from './processes.ts'

/** The window over which a node's own figure is taken. */
const WINDOW_MS = 5_000

interface Stats {
  process: { eventLoopDelayP99Ms: number }
}

/**
 * Watches the event loops of nodes at work, and of an idle process beside them in the same windows: on a busy machine that one waits for
 * its turn too, and what nodes add to it is what they hold up themselves.
 */
export class LoopWatch {
  readonly #nodes: readonly Daemon[]
  readonly #idle = new Peer(new URL('./loop-delay.ts', import.meta.url), [String(WINDOW_MS)])
  readonly #windows: { nodeMs: number; idleMs: number }[] = []
  readonly #work: Promise<void>
  #ended = false

  constructor(nodes: readonly Daemon[]) {
    this.#nodes = nodes
    this.#work = this.#run()
  }

  /** The worst node in the window in which it was furthest above the idle process, and that process then. */
  async end(): Promise<{ nodeMs: number; idleMs: number }> {
    this.#ended = true
    await this.#work
    await this.#idle.stop()
    const [worst] = this.#windows.toSorted((a, b) => b.nodeMs - b.idleMs - (a.nodeMs - a.idleMs))
    if (worst === undefined) throw new Error('the loops were watched for less than a window')
    return worst
  }

  async #run(): Promise<void> {
    for (;;) {
      const { p99Ms: idleMs } = await this.#idle.next<{ p99Ms: number }>()
      if (this.#ended) return
      const stats = await Promise.all(this.#nodes.map((node) => delayOf(node)))
      this.#windows.push({ nodeMs: Math.max(...stats), idleMs })
    }
  }
}

/** Asked without a command: starting a process for each node would be the load that is measured. */
async function delayOf(node: Daemon): Promise<number> {
  const response = await fetch(`${node.ready.api}/api/v1/stats`, {
    headers: { authorization: `Bearer ${await node.token()}` },
  })
  return ((await response.json()) as Stats).process.eventLoopDelayP99Ms
}

/** Has every daemon that is started meanwhile say how long its own main thread works between two turns of its loop. */
export class LoopProbes {
  readonly #folder: string
  readonly #before = process.env['NODE_OPTIONS']

  /** @param folder stays until the last of these daemons has ended */
  constructor(folder: string) {
    this.#folder = folder
    process.env['BENCH_LOOP_FOLDER'] = folder
    process.env['NODE_OPTIONS'] = `--import ${new URL('./loop-probe.ts', import.meta.url).href}`
  }

  /** The worst window of any of these processes in milliseconds; the first of each, in which it starts, is left out. */
  async end(pids: readonly number[]): Promise<number> {
    if (this.#before === undefined) delete process.env['NODE_OPTIONS']
    else process.env['NODE_OPTIONS'] = this.#before
    delete process.env['BENCH_LOOP_FOLDER']
    const files = (await readdir(this.#folder)).filter((name) => pids.includes(Number.parseInt(name, 10)))
    const texts = await Promise.all(files.map((name) => readFile(join(this.#folder, name), 'utf8')))
    const windows = texts.flatMap((text) => text.trim().split('\n').slice(1))
    return Math.max(...windows.map((line) => (JSON.parse(line) as { busyP99Ms: number }).busyP99Ms))
  }
}
