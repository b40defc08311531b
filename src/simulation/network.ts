import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../config/index.ts'
import { createNode, type Node, type NodeServices, type Replacements } from '../node/index.ts'
import type { Logger } from '../telemetry/types.ts'
import { countEdges, distancesFrom, type Graph, graphOf } from './graph.ts'
import { CHANGES_PER_PROCESSOR } from './limits.ts'
import { forEachLimited } from './measure.ts'
import { bootstrapOf, flagsOf, type Role, rolesOf } from './members.ts'

/** One place in the network: its data folder and role stay, the node in it comes and goes. */
export interface Member {
  readonly index: number
  readonly name: string
  readonly role: Role
  readonly home: string
  /** Running, or undefined while it is away. */
  node: Node | undefined
  peer: string
}

/** How a scenario differs from nodes that behave, in a configuration of their own. */
export interface Direction {
  /** Keys of the configuration, in written form, for all nodes. */
  readonly settings?: Readonly<Record<string, string>>
  /** What is put in the place of a member's own services. */
  replacementsOf?(member: Member): Replacements
}

export interface SimulatedNetworkOptions {
  count: number
  /** Made and removed by the caller. */
  folder: string
  log: Logger
}

/** Nodes of one process that form a network of their own over loopback sockets. */
export class SimulatedNetwork {
  readonly members: readonly Member[]
  /** Of every start, also of nodes that came back. */
  readonly startsMs: number[] = []
  readonly #log: Logger
  readonly #networkName = `simulation-${randomBytes(6).toString('hex')}`
  /** Addresses of the masters, by index; one that came back has a new one. */
  readonly #masters = new Map<number, string>()
  #direction: Direction = {}

  constructor({ count, folder, log }: SimulatedNetworkOptions) {
    this.#log = log
    this.members = rolesOf(count).map((role, index) => {
      const name = `node-${String(index).padStart(3, '0')}`
      return { index, name, role, home: join(folder, name), node: undefined, peer: '' }
    })
  }

  /** Before the first start. */
  direct(direction: Direction): void {
    this.#direction = direction
  }

  /** Nodes that run, with what they consist of. */
  running(): { member: Member; services: NodeServices }[] {
    return this.members.flatMap((member) =>
      member.node?.state === 'ready' ? [{ member, services: member.node.services() }] : [],
    )
  }

  /** @throws where the node is away */
  services(member: Member): NodeServices {
    if (member.node === undefined) throw new Error(`${member.name} is away`)
    return member.node.services()
  }

  /** Starts nodes: masters one after the other, since each needs the address of the first, the others several at once. */
  async start(
    members: readonly Member[],
    options: { signal: AbortSignal; onStarted?: () => void },
  ): Promise<void> {
    const startOne = async (member: Member): Promise<void> => {
      options.signal.throwIfAborted()
      await this.#startOne(member, options.signal)
      options.onStarted?.()
    }
    for (const member of members.filter(({ role }) => role === 'master')) await startOne(member)
    await forEachLimited(
      members.filter(({ role }) => role !== 'master'),
      concurrency(),
      startOne,
    )
  }

  /** Stops nodes, or all; never throws for one that cannot. Their data folders stay. */
  async stop(members: readonly Member[] = this.members, onStopped?: () => void): Promise<void> {
    await forEachLimited(
      members.filter(({ node }) => node !== undefined),
      concurrency(),
      async (member) => {
        const { node } = member
        member.node = undefined
        // A node logs what it could not stop, and goes on with the rest.
        await node?.stop()
        onStopped?.()
      },
    )
  }

  graph(): Graph {
    return graphOf(
      new Map(
        this.running().map(({ member, services }) => [
          member.peer,
          services.network.peers().map(({ peer }) => peer),
        ]),
      ),
    )
  }

  /** Running nodes that one could walk to from the first running one, and connections in all. */
  connected(): { nodes: number; connections: number } {
    const graph = this.graph()
    const [first] = graph.keys()
    return {
      nodes: first === undefined ? 0 : distancesFrom(graph, first).size,
      connections: countEdges(graph),
    }
  }

  /** Resolves to true once all running nodes are one network, to false when that was not so in time. @throws the signal's reason */
  async whenConnected(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const running = this.running()
    const isOne = (): boolean => this.connected().nodes === running.length
    signal.throwIfAborted()
    if (isOne()) return true
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
        for (const stopListening of listening) stopListening()
      }
      const settle = (value: boolean): void => {
        end()
        resolve(value)
      }
      const onAbort = (): void => {
        end()
        reject(signal.reason as Error)
      }
      const onChange = (): void => {
        if (isOne()) settle(true)
      }
      const timer = setTimeout(() => settle(isOne()), timeoutMs)
      const listening = running.map(({ services }) => services.network.onChange(onChange))
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  async #startOne(member: Member, signal: AbortSignal): Promise<void> {
    const beganMs = performance.now()
    const others = [...this.#masters].flatMap(([index, address]) => (index === member.index ? [] : address))
    const bootstrap = bootstrapOf(member.role, member.index, others)
    const { settings, replacementsOf } = this.#direction
    const flags = flagsOf(member.role, this.#networkName, bootstrap, settings)
    // The environment of whoever runs the simulation configures a real node, not these.
    const { config, sources } = await loadConfig({ home: member.home, env: {}, flags })
    const node = createNode({
      home: member.home,
      config,
      sources,
      log: this.#log.child({ node: member.name }),
      ...(replacementsOf === undefined ? {} : { replace: replacementsOf(member) }),
    })
    // Before it runs, so that whoever stops the network also stops what is still starting.
    member.node = node
    const { peerId, multiaddrs } = await node.start(signal)
    member.peer = peerId
    const [address] = multiaddrs
    if (member.role === 'master' && address !== undefined) this.#masters.set(member.index, address)
    this.startsMs.push(performance.now() - beganMs)
  }
}

function concurrency(): number {
  return availableParallelism() * CHANGES_PER_PROCESSOR
}
