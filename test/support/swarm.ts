import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../config/index.ts'
import { createNode } from '../../src/node/index.ts'
import type { NodeServices, ReadyLine } from '../../src/node/types.ts'
import { eventually, quietLogger } from './network.ts'

/** One address of each way to connect, on loopback and a free port. */
export const LISTEN = {
  tcp: '/ip4/127.0.0.1/tcp/0',
  websocket: '/ip4/127.0.0.1/tcp/0/ws',
  quic: '/ip4/127.0.0.1/udp/0/quic-v1',
  webrtcDirect: '/ip4/127.0.0.1/udp/0/webrtc-direct',
} as const

export type Way = keyof typeof LISTEN

export interface WholeNode extends NodeServices {
  readonly ready: ReadyLine
  readonly home: string
  readonly peer: string
  /** Its address by one way. */
  at(way: Way): string
  /** Peers it is connected to. */
  peers(): string[]
  stop(): Promise<void>
}

export interface WholeNodeOptions {
  /** Of an earlier node, which goes on. */
  home?: string
  ways?: readonly Way[]
  /** In place of free ports. */
  listen?: readonly string[]
  set?: Record<string, string>
}

const SHAPE: Readonly<Record<Way, RegExp>> = {
  tcp: /\/tcp\/\d+\/p2p\//,
  websocket: /\/ws\/p2p\//,
  quic: /\/quic-v1\/p2p\//,
  webrtcDirect: /\/webrtc-direct\//,
}

/** The one of a node's addresses that is of this way. */
export function addressBy(way: Way, { multiaddrs }: Pick<ReadyLine, 'multiaddrs'>): string {
  const found = multiaddrs.find((address) => SHAPE[way].test(address))
  if (found === undefined) throw new Error(`it does not listen by ${way}`)
  return found
}

/** Whole nodes in this process, as `createNode` builds them, in homes of their own; `close` stops and removes all. */
export class SwarmLab {
  readonly #cleanups: (() => Promise<void>)[] = []

  async node(options: WholeNodeOptions = {}): Promise<WholeNode> {
    const ways = options.ways ?? ['tcp']
    const home = options.home ?? (await mkdtemp(join(tmpdir(), 'p2pnode-swarm-')))
    const settings: Record<string, string> = {
      'api.port': '0',
      'gateway.port': '0',
      'network.mdns': 'false',
      'network.maxInboundPerIpPerSecond': '1000',
      'swarm.listen': JSON.stringify([LISTEN.tcp]),
      'storage.quota': '256MiB',
      'storage.durability': 'relaxed',
      ...options.set,
    }
    const { config, sources } = await loadConfig({
      home,
      env: {},
      flags: {
        listen: [...(options.listen ?? ways.map((way) => LISTEN[way]))],
        set: Object.entries(settings).map(([key, value]) => `${key}=${value}`),
      },
    })
    const node = createNode({ home, config, sources, log: quietLogger() })
    const ready = await node.start()
    const services = node.services()
    const { network } = services
    this.#cleanups.push(async () => {
      await node.stop()
      await rm(home, { recursive: true, force: true })
    })
    return {
      ...services,
      ready,
      home,
      peer: ready.peerId,
      at: (way) => addressBy(way, ready),
      peers: () => network.peers().map(({ peer }) => peer),
      stop: () => node.stop(),
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#cleanups.splice(0).map((cleanup) => cleanup()))
  }
}

/** A swarm of nodes of which the first is the owner; everybody has come in by an invitation of it and is connected to it. */
export async function swarmOf(lab: SwarmLab, options: readonly WholeNodeOptions[]): Promise<WholeNode[]> {
  const [first, ...rest] = options
  const owner = await lab.node(first)
  await owner.swarm.create({ name: 'owner', withNetworkKey: false })
  const nodes = [owner]
  for (const [index, option] of rest.entries()) {
    const node = await lab.node(option)
    await joins(node, owner, `member ${index + 1}`)
    nodes.push(node)
  }
  await eventually('all have the same list', () => {
    const version = owner.swarm.status()?.version
    return nodes.every(({ swarm }) => swarm.status()?.version === version)
  })
  return nodes
}

export async function joins(node: WholeNode, host: WholeNode, name = ''): Promise<void> {
  const { token } = await host.swarm.invite({ name, standing: 'member', termMs: 60_000 })
  await node.swarm.join(token, '', soon())
}

export const soon = (): AbortSignal => AbortSignal.timeout(20_000)
