import { type ContentNode, startContentNode, until } from './content-node.ts'
import type { NetworkChanges } from './network.ts'

/** Nodes around a relay, stopped together. */
export class RelayHouse {
  nodes: ContentNode[] = []

  async start(network: NetworkChanges): Promise<ContentNode> {
    const node = await startContentNode({ network })
    this.nodes.push(node)
    return node
  }

  /** A relay, and a node that is reached through it alone: it listens on nothing else. */
  async behindRelay(
    relay: NetworkChanges['relay'] = {},
    listen: string[] = [],
  ): Promise<{ relay: ContentNode; hidden: ContentNode; ways: () => string[] }> {
    const server = await this.start({ relay: { server: true, client: 'never', ...relay } })
    const hidden = await this.start({ listen, relay: { client: 'always' } })
    await hidden.connect(server)
    const ways = (): string[] => hidden.libp2p.getMultiaddrs().map((address) => address.toString())
    await until(() => ways().length > 0)
    return { relay: server, hidden, ways }
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
    this.nodes = []
  }
}
