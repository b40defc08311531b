import type { Daemon, DaemonOptions, Lab } from './daemon.ts'
import { eventually } from './network.ts'

export interface VaultNetworkOptions {
  workers: number
  /** Of every node. */
  set?: Record<string, string>
}

export interface HealthReport {
  state: 'healthy' | 'degraded' | 'critical' | 'lost'
  slabs: {
    id: string
    k: number
    n: number
    live: number
    lastAudit: string | null
    columns: { column: number; peer: string | null; live: boolean }[]
  }[]
}

/** What `put --json` ends in. */
export interface PutLine {
  link: string
  manifest: string
  size: number
  sha256: string | null
  stored: number
  redundancy: string
  holders: number
  expires: string
}

/** Nodes of one private network as processes on loopback: workers that lend storage, a master that does not, an owner. */
export class VaultNetwork {
  readonly lab: Lab
  readonly set: Record<string, string>
  readonly master: Daemon
  workers: Daemon[] = []
  owner!: Daemon

  private constructor(lab: Lab, master: Daemon, set: Record<string, string>) {
    this.lab = lab
    this.master = master
    this.set = set
  }

  static async start(lab: Lab, { workers, set = {} }: VaultNetworkOptions): Promise<VaultNetwork> {
    const master = await lab.daemon({ role: 'master', set: { ...set, 'storage.offer': '0' } })
    const network = new VaultNetwork(lab, master, set)
    // Two at a time: each takes a processor for a second.
    while (network.workers.length < workers) {
      const count = Math.min(2, workers - network.workers.length)
      network.workers.push(
        ...(await Promise.all(Array.from({ length: count }, () => network.node('worker')))),
      )
    }
    network.owner = await network.node('leecher')
    return network
  }

  /** One more node that knows the master alone. */
  node(role: 'worker' | 'leecher', options: DaemonOptions = {}): Promise<Daemon> {
    const { set, ...rest } = options
    const settings = { 'storage.quota': '4GiB', ...this.set, ...set }
    return this.lab.daemon({ role, bootstrap: [this.master.address], set: settings, ...rest })
  }

  /** Starts a dead node again on its home and its port, where its peers knew it. */
  async restart(dead: Daemon): Promise<Daemon> {
    const port = /\/tcp\/(\d+)/.exec(dead.address)?.[1] ?? '0'
    const set = { 'network.listen': JSON.stringify([`/ip4/127.0.0.1/tcp/${port}`]) }
    const role = dead.ready.role as 'worker' | 'leecher'
    const alive = await this.node(role, { home: dead.home, noListen: true, set })
    this.workers = this.workers.map((worker) => (worker === dead ? alive : worker))
    if (this.owner === dead) this.owner = alive
    return alive
  }

  /** The worker of a peer id. */
  worker(peer: string): Daemon {
    const found = this.workers.find(({ ready }) => ready.peerId === peer)
    if (found === undefined) throw new Error(`no worker has the peer id ${peer}`)
    return found
  }
}

/** Waits until the health of a link, as a node measures it now, is as wanted. */
export async function untilHealth(
  node: Daemon,
  link: string,
  wanted: (health: HealthReport) => boolean,
  timeoutMs = 60_000,
): Promise<HealthReport> {
  let last: HealthReport | undefined
  await eventually(
    'the health is as wanted',
    async () => {
      const result = await node.run(['health', link, '--fresh', '--json'])
      if (result.code !== 0) return false
      last = result.json<HealthReport>()
      return wanted(last)
    },
    timeoutMs,
  )
  if (last === undefined) throw new Error('no health was measured')
  return last
}
